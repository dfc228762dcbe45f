import { brotliCompressSync, constants } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Prng, concatBytes, utf8Encode } from '../base/index.ts';
import { Writer } from '../codec/index.ts';
import { packSection, unpackRecords } from './section-form.ts';

const none = 0;
const brotli = 1;
const seed = new Prng(1).bytes(32);
const megabyte = 1 << 20;

const pack = (records: Uint8Array): Uint8Array =>
  packSection(concatBytes(seed, records), 'brotli', new Writer()).slice();
const unpack = (packed: Uint8Array, bytesMax = megabyte): Uint8Array | undefined =>
  unpackRecords(packed, brotli, bytesMax);
const u32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
};
/** A section whose records claim to have `length` bytes. */
const crafted = (length: number, stream: Uint8Array): Uint8Array =>
  concatBytes(seed, Uint8Array.of(1), u32(length), stream);

test('records come back as they were, whatever they are', () => {
  const runs = fc.array(
    fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.integer({ max: 60, min: 1 })),
  );
  fc.assert(
    fc.property(runs, (pieces) => {
      const records = concatBytes(...pieces.flatMap(([bytes, times]) => Array(times).fill(bytes)));
      const packed = pack(records);
      expect(packed.subarray(0, 32)).toEqual(seed);
      expect(packed.length).toBeLessThanOrEqual(records.length + 33);
      expect(new Uint8Array(unpack(packed) ?? [])).toEqual(records);
    }),
    { numRuns: 300 },
  );
});

test('records that are short, or do not shrink, are stored as they are', () => {
  const repeated = utf8Encode('patient '.repeat(200));
  expect(pack(repeated)[32]).toBe(1);
  expect(pack(repeated).length).toBeLessThan(100);
  expect(pack(repeated.subarray(0, 255))[32]).toBe(0);
  const noise = new Prng(2).bytes(5_000);
  expect(pack(noise)).toEqual(concatBytes(seed, Uint8Array.of(0), noise));
});

test('without compression the section is sealed as it is', () => {
  const section = concatBytes(seed, utf8Encode('patient '.repeat(200)));
  expect(packSection(section, 'none', new Writer())).toBe(section);
  expect(unpackRecords(section, none, megabyte)).toEqual(section.subarray(32));
  expect(unpackRecords(section, none, 100)).toBeUndefined();
});

test('a bomb takes no memory: what is longer than allowed is refused by its length, what lies by its stream', () => {
  const params = { [constants.BROTLI_PARAM_QUALITY]: 1 };
  const bomb = brotliCompressSync(new Uint8Array(64 * megabyte), { params });
  expect(bomb.length).toBeLessThan(20_000);
  const before = process.memoryUsage().arrayBuffers;
  for (let round = 0; round < 20; round++) {
    for (const length of [64 * megabyte, 0xffff_ffff, 1_000])
      expect(unpack(crafted(length, bomb)) === undefined, `${length} bytes`).toBe(true);
  }
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * megabyte);
});

test('a stream that is cut, too long, too short, or followed by anything is refused', () => {
  const records = utf8Encode('patient '.repeat(200));
  const stream = brotliCompressSync(records);
  expect(unpack(crafted(records.length, stream))).toBeDefined();
  expect(unpack(crafted(records.length + 1, stream))).toBeUndefined();
  expect(unpack(crafted(records.length - 1, stream))).toBeUndefined();
  expect(unpack(crafted(records.length, concatBytes(stream, Uint8Array.of(0))))).toBeUndefined();
  for (let kept = 0; kept < stream.length; kept++)
    expect(unpack(crafted(records.length, stream.subarray(0, kept)))).toBeUndefined();
});

test('an unknown or missing form is refused', () => {
  for (const rest of [[], [2], [255, 1, 2], [1], [1, 0, 0, 0]])
    expect(unpack(concatBytes(seed, Uint8Array.from(rest)))).toBeUndefined();
  expect(unpack(concatBytes(seed, Uint8Array.of(0)))).toEqual(new Uint8Array());
});
