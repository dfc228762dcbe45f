import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { VerityError } from '../base/index.ts';
import { loadParser, parseScript } from './index.ts';
import { MemoryDatabase } from './testing/memory-view.ts';

beforeAll(loadParser);

/** Statements that use most of the grammar we read and much that we refuse; the fuzzer cuts and mixes their tokens. */
const seeds = [
  "select distinct id, name as n, lower(name) || '!', count(*), coalesce(price, 0) from t as x where id = $1 and name like 'a%' escape '!' or not (price between 1 and 2) order by 1 desc nulls last limit $2 offset 3 as of position 5",
  "select case id when 1 then 'x' else null end, case when a then b end, nullif(id, 2), id in (1, 2, $3), name is not null, a is true, id is distinct from 3, -id, + 2, '1'::int, cast(1 as varchar(3)), date '2026-01-01', now(), current_date, j -> 'a' ->> 0, j @> '{}' from t where exists (select 1) group by id having true",
  "insert into public.t (id, name, price) values (1, 'é', default), ($1, null, 1.5e3), (-2, e'\\n', true) on conflict do nothing returning *, id as k",
  "update t as x set (id, name) = (1, 'b'), price = default, a = id + 1 from u where x.id = any(array[1]) returning old.id, x.*",
  'delete from only t using u where current of c returning row(1, 2)',
  "create table if not exists w (id int primary key, name varchar(10) not null default 'x' collate \"C\" check (name <> ''), price numeric(6,2) unique references t(id), constraint c check (id > 0 and price < 1), unique (id, name), primary key (id), b text[] generated always as (1) stored)",
  "with q as (values (1)) select x.a[1], (y).b, sum(distinct id) over (partition by id), substring(name from 1 for 2), trim(both from name), extract(year from d), d at time zone $1, interval '1 day' from t x join t y using (id), lateral f(1), rows from (g(2)) for update",
  "select 1 union all select 2 intersect table t; begin; commit; rollback; savepoint a; drop table t; explain select 1; values (1); select x'ff', b'1', u&'d' uescape '!', $$a$$ /* c */ -- d\n;",
];
const pieces = seeds.flatMap(
  (seed) => seed.match(/\w+|'[^']*'|"[^"]*"|\$\w*\$|\$\d|\s+|\S/gu) ?? [],
);

const start = fc.constantFrom(
  ...seeds,
  'select ',
  'select * from t where ',
  'insert into t values (',
  'update t set id = ',
  'create table w (',
);
const edit = fc.record({
  at: fc.nat(120),
  remove: fc.nat(6),
  put: fc.array(fc.constantFrom(...pieces), { maxLength: 4 }),
});
const text = fc.tuple(start, fc.array(edit, { maxLength: 4 })).map(([seed, edits]) => {
  const tokens = seed.match(/\w+|'[^']*'|"[^"]*"|\$\w*\$|\$\d|\s+|\S/gu) ?? [];
  for (const { at, remove, put } of edits) tokens.splice(at % (tokens.length + 1), remove, ...put);
  return tokens.join('');
});

test('any text runs or fails with an error of ours, whose offset lies in the text', () => {
  const db = new MemoryDatabase();
  db.run(
    "create table t (id int primary key, name text, price numeric, a boolean, j jsonb, d timestamptz); insert into t values (1, 'a', 1, true, '{\"a\":[1]}', now())",
  );
  let ran = 0;
  fc.assert(
    fc.property(text, (sql) => {
      try {
        for (const statement of parseScript(sql)) {
          expect(sql.slice(statement.offset)).toMatch(
            statement.text.slice(0, 4) === '' ? /^/ : /^\S/,
          );
          if (
            statement.kind === 'begin' ||
            statement.kind === 'commit' ||
            statement.kind === 'rollback'
          )
            continue;
          db.run(statement.text, new Array<null>(statement.parameterCount).fill(null));
          ran++;
        }
      } catch (error) {
        if (!(error instanceof VerityError)) throw error;
        const offset = error.details['offset'] as number | undefined;
        if (offset !== undefined) expect(offset).toBeLessThanOrEqual(sql.length);
      }
    }),
    { numRuns: 8_000, seed: 5 },
  );
  expect(ran).toBeGreaterThan(100);
});
