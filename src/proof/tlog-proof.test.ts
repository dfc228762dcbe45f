/** Log proofs as text, tiles' paths, base64. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatTlogProof, fromBase64, parseTlogProof, tilePath, toBase64 } from './index.ts';

const checkpoint = `o\n9\n${toBase64(new Uint8Array(32))}\n\n— o ${toBase64(new Uint8Array(68))}\n`;
const proof = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
const text = formatTlogProof({ index: 7, proof, checkpoint });
const hash = toBase64(new Uint8Array(32).fill(1));

describe('a log proof', () => {
  test('is read as it is written, with and without extra data', () => {
    expect(parseTlogProof(text)).toEqual({ index: 7, proof, checkpoint });
    const extra = new Uint8Array([1, 2, 3]);
    const more = formatTlogProof({ index: 0, proof: [], checkpoint, extra });
    expect(more.split('\n').slice(0, 4)).toEqual([
      'c2sp.org/tlog-proof@v1',
      'extra AQID',
      'index 0',
      '',
    ]);
    expect(parseTlogProof(more)).toEqual({ index: 0, proof: [], checkpoint, extra });
  });

  test.each([
    ['another version', text.replace('@v1', '@v2')],
    ['no index', text.replace('index 7\n', '')],
    ['an index with a zero before it', text.replace('index 7', 'index 07')],
    ['extra data behind the index', text.replace('index 7\n', 'index 7\nextra AQID\n')],
    ['extra data twice', text.replace('index', 'extra AQID\nextra AQID\nindex')],
    ['extra data that is not base64', text.replace('index', 'extra AQI\nindex')],
    ['a short hash', text.replace(hash, toBase64(new Uint8Array(31)))],
    ['64 hashes', text.replace(hash, Array(64).fill(hash).join('\n'))],
    ['a million hashes', text.replace(hash, Array(1_000_000).fill('').join(`${hash}\n`))],
    ['no checkpoint', text.slice(0, text.indexOf('\n\n') + 2)],
    ['no empty line', text.replace('\n\n', '\n')],
    ['a carriage return', text.replaceAll('\n', '\r\n')],
  ])('with %s is malformed', (_, bad) => {
    expect(() => parseTlogProof(bad)).toThrow(expect.objectContaining({ code: 'PROOF_MALFORMED' }));
  });
});

test('tiles have the paths of the specification', () => {
  expect(tilePath(0, 1_234_067)).toBe('tile/0/x001/x234/067');
  expect(tilePath(2, 0, 1)).toBe('tile/2/000.p/1');
  expect(tilePath(1, 999)).toBe('tile/1/999');
  expect(tilePath(1, 1000, 255)).toBe('tile/1/x001/000.p/255');
});

test('base64 has one spelling', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const spelled = toBase64(bytes);
      expect(spelled).toBe(Buffer.from(bytes).toString('base64'));
      expect(fromBase64(spelled)).toEqual(bytes);
    }),
  );
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom(...'AQgw/+=- \n'), maxLength: 12 }),
      (spelled) => {
        const bytes = fromBase64(spelled);
        if (bytes !== undefined) expect(Buffer.from(bytes).toString('base64')).toBe(spelled);
      },
    ),
  );
});
