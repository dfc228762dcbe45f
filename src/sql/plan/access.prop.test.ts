import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { loadParser } from '../index.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

beforeAll(loadParser);

const columns = ['a', 'b', 'u', 'c'] as const;
const value = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -2, max: 4 }) },
  { weight: 1, arbitrary: fc.constant(null) },
);
const row = fc.tuple(
  fc.integer({ min: -2, max: 4 }),
  fc.integer({ min: -2, max: 4 }),
  value,
  value,
);

const literal = (each: number | null): string => (each === null ? 'null' : String(each));
const comparison = fc
  .tuple(
    fc.constantFrom(...columns),
    fc.constantFrom('=', '<', '<=', '>', '>=', '<>', '=', '='),
    value,
    fc.boolean(),
  )
  .map(([column, operator, each, mirrored]) =>
    mirrored ? `${literal(each)} ${operator} ${column}` : `${column} ${operator} ${literal(each)}`,
  );
const between = fc
  .tuple(fc.constantFrom(...columns), value, value)
  .map(([column, low, high]) => `${column} between ${literal(low)} and ${literal(high)}`);
const list = fc
  .tuple(fc.constantFrom(...columns), fc.array(value, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(
    ([column, values, not]) => `${column}${not ? ' not' : ''} in (${values.map(literal).join()})`,
  );
const wide = fc
  .tuple(fc.constantFrom(...columns), fc.constantFrom(3, 70_000, 5_000_000_000))
  .map(([column, each]) => `${column} = ${each}::bigint`);
const isNull = fc
  .tuple(fc.constantFrom(...columns), fc.boolean())
  .map(([column, not]) => `${column} is ${not ? 'not ' : ''}null`);
/** Several ranges of one column, beside one another and across each other. */
const alternatives = fc
  .tuple(
    fc.constantFrom(...columns),
    fc.array(
      fc.oneof(
        fc
          .tuple(fc.constantFrom('=', '<', '<=', '>', '>='), value)
          .map(([operator, each]) => `@ ${operator} ${literal(each)}`),
        fc
          .tuple(value, value)
          .map(([low, high]) => `@ between ${literal(low)} and ${literal(high)}`),
        fc
          .array(value, { minLength: 1, maxLength: 3 })
          .map((all) => `@ in (${all.map(literal).join()})`),
        fc.constantFrom('@ is null', '@ is not null'),
        comparison.map((each) => `(@ > 0 and ${each})`),
      ),
      { minLength: 2, maxLength: 4 },
    ),
  )
  .map(([column, parts]) => `(${parts.join(' or ').replaceAll('@', column)})`);
const rows = fc
  .tuple(fc.constantFrom('<', '<=', '>', '>='), value, value)
  .map(([operator, a, b]) => `(b, u) ${operator} (${literal(a)}, ${literal(b)})`);
const condition = fc.oneof(
  comparison,
  comparison,
  between,
  list,
  wide,
  isNull,
  alternatives,
  alternatives,
  rows,
);
const where = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: condition },
      {
        weight: 1,
        arbitrary: fc.tuple(condition, condition).map(([one, two]) => `(${one} or not ${two})`),
      },
    ),
    { maxLength: 4 },
  )
  .map((conditions) => (conditions.length === 0 ? 'true' : conditions.join(' and ')));
const order = fc.array(
  fc
    .tuple(
      fc.constantFrom(...columns),
      fc.constantFrom('', ' desc', ' nulls first', ' desc nulls last'),
    )
    .map((parts) => parts.join('')),
  { maxLength: 3 },
);

/** The same rows in tables with different keys, so that the same query takes different paths. */
const shapes = [
  'a smallint, b integer, u integer, c bigint',
  'a smallint, b integer, u integer unique, c bigint, primary key (a, b)',
  'a smallint, b integer, u integer, c bigint, primary key (b, a), unique (c, u)',
  'a smallint primary key, b integer, u integer, c bigint, unique (b), unique (u)',
];

function distinctBy<T>(rows: readonly T[], keys: readonly ((row: T) => unknown)[]): T[] {
  const seen = keys.map(() => new Set<unknown>());
  return rows.filter((each) => {
    const own = keys.map((key) => key(each));
    if (own.some((key, index) => key !== undefined && (seen[index] as Set<unknown>).has(key)))
      return false;
    own.forEach((key, index) => (seen[index] as Set<unknown>).add(key));
    return true;
  });
}

test('the access path never changes what a query, an update or a delete does', () => {
  fc.assert(
    fc.property(fc.array(row, { maxLength: 12 }), where, order, (all, condition, sort) => {
      const rows = distinctBy(all, [
        ([a]) => a,
        ([, b]) => b,
        ([, , u]) => u ?? undefined,
        ([, , u, c]) => (u === null || c === null ? undefined : `${u},${c}`),
      ]);
      const results = shapes.map((shape) => {
        const db = new MemoryDatabase();
        db.run(`create table t (${shape})`);
        if (rows.length > 0)
          db.run(
            `insert into t values ${rows.map((each) => `(${each.map(literal).join()})`).join()}`,
          );
        // The last keys make the order total, so that it can be compared.
        const sorted = db.run(
          `select * from t where ${condition} order by ${[...sort, 'a', 'b'].join()}`,
        ).rows;
        const column = columns[condition.length % columns.length];
        const end = condition.length % 3 === 0 ? 'min' : 'max';
        const ends = db.run(
          `select ${end}(${column}), min(${column}) from t where ${condition}`,
        ).rows;
        const counted = db.run(`select count(*) from t where ${condition}`).rows;
        const updated = db.run(`update t set c = 100 + a where ${condition}`).rowCount;
        const afterUpdate = db.run('select * from t order by a').rows;
        const deleted = db.run(`delete from t where ${condition}`).rowCount;
        return {
          sorted,
          ends,
          counted,
          updated,
          afterUpdate,
          deleted,
          left: db.run('select * from t order by a').rows,
        };
      });
      for (const result of results.slice(1)) expect(result).toEqual(results[0]);
    }),
    { numRuns: 80, seed: 3 },
  );
});
