import { expect, test } from 'vitest';
import { csvHeader, csvLine } from './csv.ts';
import { jsonText } from './json.ts';
import { renderRows } from './table.ts';
import { printable, valueJson, valueText } from './value-text.ts';

const plain = { color: false, cellCharactersMax: 20, lineCharactersMax: 60 };

test('times are printed to the microsecond and only as far as needed', () => {
  expect(valueText(1_674_836_267_000_000n, 'timestamptz')).toBe('2023-01-27T16:17:47Z');
  expect(valueText(1_674_836_267_120_000n, 'timestamp')).toBe('2023-01-27T16:17:47.120');
  expect(valueText(1_674_836_267_000_001n, 'timestamptz')).toBe('2023-01-27T16:17:47.000001Z');
  expect(valueText(-1n, 'timestamptz')).toBe('1969-12-31T23:59:59.999999Z');
  expect(valueText(2n ** 63n - 1n, 'timestamp')).toBe('infinity');
  expect(valueJson(-(2n ** 63n), 'timestamptz')).toBe('-infinity');
});

test('JSON keeps every digit', () => {
  expect(valueJson(9_007_199_254_740_991n, 'bigint')).toBe(9_007_199_254_740_991);
  expect(valueJson(9_007_199_254_740_992n, 'bigint')).toBe('9007199254740992');
  expect(valueJson(Number.NaN, 'real')).toBe('NaN');
  expect(valueJson('1.50', 'numeric')).toBe('1.50');
  expect(valueJson(new Uint8Array([0, 255]), 'bytea')).toBe('\\x00ff');
  expect(valueJson({ a: [1] }, 'jsonb')).toEqual({ a: [1] });
  expect(jsonText({ position: 3n })).toBe('{"position":3}');
});

test('CSV tells NULL from the empty text and quotes what needs it', () => {
  const columns = [
    { name: 'a', type: 'text' },
    { name: 'b,c', type: 'text' },
    { name: 'd', type: 'boolean' },
  ];
  expect(csvHeader(columns)).toBe('a,"b,c",d\n');
  expect(csvLine([null, '', true], columns)).toBe(',"",true\n');
  expect(csvLine(['x"y\nz', ' ', false], columns)).toBe('"x""y\nz", ,false\n');
});

test('a stored value cannot drive the terminal', () => {
  expect(printable('a\u001b[2Jb\u009bc\u202ed')).toBe('a\\u001b[2Jb\\u009bc\\u202ed');
  const table = renderRows([['\u001b]0;owned\u0007']], [{ name: 'x', type: 'text' }], plain);
  expect(table).not.toContain('\u001b');
});

test('tables align numbers to the right, cut long cells and show NULL', () => {
  const table = renderRows(
    [
      [5, 'x'.repeat(30)],
      [1234, null],
    ],
    [
      { name: 'n', type: 'integer' },
      { name: 't', type: 'text' },
    ],
    plain,
  );
  expect(table).toContain('│    5 │');
  expect(table).toContain(`${'x'.repeat(19)}…`);
  expect(table).toContain('NULL');
});

test('rows that are too wide for the terminal become blocks', () => {
  const columns = ['a', 'b', 'c', 'd'].map((name) => ({ name, type: 'text' }));
  const row = columns.map(() => 'y'.repeat(18));
  expect(renderRows([row, row], columns, plain)).toMatch(
    /── row 1 ─+\na │ y+\nb │ y+\nc │ y+\nd │ y+\n── row 2/,
  );
});
