import type { Value } from '../../base/index.ts';
import type { SortKey } from '../bind/sort.ts';
import { typeOf } from '../bind/select.ts';
import { type Comparator, comparator } from '../types/index.ts';
import { compile, type Evaluate } from './compile.ts';
import type { OpenRows } from './select.ts';

interface Keyed {
  readonly row: readonly Value[];
  readonly keys: readonly Value[];
}

interface Order {
  readonly compare: Comparator;
  readonly sign: 1 | -1;
  readonly nullSign: 1 | -1;
}

/** Sorts all rows by the keys, ties in the order they came; without keys the rows as they are. */
export function compileSort(sort: readonly SortKey[], open: OpenRows): OpenRows {
  if (sort.length === 0) return open;
  const evaluates: readonly Evaluate[] = sort.map((key) => compile(key.expression));
  const orders: readonly Order[] = sort.map((key) => ({
    compare: comparator(typeOf(key.expression)),
    sign: key.descending ? -1 : 1,
    nullSign: key.nullsFirst ? -1 : 1,
  }));
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    let sorted: Keyed[] | undefined;
    let index = 0;
    return {
      next: () => {
        if (sorted === undefined) {
          sorted = [];
          for (let row = rows.next(); row !== undefined; row = rows.next()) {
            const from = row;
            sorted.push({
              row,
              keys: evaluates.map((evaluate) => evaluate(from, parameters, context)),
            });
          }
          sorted.sort((left, right) => compareKeyed(orders, left, right));
        }
        return sorted[index++]?.row;
      },
    };
  };
}

function compareKeyed(orders: readonly Order[], left: Keyed, right: Keyed): number {
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
