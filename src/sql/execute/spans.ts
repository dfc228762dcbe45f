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
import type { Cursor, ReadView } from '../../store/index.ts';
import type { ExecutionContext } from '../contract.ts';
import type { KeySpan } from '../plan/access.ts';
import type { Bound, ValueRange } from '../plan/restrictions.ts';
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
  const descending = order.isDescending(span.prefix.length);
  if (span.ranges !== undefined)
    return compileRanges(tree, order, { prefix, ranges: span.ranges, descending }, reverse);
  const { low, high } = span;
  const isBounded = low !== undefined || high !== undefined;
  const keysOf = isBounded
    ? compileRange(order, { ...(low && { low }), ...(high && { high }) }, descending)
    : undefined;
  return (view, parameters, context) => {
    const values = prefix(parameters, context);
    if (values === undefined) return emptyCursor;
    if (keysOf !== undefined) {
      const keys = keysOf(values, parameters, context);
      return keys === undefined ? emptyCursor : view.scan(tree, { ...keys, reverse });
    }
    return view.scan(
      tree,
      values.length === 0 ? { reverse } : { ...keyPrefixRange(order.encode(values)), reverse },
    );
  };
}

interface Keys {
  readonly from?: StoreKey;
  readonly to?: StoreKey;
}

/** The keys of a range behind a prefix; undefined if there are none. */
type KeysOf = (
  prefix: readonly Value[],
  parameters: readonly Value[],
  context: ExecutionContext,
) => Keys | undefined;

function compileRange(order: KeyOrder, range: ValueRange, descending: boolean): KeysOf {
  const bounds = [range.low, range.high].map(
    (bound) => bound && { ...bound, evaluate: compile(bound.value) },
  );
  return (prefix, parameters, context) => {
    const nulls = keyPrefixRange(order.encode([...prefix, null]));
    if (range.nulls === true) return nulls;
    const keys: { from?: StoreKey; to?: StoreKey } =
      prefix.length === 0 ? {} : { ...keyPrefixRange(order.encode(prefix)) };
    // NULLs are no part of it. They lie behind all values, or before them in descending order.
    if (descending) keys.from = nulls.to;
    else keys.to = nulls.from;
    for (const [place, bound] of bounds.entries()) {
      if (bound === undefined) continue;
      const value = bound.evaluate(noRow, parameters, context);
      if (value === null && bound.openIfNull === true) continue;
      if (value === null) return undefined;
      const side = (place === 0) === descending ? 'to' : 'from';
      keys[side] = boundKey(order.encode([...prefix, value]), bound, side);
    }
    return keys;
  };
}

interface Ranges {
  readonly prefix: ReturnType<typeof compileValues>;
  readonly ranges: readonly ValueRange[];
  readonly descending: boolean;
}

/** The keys of any of several ranges, in key order, each once: ranges that overlap are read as one. */
function compileRanges(
  tree: TreeId,
  order: KeyOrder,
  { prefix, ranges, descending }: Ranges,
  reverse: boolean,
): OpenSpan {
  const all = ranges.map((range) => compileRange(order, range, descending));
  return (view, parameters, context) => {
    const values = prefix(parameters, context);
    if (values === undefined) return emptyCursor;
    const found = all.flatMap((keysOf) => keysOf(values, parameters, context) ?? []);
    const merged = mergedKeys(found);
    if (reverse) merged.reverse();
    let next = 0;
    let inner: Cursor = emptyCursor;
    return {
      next: () => {
        for (;;) {
          const entry = inner.next();
          if (entry !== undefined || next >= merged.length) return entry;
          inner = view.scan(tree, { ...(merged[next++] as Keys), reverse });
        }
      },
    };
  };
}

function mergedKeys(found: readonly Keys[]): Keys[] {
  const start = ({ from }: Keys): string => from ?? '';
  const isEmpty = ({ from, to }: Keys): boolean =>
    from !== undefined && to !== undefined && from >= to;
  const ordered = found.filter((each) => !isEmpty(each));
  ordered.sort((one, other) => (start(one) < start(other) ? -1 : 1));
  const merged: Keys[] = [];
  for (const each of ordered) {
    const last = merged.at(-1);
    const isApart = last?.to !== undefined && start(each) > last.to;
    if (last === undefined || isApart) merged.push(each);
    else if (last.to !== undefined && (each.to === undefined || each.to > last.to)) {
      const { to: _, ...open } = last;
      merged[merged.length - 1] = each.to === undefined ? open : { ...last, to: each.to };
    }
  }
  return merged;
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
