import type { Value } from '../../base/index.ts';
import type { SortKey } from '../bind/context.ts';
import { typeOf } from '../bind/select.ts';
import type { ExecutionContext } from '../contract.ts';
import { type Comparator, comparator } from '../types/index.ts';
import { compile, type Evaluate } from './compile.ts';
import { executionOf } from './execution.ts';
import type { OpenRows, Row } from './row-source.ts';

export interface Keyed {
  readonly row: Row;
  readonly keys: readonly Value[];
}

export interface Order {
  readonly compare: Comparator;
  readonly sign: 1 | -1;
  readonly nullSign: 1 | -1;
}

/** How many of the sorted rows are asked for. */
export type KeepCount = (parameters: readonly Value[], context: ExecutionContext) => number;

/** Fewer rows than this are not worth cutting back. */
const slackRows = 1_000;

export const ordersOf = (sort: readonly SortKey[]): readonly Order[] =>
  sort.map((key) => ({
    compare: comparator(typeOf(key.expression)),
    sign: key.descending ? -1 : 1,
    nullSign: key.nullsFirst ? -1 : 1,
  }));

/** Sorts all rows by the keys, ties in the order they came; without keys the rows as they are. */
export function compileSort(
  sort: readonly SortKey[],
  open: OpenRows,
  keepCount?: KeepCount,
): OpenRows {
  if (sort.length === 0) return open;
  const evaluates: readonly Evaluate[] = sort.map((key) => compile(key.expression));
  const orders = ordersOf(sort);
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    const execution = executionOf(context);
    const keep = keepCount?.(parameters, context) ?? Infinity;
    let sorted: Keyed[] | undefined;
    let index = 0;
    const gather = (): Keyed[] => {
      const kept: Keyed[] = [];
      const { held } = execution;
      for (let row = rows.next(); row !== undefined; row = rows.next()) {
        const from = row;
        const keys = evaluates.map((evaluate) => evaluate(from, parameters, context));
        execution.countHeld([...row, ...keys]);
        kept.push({ row, keys });
        if (kept.length < 2 * keep + slackRows) continue;
        kept.sort((left, right) => compareKeyed(orders, left, right));
        kept.length = keep;
        execution.release(held + keep);
      }
      return kept.sort((left, right) => compareKeyed(orders, left, right));
    };
    return {
      next: () => {
        sorted ??= gather();
        return sorted[index++]?.row;
      },
    };
  };
}

export function compareKeyed(orders: readonly Order[], left: Keyed, right: Keyed): number {
  for (let index = 0; index < orders.length; index++) {
    const { compare, sign, nullSign } = orders[index] as Order;
    const one = left.keys[index] as Value;
    const two = right.keys[index] as Value;
    if (one === null || two === null) {
      if (one !== two) return one === null ? nullSign : -nullSign;
    } else {
      const result = compare(one, two);
      if (result !== 0) return result * sign;
    }
  }
  return 0;
}
