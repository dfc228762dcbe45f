import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { loadParser } from '../index.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

beforeAll(loadParser);

/** The same rows with different keys, so that the same query is planned in different ways; the first has none. */
const shapes = [
  ['', '', ''],
  ['primary key (i)', 'primary key (i)', 'primary key (i)'],
  ['primary key (i), unique (x, i)', 'unique (i), unique (x, y, i)', 'primary key (y, i)'],
];
const names = ['a', 'b', 'c'] as const;
const columns = ['i', 'x', 'y'] as const;

const small = fc.option(fc.integer({ min: 0, max: 3 }), { nil: null, freq: 5 });
const table = fc
  .array(fc.tuple(small, fc.integer({ min: 0, max: 3 })), { maxLength: 6 })
  .map((rows) => rows.map(([x, y], index) => [index, x, y]));
const column = fc
  .tuple(fc.constantFrom(...names), fc.constantFrom(...columns))
  .map((parts) => parts.join('.'));
const operand = fc.oneof(
  { weight: 4, arbitrary: column },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 4 }).map(String) },
);
const comparison = fc
  .tuple(column, fc.constantFrom('=', '=', '=', '<', '>=', '<>'), operand)
  .map((parts) => parts.join(' '));
const condition = fc.oneof(
  { weight: 6, arbitrary: comparison },
  { weight: 1, arbitrary: column.map((each) => `${each} is null`) },
  {
    weight: 1,
    arbitrary: column.map((each) => `${each} in (select x from a q where q.y = ${each})`),
  },
  { weight: 1, arbitrary: column.map((each) => `exists (select 1 from b q where q.i = ${each})`) },
  {
    weight: 1,
    arbitrary: fc.tuple(comparison, comparison).map((both) => `(${both.join(' or ')})`),
  },
);
const conditions = fc
  .array(condition, { minLength: 1, maxLength: 3 })
  .map((each) => each.join(' and '));
const joinWord = fc.constantFrom(
  'join',
  'join',
  'left join',
  'left join',
  'right join',
  'full join',
);
const usable = (text: string, among: string): boolean =>
  [...text.matchAll(/\b([abc])\.[ixy]/g)].every((match) => among.includes(match[1] as string));
const where = fc.option(conditions, { nil: 'true' });
const from = fc.oneof(
  fc.constant('a, b, c'),
  fc
    .tuple(joinWord, conditions, joinWord, conditions, fc.boolean())
    .map(([one, on1, two, on2, nested]) => {
      const first = usable(on1, nested ? 'bc' : 'ab') ? on1 : nested ? 'b.i = c.y' : 'a.i = b.y';
      return nested
        ? `a ${two} (b ${one} c on ${first}) on ${on2}`
        : `a ${one} b on ${first} ${two} c on ${on2}`;
    }),
  fc
    .tuple(joinWord, conditions)
    .map(
      ([word, on]) =>
        `(select * from a where i < 4) a, b ${word} c on ${usable(on, 'bc') ? on : 'b.x = c.x'}`,
    ),
);

test('keys, and the order of joins that they lead to, never change what a query yields', () => {
  fc.assert(
    fc.property(fc.tuple(table, table, table), from, where, (tables, source, filter) => {
      const query = `select a.*, b.*, c.* from ${source} where ${filter}`;
      const results = shapes.map((shape) => {
        const db = new MemoryDatabase();
        names.forEach((name, index) => {
          const key = shape[index] === '' ? '' : `, ${shape[index]}`;
          db.run(`create table ${name} (i integer, x integer, y integer not null${key})`);
          for (const row of tables[index] as readonly unknown[][])
            db.run(`insert into ${name} values ($1, $2, $3)`, row);
        });
        return db
          .run(query)
          .rows.map((row) => JSON.stringify(row))
          .toSorted();
      });
      for (const result of results.slice(1)) expect(result).toEqual(results[0]);
    }),
    { numRuns: 150, seed: 11 },
  );
});
