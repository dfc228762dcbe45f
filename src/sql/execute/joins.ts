/** Joins: for each row so far the source's rows that match it. */
import type { ColumnType, Value } from '../../base/index.ts';
import { encodeBoundKey } from '../../codec/index.ts';
import type { ExecutionContext } from '../contract.ts';
import { isIdentical } from '../functions/comparison.ts';
import type { HashKey, Source, Step } from '../plan/from-plan.ts';
import type { ReadView } from '../../store/index.ts';
import { compile, type Evaluate } from './compile.ts';
import { type Execution, executionOf, setSlot } from './execution.ts';
import { compileFrom } from './from.ts';
import type { OpenRows, Row, Rows, TreeScope } from './row-source.ts';
import { compileAll, compileSource, filtered } from './source.ts';

/** Yields the source's rows that may match a row so far. Opened once a run. */
type Candidates = (row: Row) => Rows;
type OpenCandidates = (
  view: ReadView,
  parameters: readonly Value[],
  context: ExecutionContext,
) => Candidates;

const noRows: Rows = { next: () => undefined };

export function compileStep(step: Step, scope: TreeScope, left: OpenRows): OpenRows {
  const { source, outer } = step;
  const openCandidates = compileCandidates(step, scope);
  const bind = compileBindings(step);
  const match = compileAll(step.match);
  const { start } = source;
  const open: OpenRows = (view, parameters, context) => {
    const candidates = openCandidates(view, parameters, context);
    const rows = left(view, parameters, context);
    let current: Row | undefined;
    let inner: Rows = noRows;
    let isMatched = true;
    const next = (): Row | undefined => {
      for (;;) {
        for (let own = inner.next(); own !== undefined; own = inner.next()) {
          if (match !== undefined && !match(own, parameters, context)) continue;
          isMatched = true;
          return joined(current as Row, own, start);
        }
        if (outer && !isMatched) {
          isMatched = true;
          return current;
        }
        current = rows.next();
        if (current === undefined) return undefined;
        bind(current, parameters, context);
        inner = candidates(current);
        isMatched = false;
      }
    };
    return { next };
  };
  return filtered(open, step.filter);
}

function joined(row: Row, own: Row, start: number): Row {
  const whole = row.slice();
  for (let at = 0; at < own.length; at++) whole[start + at] = own[at] as Value;
  return whole;
}

type Bind = (row: Row, parameters: readonly Value[], context: ExecutionContext) => void;

function compileBindings({ bindings }: Pick<Step, 'bindings'>): Bind {
  const all = bindings.map(({ slot, value }) => ({ slot, evaluate: compile(value) }));
  return (row, parameters, context) => {
    for (const { slot, evaluate } of all)
      setSlot(parameters, slot, evaluate(row, parameters, context));
  };
}

function compileCandidates(step: Step, scope: TreeScope): OpenCandidates {
  const { method } = step;
  const open = compileSource(step.source, scope);
  if (method.kind === 'lookup')
    return (view, parameters, context) => () => open(view, parameters, context);
  if (method.kind === 'hash') return compileHash(open, method.keys);
  return (view, parameters, context) => {
    const execution = executionOf(context);
    let all: Row[] | undefined;
    return () => {
      all ??= hold(open(view, parameters, context), execution);
      return walk(all, execution);
    };
  };
}

/** All rows, in memory. */
function hold(rows: Rows, execution: Execution): Row[] {
  const all: Row[] = [];
  for (let row = rows.next(); row !== undefined; row = rows.next()) {
    execution.countHeld(row);
    all.push(row);
  }
  return all;
}

function walk(all: readonly Row[], execution: Execution): Rows {
  let index = 0;
  return {
    next: () => {
      if (index >= all.length) return undefined;
      execution.countRead();
      return all[index++];
    },
  };
}

function compileHash(open: OpenRows, keys: readonly HashKey[]): OpenCandidates {
  const probe = compileKey(keys, 'probe');
  const build = compileKey(keys, 'build');
  return (view, parameters, context) => {
    const execution = executionOf(context);
    let table: Map<Value, Row[]> | undefined;
    const fill = (): Map<Value, Row[]> => {
      const filled = new Map<Value, Row[]>();
      const rows = open(view, parameters, context);
      for (let row = rows.next(); row !== undefined; row = rows.next()) {
        const key = build(row, parameters, context);
        if (key === null) continue;
        execution.countHeld(row);
        const same = filled.get(key);
        if (same === undefined) filled.set(key, [row]);
        else same.push(row);
      }
      return filled;
    };
    return (row) => {
      const key = probe(row, parameters, context);
      if (key === null) return noRows;
      table ??= fill();
      const same = table.get(key);
      return same === undefined ? noRows : walk(same, execution);
    };
  };
}

/** The values of hash keys as one value that is equal for equal ones; null when one is NULL. */
function compileKey(keys: readonly HashKey[], side: 'probe' | 'build'): Evaluate {
  const evaluates = keys.map((key) => compile(key[side]));
  const types: readonly ColumnType[] = keys.map((key) => key.type);
  const [first] = evaluates;
  if (first !== undefined && keys.length === 1 && isIdentical((types[0] as ColumnType).name))
    return first;
  return (row, parameters, context) => {
    const values: Value[] = [];
    for (const evaluate of evaluates) {
      const value = evaluate(row, parameters, context);
      if (value === null) return null;
      values.push(value);
    }
    return encodeBoundKey(types, values);
  };
}

/** FULL JOIN: the left rows with their matches, then the right rows that matched none. */
export function compileFull(
  { left, right, width }: Extract<Source, { kind: 'full' }>,
  scope: TreeScope,
): OpenRows {
  const openLeft = compileFrom(left, scope);
  const openRight = compileSource(right.source, scope);
  const bind = compileBindings(right);
  const match = compileAll(right.match);
  const { start } = right.source;
  return (view, parameters, context) => {
    const execution = executionOf(context);
    const all = hold(openRight(view, parameters, context), execution);
    const unmatched = new Set(all);
    const openHeld: OpenRows = () => walk(all, execution);
    const held: OpenCandidates =
      right.method.kind === 'hash'
        ? compileHash(openHeld, right.method.keys)
        : () => () => walk(all, execution);
    const candidates = held(view, parameters, context);
    const rows = openLeft(view, parameters, context);
    const blank: Row = new Array<Value>(width).fill(null);
    let rest: Iterator<Row, undefined> | undefined;
    let current: Row = blank;
    let inner: Rows = noRows;
    let isMatched = true;
    const next = (): Row | undefined => {
      while (rest === undefined) {
        for (let own = inner.next(); own !== undefined; own = inner.next()) {
          if (match !== undefined && !match(own, parameters, context)) continue;
          isMatched = true;
          unmatched.delete(own);
          return joined(current, own, start);
        }
        if (!isMatched) {
          isMatched = true;
          return current;
        }
        const row = rows.next();
        if (row === undefined) {
          rest = unmatched.values() as Iterator<Row, undefined>;
          break;
        }
        current = joined(blank, row, 0);
        bind(current, parameters, context);
        inner = candidates(current);
        isMatched = false;
      }
      const own = rest.next();
      return own.done === true ? undefined : joined(blank, own.value, start);
    };
    return { next };
  };
}
