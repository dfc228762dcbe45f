import { beforeAll, describe, expect, test } from 'vitest';
import { loadParser } from '../index.ts';
import { failureOf } from '../testing/failure.ts';
import { MemoryDatabase } from '../testing/memory-view.ts';

beforeAll(loadParser);

/** What PostgreSQL 15 answers, as text. */
const answers: readonly [string, string | null][] = [
  ["interval '1 day'", '1 day'],
  ["interval '1 year 2 months 3 days 04:05:06.789'", '1 year 2 mons 3 days 04:05:06.789'],
  ["interval '-1 day'", '-1 days'],
  ["interval '1 day ago'", '-1 days'],
  ["interval '1 year -3 days'", '1 year -3 days'],
  ["interval '-1 mon +1 day'", '-1 mons +1 day'],
  ["interval '-1 day -02:03:04.5'", '-1 days -02:03:04.5'],
  ["interval '1 mon -00:00:01'", '1 mon -00:00:01'],
  ["interval '0'", '00:00:00'],
  ["interval '90 minutes'", '01:30:00'],
  ["interval '1.5 days'", '1 day 12:00:00'],
  ["interval '1.5 months'", '1 mon 15 days'],
  ["interval '1.5 years'", '1 year 6 mons'],
  ["interval '1.25 weeks'", '8 days 18:00:00'],
  ["interval '0.5 decade'", '5 years'],
  ["interval '1 century'", '100 years'],
  ["interval '2 millennia'", '2000 years'],
  ["interval '1-2'", '1 year 2 mons'],
  ["interval '-1-2'", '-1 years -2 mons'],
  ["interval '3 04:05'", '3 days 04:05:00'],
  ["interval '3 4:05:06'", '3 days 04:05:06'],
  ["interval '+02:03'", '02:03:00'],
  ["interval '100 hours'", '100:00:00'],
  ["interval '25:00:00'", '25:00:00'],
  ["interval 'P1Y2M3DT4H5M6S'", '1 year 2 mons 3 days 04:05:06'],
  ["interval 'PT36H'", '36:00:00'],
  ["interval 'P1W'", '7 days'],
  ["interval '1 us'", '00:00:00.000001'],
  ["interval '1.5 ms'", '00:00:00.0015'],
  ["interval '12 h 3 m 4 s'", '12:03:04'],
  ["interval '@ 1 day'", '1 day'],
  ["interval '1day'", '1 day'],
  ["interval '1 y 2 mons'", '1 year 2 mons'],
  ["interval '1' day", '1 day'],
  ["interval '3' month", '3 mons'],
  ["interval '2' year", '2 years'],
  ["interval '90' minute", '01:30:00'],
  ["interval '1' hour", '01:00:00'],
  ["interval '5.5' second", '00:00:05.5'],
  ["interval '5'", '00:00:05'],
  ["interval '1 day' + interval '2 hours'", '1 day 02:00:00'],
  ["interval '1 mon' - interval '1 day'", '1 mon -1 days'],
  ["- interval '1 day 2 hours'", '-1 days -02:00:00'],
  ["interval '1 day' * 2", '2 days'],
  ["2 * interval '1 day'", '2 days'],
  ["interval '1 day' * 1.5", '1 day 12:00:00'],
  ["interval '1 mon' * 0.5", '15 days'],
  ["interval '1 mon 3 days' / 2", '16 days 12:00:00'],
  ["interval '1 year' / 7", '1 mon 21 days 10:17:08.5344'],
  ["interval '1 day' / 0.3", '3 days 08:00:00'],
  ["interval '-1 mon' * 1.7", '-1 mons -21 days'],
  ["interval '10 mons 10 days 10:10:10' * 3.3", '2 years 9 mons 33 days 33:33:33'],
  ["interval '1 mon' = interval '30 days'", 'true'],
  ["interval '1 day' = '24 hours'", 'true'],
  ["interval '1 day' < interval '25 hours'", 'true'],
  ["interval '1 year' > '11 months'", 'true'],
  ["interval '1 day' <> '1 day'", 'false'],
  ["interval '1 day' BETWEEN '1 hour' AND '2 days'", 'true'],
  ["interval '1 day' IN ('24 hours', '2 days')", 'true'],
  ["extract(epoch from interval '1 year 2 mons 3 days 04:05:06.789')", '37015506.789000'],
  ["extract(year from interval '14 months')", '1'],
  ["extract(month from interval '14 months')", '2'],
  ["extract(day from interval '3 days')", '3'],
  ["extract(hour from interval '100 hours')", '100'],
  ["extract(minute from interval '90 minutes')", '30'],
  ["extract(second from interval '90.5 seconds')", '30.500000'],
  ["extract(milliseconds from interval '1.5 s')", '1500.000'],
  ["extract(microseconds from interval '1.5 s')", '1500000'],
  ["extract(decade from interval '25 years')", '2'],
  ["extract(century from interval '250 years')", '2'],
  ["extract(millennium from interval '2500 years')", '2'],
  ["extract(quarter from interval '7 months')", '3'],
  ["date_part('day', interval '3 days')", '3'],
  ["date_trunc('hour', interval '3 days 04:05:06')", '3 days 04:00:00'],
  ["date_trunc('day', interval '1 mon 3 days 04:05')", '1 mon 3 days'],
  ["date_trunc('month', interval '1 year 3 mons 3 days')", '1 year 3 mons'],
  ["date_trunc('year', interval '15 mons 2 days')", '1 year'],
  ["date_trunc('quarter', interval '5 mons')", '3 mons'],
  ["date_trunc('decade', interval '25 years')", '20 years'],
  ["age('1957-06-13'::timestamp) > interval '60 years'", 'true'],
  ["justify_hours(interval '27 hours')", '1 day 03:00:00'],
  ["justify_days(interval '35 days')", '1 mon 5 days'],
  ["justify_hours(interval '-25 hours 1 day')", '-01:00:00'],
  ["justify_days(interval '1 mon -35 days')", '-5 days'],
  ["CAST('1 day' AS interval)", '1 day'],
  ["'2 days'::interval::text", '2 days'],
  ["(interval '1 day')::text || 'x'", '1 dayx'],
  ["interval '1 day' || 'x'", '1 dayx'],
  ["CASE WHEN true THEN interval '1 day' ELSE '2 days' END", '1 day'],
  ["coalesce(NULL, interval '1 day')", '1 day'],
  ["nullif(interval '1 day', '24 hours')", null],
  ["greatest(interval '1 day', '2 days')", '2 days'],
  ["interval '1 day' IS NULL", 'false'],
  ["NULL::interval + interval '1 day'", null],
  ["timestamp '2024-01-31' + interval '1 month'", '2024-02-29 00:00:00'],
  ["timestamp '2024-03-31 10:00' - interval '1 month 1 day 11:00'", '2024-02-27 23:00:00'],
  ["date '2024-02-29' + interval '1 year'", '2025-02-28 00:00:00'],
  ["timestamptz '2024-01-01 00:00+00' - timestamptz '2023-11-30 12:00+00'", '31 days 12:00:00'],
  ["timestamp '2024-01-01' - timestamp '2024-02-01 06:00'", '-31 days -06:00:00'],
  ["timestamp '2024-01-01' - '2023-12-31'", '1 day'],
  ["timestamp 'infinity' + interval '1 day'", 'infinity'],
  ["age(timestamp '2024-03-01', timestamp '2024-01-31')", '1 mon 1 day'],
  ["age(timestamp '2024-01-31', timestamp '2024-03-01')", '-1 mons -1 days'],
  ["age(timestamp '2023-03-01', timestamp '2023-01-31 12:00')", '1 mon 12:00:00'],
  ["age(timestamptz '2001-04-10', timestamptz '1957-06-13')", '43 years 9 mons 27 days'],
  ["timestamp '2024-01-01' + '1 day'", '2024-01-02 00:00:00'],
  ["date_trunc('day', timestamptz '2024-02-29 13:05+00', 'UTC')", '2024-02-29 00:00:00+00'],
  ["isfinite(interval '1 day')", 'true'],
  ["date '2024-01-05' - timestamp '2024-01-01 12:00'", '3 days 12:00:00'],
];

