import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ObjectId, StoreKey, Value } from '../../base/index.ts';
import type { Index, TableSchema } from '../../codec/index.ts';
import { decodeIndexKey, indexBoundKey, indexKey } from './table-layout.ts';

const table: TableSchema = {
  id: 16 as ObjectId,
  name: 't',
  version: 1,
  columns: [
    { name: 'a', type: { name: 'integer' }, notNull: false },
    { name: 'b', type: { name: 'text' }, notNull: false },
  ],
  primaryKey: [],
  indexes: [],
  checks: [],
};
const row = fc.tuple(
  fc.option(fc.integer({ min: -3, max: 3 }), { nil: null }),
  fc.option(fc.string({ maxLength: 3, unit: fc.constantFrom('\u0001', 'a', 'b', '\u007f', 'é') }), {
    nil: null,
  }),
);

/** PostgreSQL's order: NULLs last ascending, and therefore first descending. */
function compare(left: Value, right: Value, descending: boolean): number {
  if (left === right) return 0;
  const isLess = right === null || (left !== null && left < right);
  return isLess !== descending ? -1 : 1;
}

test('keys of an index order rows by its columns, each in its direction, and give their values back', () => {
  fc.assert(
    fc.property(row, row, fc.tuple(fc.boolean(), fc.boolean()), (left, right, descending) => {
      const index: Index = {
        id: 17 as ObjectId,
        name: 'i',
        unique: false,
        columns: [0, 1],
        descending,
      };
      const key = (values: readonly Value[]): string => indexBoundKey(table, index, values);
      const expected =
        compare(left[0], right[0], descending[0]) || compare(left[1], right[1], descending[1]);
      const [one, other] = [key(left), key(right)];
      expect(one === other ? 0 : one < other ? -1 : 1).toBe(expected);
      expect(decodeIndexKey(table, index, `${one}rest` as StoreKey)).toEqual(left);
      // Leading columns are a prefix of exactly the keys that agree in them.
      expect(other.startsWith(key([left[0]]))).toBe(left[0] === right[0]);
      expect(indexKey(table, index, left, 'pk' as StoreKey)).toBe(`${one}pk`);
    }),
    { numRuns: 1_000 },
  );
});
