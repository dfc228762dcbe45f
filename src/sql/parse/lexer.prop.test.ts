import fc from 'fast-check';
import { loadModule, scanSync } from 'libpg-query';
import { beforeAll, expect, test } from 'vitest';
import { tokenize } from './lexer.ts';
import { SourceText } from './source.ts';

beforeAll(loadModule);

/** PostgreSQL's own tokens as [start, end], comments left out, N'…' in one; undefined if it cannot scan the text. */
function scannedByPostgres(text: string): number[][] | undefined {
  let tokens;
  try {
    ({ tokens } = scanSync(text));
  } catch {
    return undefined;
  }
  const source = new SourceText(text);
  const places: number[][] = [];
  for (const token of tokens) {
    if (token.tokenName === 'SQL_COMMENT' || token.tokenName === 'C_COMMENT') continue;
    const start = source.indexOfByte(token.start);
    const end = source.indexOfByte(token.end);
    const last = places[places.length - 1];
    const continuesN =
      last !== undefined &&
      last[1] === start &&
      /^n$/i.test(text.slice(last[0], last[1])) &&
      text[start] === "'";
    if (continuesN) last[1] = end;
    else places.push([start, end]);
  }
  return places;
}

const fragments = [
  'select',
  'e',
  'E',
  'n',
  'N',
  'b',
  'x',
  'X',
  'u&',
  'U&',
  'é',
  '😀',
  '_a$1',
  'a',
  "'",
  "''",
  "'a'",
  "'a\\'",
  "E'\\''",
  '"',
  '"a"',
  '""',
  '$1',
  '$$',
  '$a$',
  '$',
  '0',
  '1',
  '12',
  '1.5',
  '.5',
  '1.',
  '1e5',
  '1e',
  '1_0',
  '0x1F',
  '0b1',
  '0o7',
  '..',
  '.',
  ' ',
  '\n',
  '\t',
  '\r',
  '--',
  '-- c\n',
  '/*',
  '*/',
  '/* c */',
  '-',
  '+',
  '*',
  '/',
  '%',
  '<',
  '>',
  '=',
  '<=',
  '>=',
  '<>',
  '!=',
  '=>',
  '->',
  '->>',
  '@>',
  '||',
  '~',
  '!',
  '@',
  '#',
  '^',
  '&',
  '|',
  '?',
  '`',
  '(',
  ')',
  '[',
  ']',
  ',',
  ';',
  ':',
  '::',
  ':=',
  'as of position 5',
  'UESCAPE',
  '\\',
  '{',
];

test('our tokens are those of the PostgreSQL scanner, whatever the text it can scan', () => {
  let compared = 0;
  const piece = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...fragments) },
    fc.string({ unit: fc.constantFrom(...'ab\'"$-/*e\\ \n'), maxLength: 6 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
      const text = pieces.join('');
      const expected = scannedByPostgres(text);
      if (expected === undefined) return;
      compared++;
      expect(tokenize(text).map(({ start, end }) => [start, end])).toEqual(expected);
    }),
    { numRuns: 20_000, seed: 7 },
  );
  expect(compared).toBeGreaterThan(4_000);
});
