/** Spans of keys: from the values that a path compares a key's columns with to what a view is asked. */
import {
  type ColumnType,
  type StoreKey,
  type TreeId,
  type Value,
  VerityError,
} from '../../base/index.ts';
import {
  encodeBoundKey,
  encodeKey,
  type Index,
  keyPrefixRange,
  type TableSchema,
} from '../../codec/index.ts';
import type { Cursor, KeyRange, ReadView } from '../../store/index.ts';
import type { ExecutionContext } from '../contract.ts';
import type { Bound, KeySpan } from '../plan/access.ts';
import { indexBoundKey, layoutOf } from '../schema/table-layout.ts';
import { compile, type Evaluate } from './compile.ts';
import { compileMembers } from './subquery.ts';

const noRow: readonly Value[] = [];
const emptyCursor: Cursor = { next: () => undefined };

/** How a tree's keys are made of the values of its leading columns. */
export interface KeyOrder {
  encode(values: readonly Value[]): StoreKey;
  readonly isDescending: (place: number) => boolean;
  /** Number of columns that make one key of one row; Infinity where several rows may share them. */
  readonly wholeLength: number;
}

export function keyOrder(table: TableSchema): KeyOrder {
  const { keyTypes } = layoutOf(table);
  return {
    encode: (values) => encodeBoundKey(keyTypes.slice(0, values.length), values),
    isDescending: () => false,
    wholeLength: keyTypes.length,
  };
}

export function indexOrder(table: TableSchema, index: Index): KeyOrder {
  return {
    encode: (values) => indexBoundKey(table, index, values),
    isDescending: (place) => index.descending?.[place] === true,
    wholeLength: Infinity,
  };
}

type OpenSpan = (view: ReadView, parameters: readonly Value[], context: ExecutionContext) => Cursor;

export function compileSpan(
  tree: TreeId,
  order: KeyOrder,
  span: KeySpan,
  reverse: boolean,
): OpenSpan {
  const prefix = compileValues(span.prefix.map((value) => compile(value)));
  const list = compileListValues(span);
  if (list !== undefined) return compileList(tree, order, { prefix: span.prefix, list }, reverse);
  const [low, high] = [span.low, span.high].map(
    (bound) => bound && { ...bound, evaluate: compile(bound.value) },
  );
  const descending = order.isDescending(span.prefix.length);
  return (view, parameters, context) => {
    const values = prefix(parameters, context);
    if (values === undefined) return emptyCursor;
    const range: { from?: StoreKey; to?: StoreKey; reverse: boolean } = { reverse };
    if (values.length > 0) Object.assign(range, keyPrefixRange(order.encode(values)));
    // NULLs are no part of a range with a bound. They lie behind all values, or before them in descending order.
    if (low !== undefined || high !== undefined) {
      const nulls = keyPrefixRange(order.encode([...values, null]));
      if (descending) range.from = nulls.to;
      else range.to = nulls.from;
    }
    for (const [bound, isLow] of [
      [low, true],
      [high, false],
    ] as const) {
      if (bound === undefined) continue;
      const value = bound.evaluate(noRow, parameters, context);
      if (value === null) return emptyCursor;
      const side = isLow === descending ? 'to' : 'from';
      range[side] = boundKey(order.encode([...values, value]), bound, side);
    }
    return view.scan(tree, range as KeyRange);
  };
}

/** `from` includes its key and `to` does not, so > and <= start or end behind all keys that begin with it. */
function boundKey(key: StoreKey, bound: Bound, side: 'from' | 'to'): StoreKey {
  return bound.inclusive === (side === 'from') ? key : keyPrefixRange(key).to;
}

type ListValues = (
  view: ReadView,
  parameters: readonly Value[],
  context: ExecutionContext,
) => Iterable<Value>;

/** The values that the column behind the prefix may have; undefined for a span without a list. */
function compileListValues({ list, members }: KeySpan): ListValues | undefined {
  if (members !== undefined) return compileMembers(members);
  if (list === undefined) return undefined;
  const evaluates = list.map((value) => compile(value));
  return (_view, parameters, context) =>
    evaluates.map((evaluate) => evaluate(noRow, parameters, context));
}

/** One get or one span a value, in key order, each key once. */
function compileList(
  tree: TreeId,
  order: KeyOrder,
  { prefix: prefixValues, list }: Pick<KeySpan, 'prefix'> & { readonly list: ListValues },
  reverse: boolean,
): OpenSpan {
  const prefix = compileValues(prefixValues.map((value) => compile(value)));
  const isWhole = prefixValues.length + 1 === order.wholeLength;
  return (view, parameters, context) => {
    const values = prefix(parameters, context);
    if (values === undefined) return emptyCursor;
    const keys = new Set<StoreKey>();
    for (const value of list(view, parameters, context))
      if (value !== null) keys.add(order.encode([...values, value]));
    const ordered = [...keys].sort();
    if (reverse) ordered.reverse();
    let index = 0;
    let inner: Cursor = emptyCursor;
    return {
      next: () => {
        for (;;) {
          const next = inner.next();
          if (next !== undefined || index >= ordered.length) return next;
          const key = ordered[index++] as StoreKey;
          if (!isWhole) {
            inner = view.scan(tree, { ...keyPrefixRange(key), reverse });
            continue;
          }
          const stored = view.get(tree, key);
          if (stored !== undefined)
            return { key, row: stored.row, from: stored.from, leaf: stored.leaf };
        }
      },
    };
  };
}

/** The key to look up; undefined for one that is too large to have been stored. */
export function searchKey(
  types: readonly ColumnType[],
  values: readonly Value[],
): StoreKey | undefined {
  try {
    return encodeKey(types, values);
  } catch (error) {
    if (error instanceof VerityError && error.code === 'VALUE_TOO_LARGE') return undefined;
    throw error;
  }
}

/** The values of expressions free of columns; undefined if one is NULL, which equals nothing. */
export function compileValues(
  evaluates: readonly Evaluate[],
): (parameters: readonly Value[], context: ExecutionContext) => Value[] | undefined {
  const [first] = evaluates;
  if (evaluates.length === 1 && first !== undefined) {
    return (parameters, context) => {
      const value = first(noRow, parameters, context);
      return value === null ? undefined : [value];
    };
  }
  return (parameters, context) => {
    const values: Value[] = [];
    for (const evaluate of evaluates) {
      const value = evaluate(noRow, parameters, context);
      if (value === null) return undefined;
      values.push(value);
    }
    return values;
  };
}
