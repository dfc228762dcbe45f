/** GROUP BY and aggregates: rows of a group are folded as they come. */
import type { Value } from '../../base/index.ts';
import { encodeBoundKey } from '../../codec/index.ts';
import type { Grouping } from '../bind/bound-query.ts';
import type { AggregateCall } from '../bind/context.ts';
import { typeOf } from '../bind/select.ts';
import type { ExecutionContext } from '../contract.ts';
import { type Accumulator, accumulator } from '../functions/aggregates.ts';
import { isIdentical } from '../functions/comparison.ts';
import { compile, type Condition, compileCondition, type Evaluate } from './compile.ts';
import { executionOf } from './execution.ts';
import type { OpenRows, Row } from './row-source.ts';
import { compareKeyed, type Keyed, ordersOf } from './sort.ts';
import { filtered } from './source.ts';

/** One row a group: its keys, then its aggregates. Without keys all rows are one group, even if there are none. */
export function compileGroups(grouping: Grouping, open: OpenRows): OpenRows {
  const folds = grouping.aggregates.map(compileFold);
  const rows =
    grouping.keys.length === 0 ? foldAll(folds, open) : foldGroups(grouping, folds, open);
  return filtered(rows, grouping.having === undefined ? [] : [grouping.having]);
}

interface Fold {
  /** A new one for each group and run. */
  start(context: ExecutionContext): Folding;
}

interface Folding {
  take(row: Row, parameters: readonly Value[]): void;
  result(): Value;
}

function foldAll(folds: readonly Fold[], open: OpenRows): OpenRows {
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    let done = false;
    return {
      next: () => {
        if (done) return undefined;
        done = true;
        const foldings = folds.map((fold) => fold.start(context));
        for (let row = rows.next(); row !== undefined; row = rows.next())
          for (const folding of foldings) folding.take(row, parameters);
        return foldings.map((each) => each.result());
      },
    };
  };
}

interface Group {
  readonly keys: readonly Value[];
  readonly foldings: readonly Folding[];
}

function foldGroups(
  { keys }: Pick<Grouping, 'keys'>,
  folds: readonly Fold[],
  open: OpenRows,
): OpenRows {
  const evaluates: readonly Evaluate[] = keys.map((key) => compile(key));
  const types = keys.map(typeOf);
  const [first] = types;
  const isPlain = types.length === 1 && first !== undefined && isIdentical(first.name);
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    let groups: Iterator<Group, undefined> | undefined;
    const gather = (): Map<Value, Group> => {
      const found = new Map<Value, Group>();
      const execution = executionOf(context);
      for (let row = rows.next(); row !== undefined; row = rows.next()) {
        const from = row;
        const values = evaluates.map((evaluate) => evaluate(from, parameters, context));
        const key = isPlain ? (values[0] as Value) : encodeBoundKey(types, values);
        let group = found.get(key);
        if (group === undefined) {
          execution.countHeld(values);
          group = { keys: values, foldings: folds.map((fold) => fold.start(context)) };
          found.set(key, group);
        }
        for (const folding of group.foldings) folding.take(row, parameters);
      }
      return found;
    };
    return {
      next: () => {
        groups ??= gather().values() as Iterator<Group, undefined>;
        const group = groups.next();
        if (group.done === true) return undefined;
        return [...group.value.keys, ...group.value.foldings.map((each) => each.result())];
      },
    };
  };
}

function compileFold(call: AggregateCall): Fold {
  const argument = call.argument && compile(call.argument);
  const delimiter = call.delimiter && compile(call.delimiter);
  const filter: Condition | undefined = call.filter && compileCondition(call.filter);
  const type = call.argument && typeOf(call.argument);
  if (call.name === 'first') return firstFold(argument as Evaluate);
  if (call.sort !== undefined && call.sort.length > 0) return sortedFold(call);
  return {
    start: (context) => {
      const inner = counted(accumulator(call.name, type), context);
      const taken = call.distinct && type !== undefined ? distinctly(inner, type, context) : inner;
      return {
        take: (row, parameters) => {
          if (filter !== undefined && !filter(row, parameters, context)) return;
          const value = argument === undefined ? true : argument(row, parameters, context);
          if (value !== null) taken.add(value, delimiter?.(row, parameters, context) ?? null);
        },
        result: () => taken.result(),
      };
    },
  };
}

const firstFold = (argument: Evaluate): Fold => ({
  start: (context) => {
    const execution = executionOf(context);
    let first: Value | undefined;
    return {
      take: (row, parameters) => {
        if (first !== undefined) return;
        const value = argument(row, parameters, context);
        execution.countReplaced(null, value);
        first = value;
      },
      result: () => first ?? null,
    };
  },
});

/** Keeps its rows and takes them in order at the end. */
function sortedFold({ sort = [], ...call }: AggregateCall): Fold {
  const evaluates = sort.map((key) => compile(key.expression));
  const orders = ordersOf(sort);
  const fold = compileFold(call);
  return {
    start: (context) => {
      const execution = executionOf(context);
      const kept: Keyed[] = [];
      let parameters: readonly Value[] = [];
      return {
        take: (row, given) => {
          const keys = evaluates.map((evaluate) => evaluate(row, given, context));
          execution.countHeld([...row, ...keys]);
          parameters = given;
          kept.push({ row, keys });
        },
        result: () => {
          const folding = fold.start(context);
          kept.sort((left, right) => compareKeyed(orders, left, right));
          const { held } = execution;
          for (const { row } of kept) folding.take(row, parameters);
          execution.release(held);
          return folding.result();
        },
      };
    },
  };
}

/** Counts the length of the value that is kept, one for each group; the group itself is counted as a row. */
function counted(inner: Accumulator, context: ExecutionContext): Accumulator {
  const { kept } = inner;
  if (kept === undefined) return inner;
  const execution = executionOf(context);
  return {
    add: (value, second) => {
      const before = kept();
      inner.add(value, second);
      execution.countReplaced(before, kept());
    },
    result: () => inner.result(),
  };
}

function distinctly(
  inner: Accumulator,
  type: ReturnType<typeof typeOf>,
  context: ExecutionContext,
): Accumulator {
  const execution = executionOf(context);
  const seen = new Set<string>();
  return {
    add: (value, second) => {
      const key = encodeBoundKey([type], [value]);
      if (seen.has(key)) return;
      execution.countHeld([value]);
      seen.add(key);
      inner.add(value, second);
    },
    result: () => inner.result(),
  };
}
