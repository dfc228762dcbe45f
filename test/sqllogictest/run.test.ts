/** What the runner of sqllogictest files takes, and what it finds wrong. */
import { describe, expect, test } from 'vitest';
import { type Cell, textOf } from './result.ts';
import { type Engine, runScript } from './run.ts';

/** Answers `SELECT a, b; c, d` with the rows (a, b) and (c, d); refuses what begins with BAD. */
const parrot: Engine = {
  name: 'postgresql',
  execute: async (sql) => {
    if (sql.startsWith('BAD')) throw Object.assign(new Error('bad'), { sqlState: '42601' });
    if (sql.startsWith('CRASH')) throw new TypeError('crash');
  },
  query: async (sql) => {
    if (sql.startsWith('BAD')) throw Object.assign(new Error('bad'), { sqlState: '42601' });
    const rows = sql.replace(/^SELECT /, '').split(';');
    return rows.map((row) =>
      row.split(',').map((text): Cell => (text.trim() === 'NULL' ? null : text.trim())),
    );
  },
};

async function wrongs(script: string): Promise<string[]> {
  const { failures } = await runScript(script, parrot);
  return failures.map(({ line, what }) => `${line}: ${what}`);
}

const query = (types: string, sort: string, sql: string, ...expected: string[]): string =>
  [`query ${types} ${sort}`, sql, '----', ...expected].join('\n');

describe('a file passes', () => {
  test.each([
    ['statements that do as they say', 'statement ok\nGOOD\n\nstatement error\nBAD'],
    [
      'values in the order of the rows',
      query('II', 'nosort', 'SELECT 2, 1; 1, 3', '2', '1', '1', '3'),
    ],
    ['rows in order', query('II', 'rowsort', 'SELECT 2, 1; 1, 3', '1', '3', '2', '1')],
    ['values in order', query('II', 'valuesort', 'SELECT 2, 1; 1, 3', '1', '1', '2', '3')],
    [
      'NULL, an empty text and what does not print',
      query('TTT', 'nosort', 'SELECT NULL, , é', 'NULL', '(empty)', '@'),
    ],
    [
      'no rows behind no line',
      'query I nosort\nSELECT 1\n----\n1\n\n# a comment\n\nstatement ok # too\nGOOD',
    ],
    [
      'a hash beyond the threshold',
      `hash-threshold 1\n\n${query('II', 'nosort', 'SELECT 1, 2', '2 values hashing to 6ddb4095eb719e2a9f0a3f95677d24e0')}`,
    ],
    [
      'what another engine would fail',
      'onlyif sqlite\nstatement ok\nBAD\n\nskipif postgresql\nstatement ok\nBAD',
    ],
    ['what is behind halt', 'onlyif mysql\nhalt\n\nonlyif postgresql\nhalt\n\nstatement ok\nBAD'],
    [
      'equal labels',
      `${query('I', 'nosort x', 'SELECT 1', '1')}\n\n${query('I', 'nosort x', 'SELECT 1', '1')}`,
    ],
  ])('with %s', async (_what, script) => {
    expect(await wrongs(script)).toEqual([]);
  });
});

describe('found are', () => {
  test.each([
    ['a statement that fails', 'statement ok\nBAD', '1: 42601: bad'],
    ['one that should', 'statement error\nGOOD', '1: expected an error, succeeded'],
    ['one that fails in another way', 'statement error\nCRASH', '1: TypeError: crash'],
    ['a value', query('I', 'nosort', 'SELECT 1', '2'), '1: value 1: expected [2], got [1]'],
    ['a row more', query('I', 'nosort', 'SELECT 1; 2', '1'), '1: expected 1 values, got 2'],
    [
      'a column more',
      query('I', 'nosort', 'SELECT 1, 2', '1'),
      '1: Error: expected 1 columns, got 2',
    ],
    [
      'the order',
      query('I', 'nosort', 'SELECT 2; 1', '1', '2'),
      '1: value 1: expected [1], got [2]',
    ],
    [
      'another hash',
      query('I', 'nosort', 'SELECT 1', '1 values hashing to 6ddb4095eb719e2a9f0a3f95677d24e0'),
      '1: expected 1 values hashing to 6ddb4095eb719e2a9f0a3f95677d24e0, got 1 values hashing to b026324c6904b2a9cb4b88d6d61c81d1',
    ],
    [
      'a result unlike the label, even of a query for others',
      `skipif postgresql\n${query('I', 'nosort x', 'SELECT 1', '1')}\n\n${query('I', 'nosort x', 'SELECT 2', '2')}`,
      '7: the result is not that of x before',
    ],
    [
      'what PostgreSQL refuses and we take',
      'statement ok\nUPDATE t1 SET x=3, x=4, x=5',
      '1: expected a refusal with 42601',
    ],
  ])('%s', async (_what, script, expected) => {
    expect(await wrongs(script)).toEqual([expected]);
  });
});

test.each([
  ['statement maybe\nGOOD'],
  ['statement ok'],
  ['query X nosort\nSELECT 1'],
  ['query I sideways\nSELECT 1'],
  ['query I nosort'],
  ['hash-threshold many'],
  ['onlyif sqlite'],
  ['include other.test'],
])('%j is refused as no record of the format', async (script) => {
  await expect(runScript(script, parrot)).rejects.toThrow(/^line 1: /);
});

test.each<[Cell, string, string]>([
  [true, 'I', '1'],
  [false, 'T', '0'],
  [2.9, 'I', '2'],
  ['-2.9', 'I', '-2'],
  ['12345678901234567890', 'I', '12345678901234567890'],
  ['text', 'I', '0'],
  ['1.5', 'R', '1.500'],
  [0.0625, 'R', '0.062'],
  [0.1875, 'R', '0.188'],
  [2n, 'R', '2.000'],
])('%s in a column of %s is %s', (cell, type, text) => {
  expect(textOf(cell, type)).toBe(text);
});
