import fc from 'fast-check';
import { expect, test } from 'vitest';
import { like } from './like.ts';

/** The definition, one character at a time, exponential in the worst case. */
function matches(text: readonly string[], pattern: readonly string[], escape: string): boolean {
  const [first, ...rest] = pattern;
  if (first === undefined) return text.length === 0;
  if (first === escape)
    return text[0] === rest[0] && text.length > 0 && matches(text.slice(1), rest.slice(1), escape);
  if (first === '%')
    return (
      matches(text, rest, escape) || (text.length > 0 && matches(text.slice(1), pattern, escape))
    );
  return (
    text.length > 0 && (first === '_' || first === text[0]) && matches(text.slice(1), rest, escape)
  );
}

test('LIKE is what its definition says', () => {
  const text = fc.array(fc.constantFrom('a', 'b', 'é', '😀', '%'), { maxLength: 9 });
  const pattern = fc.array(fc.constantFrom('a', 'b', 'é', '😀', '%', '_', '%', '_', '!'), {
    maxLength: 7,
  });
  fc.assert(
    fc.property(text, pattern, (characters, signs) => {
      fc.pre(signs.join('').replaceAll('!!', '').at(-1) !== '!');
      expect(like(characters.join(''), signs.join(''), '!')).toBe(matches(characters, signs, '!'));
    }),
    { numRuns: 20_000, seed: 11 },
  );
});

test('a long segment is found over the borders of 32 characters', () => {
  const word = 'abcdefghij'.repeat(9);
  for (const segment of [word, word.replaceAll('c', '_')]) {
    expect(like(`xx${word}yy`, `%${segment}%`, '')).toBe(true);
    expect(like(`xx${word.slice(0, -1)}zyy`, `%${segment}%`, '')).toBe(false);
  }
});

test.each([
  ['many %', 'a'.repeat(200_000), `${'%a'.repeat(5_000)}%b%`],
  ['a long plain segment', `${'a'.repeat(500_000)}b`, `%${'a'.repeat(250_000)}c%`],
  ['a long segment with _', 'a'.repeat(200_000), `%${'a_'.repeat(2_000)}b%`],
])('%s takes time linear in the text', (_name, text, pattern) => {
  const start = performance.now();
  expect(like(text, pattern, '\\')).toBe(false);
  expect(performance.now() - start).toBeLessThan(2_000);
});

test('a segment with _ has a bound', () => {
  expect(() => like('a', `%${'a_'.repeat(3_000)}%`, '\\')).toThrow(/exceeds/);
});