describe('intervals are those of PostgreSQL', () => {
  test.each(answers)('%s is %j', (expression, text) => {
    const db = new MemoryDatabase();
    expect(db.run(`select (${expression})::text`).rows).toEqual([[text]]);
  });
});

const refusals: readonly [string, string][] = [
  ["interval '-P1D'", '22007'],
  ["interval 'abc'", '22007'],
  ["interval ''", '22007'],
  ["interval '1 foo'", '22007'],
  ["interval '1 day 1 day'", '22007'],
  ["interval '1 2 3'", '22007'],
  ["interval '10:70'", '22015'],
  ["interval '99999999999 years'", '22015'],
  ["+ interval '1 day'", '42883'],
  ["interval '1 day' / 0", '22012'],
  ["interval '1 day' * interval '1 day'", '42883'],
  ["interval '1 day' + 1", '42883'],
  ["extract(dow from interval '1 day')", '0A000'],
  ["extract(foo from interval '1 day')", '22023'],
  ["extract(week from interval '10 days')", '0A000'],
  ['5::interval', '42846'],
  ["interval '1 day'::int", '42846'],
  ["timestamp '2024-01-01' - '1 day'", '22007'],
  ["timestamptz '2024-01-01' + 1", '42883'],
  ["timestamp '290000-01-01' + interval '9999 years'", '22008'],
  ["'1'::interval(2)", '0A000'],
];

test.each(refusals)('%s is refused with SQLSTATE %s', (expression, sqlState) => {
  const db = new MemoryDatabase();
  expect(failureOf(expression, () => db.run(`select ${expression}`)).sqlState).toBe(sqlState);
});

test('a column cannot be of type interval, its default can reckon with one', () => {
  const db = new MemoryDatabase();
  const refused = failureOf('', () => db.run('create table t (span interval)'));
  expect(refused.sqlState).toBe('0A000');
  db.run("create table t (id integer, until timestamptz default now() + interval '30 days')");
  const { rows } = db.run('insert into t (id) values (1) returning until - now()');
  expect(rows).toEqual([['0 30 0']]);
});

test('series of times step by months of their own length', () => {
  const db = new MemoryDatabase();
  const series = "generate_series('2024-01-31'::timestamp, '2024-06-01', interval '1 month') g(x)";
  const { rows } = db.run(`select x::date::text from ${series}`);
  // As PostgreSQL: each from the one before it.
  expect(rows.flat()).toEqual([
    '2024-01-31',
    '2024-02-29',
    '2024-03-29',
    '2024-04-29',
    '2024-05-29',
  ]);
  const zero = () => db.run(series.replace('1 month', '0').replace(/^/, 'select * from '));
  expect(failureOf('', zero).sqlState).toBe('22023');
});
