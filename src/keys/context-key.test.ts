import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { contextKey } from './context-key.ts';

const vectors = JSON.parse(
  readFileSync(new URL('../../test/vectors/blake3.json', import.meta.url), 'utf8'),
) as { context_string: string; cases: { input_len: number; derive_key: string }[] };

test('keys are derived for a context as the authors of BLAKE3 publish', () => {
  expect(vectors.cases).toHaveLength(35);
  for (const { input_len: length, derive_key: expected } of vectors.cases) {
    const input = Uint8Array.from({ length }, (_, index) => index % 251);
    for (const size of [1, 32, expected.length / 2]) {
      const key = Buffer.from(contextKey(vectors.context_string, input, size)).toString('hex');
      expect(key, `${length} bytes`).toBe(expected.slice(0, size * 2));
    }
  }
});
