import fc from 'fast-check';
import { expect, test } from 'vitest';
import { placeInInput, type Statement, StatementSplitter } from './statement-splitter.ts';

function split(...pieces: string[]): Statement[] {
  const splitter = new StatementSplitter();
  return [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()];
}
const texts = (...pieces: string[]): string[] =>
  split(...pieces).map((statement) => statement.text);

test('statements end at semicolons outside quotes and comments', () => {
  expect(texts('SELECT 1; SELECT 2')).toEqual(['SELECT 1', 'SELECT 2']);
  expect(texts(`SELECT ';', "a;b"; SELECT 'it''s;' ;`)).toEqual([
    `SELECT ';', "a;b"`,
    `SELECT 'it''s;' `,
  ]);
  expect(texts(`SELECT E'\\';' ; SELECT '\\'; SELECT 3`)).toEqual([
    `SELECT E'\\';' `,
    `SELECT '\\'`,
    'SELECT 3',
  ]);
  expect(texts('SELECT 1 -- ; no\n; SELECT 2 /* ; /* ; */ ; */ + 1')).toEqual([
    'SELECT 1 -- ; no\n',
    'SELECT 2 /* ; /* ; */ ; */ + 1',
  ]);
  expect(texts('SELECT $$a;b$$; SELECT $x$ $$ ; $x$')).toEqual([
    'SELECT $$a;b$$',
    'SELECT $x$ $$ ; $x$',
  ]);
  expect(texts('SELECT $1; SELECT a$b$ FROM t; SELECT 2')).toEqual([
    'SELECT $1',
    'SELECT a$b$ FROM t',
    'SELECT 2',
  ]);
  expect(texts("SELECT rate'x;y'; SELECT 2")).toEqual(["SELECT rate'x;y'", 'SELECT 2']);
});

test('empty statements and lone comments are dropped', () => {
  expect(texts(' ;; -- only a comment\n /* and another */ ;\n')).toEqual([]);
});

test('a statement knows where it stands in the whole input', () => {
  const [, second] = split('SELECT 1;\n\n  SELECT\n  nope FROM t;');
  expect(second).toMatchObject({ offset: 13, line: 3, column: 3 });
  expect(placeInInput(second as Statement, 9)).toEqual({ offset: 22, line: 4, column: 3 });
  expect(placeInInput(second as Statement, 2)).toEqual({ offset: 15, line: 3, column: 5 });
});

test('the pieces in which the text arrives make no difference', () => {
  const token = fc.constantFrom(
    "'",
    '"',
    ';',
    '-',
    '--',
    '/',
    '*',
    '/*',
    '*/',
    '$',
    '$$',
    '$a$',
    '\\',
    'E',
    'e',
    '\n',
    ' ',
    'x',
    '1',
    "E'",
    "''",
  );
  fc.assert(
    fc.property(fc.array(token, { maxLength: 40 }), fc.array(fc.nat(60)), (tokens, cuts) => {
      const text = tokens.join('');
      const places = [...new Set(cuts.filter((cut) => cut < text.length))].sort((a, b) => a - b);
      const pieces = places.map((place, index) =>
        text.slice(index === 0 ? 0 : places[index - 1], place),
      );
      pieces.push(text.slice(places.at(-1) ?? 0));
      expect(split(...pieces)).toEqual(split(text));
    }),
    { numRuns: 2_000 },
  );
});

test('a statement that never ends is refused', () => {
  const splitter = new StatementSplitter();
  expect(() => {
    for (let index = 0; index < 40; index++) splitter.push(`'${'x'.repeat(50_000)}`);
  }).toThrow(/longer than/);
});

test('the prompt can tell whether a statement has begun', () => {
  const splitter = new StatementSplitter();
  expect(splitter.unfinished).toBe(false);
  splitter.push('SELECT 1;\n');
  expect(splitter.unfinished).toBe(false);
  splitter.push("SELECT 'a\n");
  expect(splitter.unfinished).toBe(true);
  splitter.reset();
  expect(splitter.push('SELECT 2;')).toMatchObject([{ text: 'SELECT 2' }]);
});
