/** What the algorithm and compression in a frame's header do, and what a reader makes of other ones. */
import { expect, test } from 'vitest';
import { LogMaker } from '../../test/support/log-maker.ts';
import { utf8Encode } from '../base/index.ts';
import { crc32, type SealingSuite, SectionKey, SecretKey } from '../crypto/index.ts';
import {
  checkFrame,
  type CheckedFrame,
  decodeFrameHeader,
  encodeFrame,
  type FrameHeader,
  isProblem,
  openFrame,
  physicalHeaderBytes,
} from './index.ts';

const suites: SealingSuite[] = (['aes-256-gcm', 'chacha20-poly1305', 'none'] as const).flatMap(
  (algorithm) => (['none', 'brotli'] as const).map((compression) => ({ algorithm, compression })),
);
const algorithmOffset = 6;
const compressionOffset = 7;
const text = utf8Encode('a diagnosis, and the same diagnosis again; '.repeat(30));
const events = [
  { tenant: 1, event: text },
  { tenant: 2, event: [text, utf8Encode('in parts')] },
  { tenant: 1, event: utf8Encode('short') },
];

function checked(frame: Uint8Array): CheckedFrame {
  const result = checkFrame(frame, decodeFrameHeader(frame, 0) as FrameHeader);
  if (isProblem(result)) throw new Error(result.what);
  return result;
}

/** The frame with another byte in its physical header, and the header's checksum put right. */
function withByte(frame: Uint8Array, offset: number, value: number): Uint8Array {
  const changed = frame.slice();
  changed[offset] = value;
  new DataView(changed.buffer).setUint32(84, crc32(changed.subarray(0, 84)), true);
  return changed;
}

test.each(suites)('$algorithm with $compression: what is written is read back', (suite) => {
  const maker = new LogMaker(1, suite);
  const frame = checked(maker.add('data', events).bytes);
  const opened = openFrame(frame, ({ tenant }) => maker.keyFor(tenant));
  if (isProblem(opened)) throw new Error(opened.what);
  expect(opened.map(({ event }) => Buffer.from(event).toString())).toEqual([
    Buffer.from(text).toString(),
    `${Buffer.from(text).toString()}in parts`,
    'short',
  ]);
  for (const kind of ['mark', 'end', 'close'] as const) {
    const empty = checked(maker.add(kind).bytes);
    expect(openFrame(empty, ({ tenant }) => maker.keyFor(tenant))).toEqual([]);
  }
});

test('the suite changes the bytes of a frame and neither its commitments nor its chain hash', () => {
  const frames = suites.map((suite) => new LogMaker(1, suite).add('data', events));
  expect(new Set(frames.map(({ chainHash }) => Buffer.from(chainHash).toString('hex'))).size).toBe(
    1,
  );
  expect(new Set(frames.map(({ bytes }) => Buffer.from(bytes).toString('hex'))).size).toBe(6);
  const [stored, compressed] = frames.map(({ bytes }) => bytes.length) as [number, number];
  expect(compressed).toBeLessThan(stored / 2);
});

test('plain mode stores the text as it is, the others do not', () => {
  const found = suites
    .filter(({ compression }) => compression === 'none')
    .map((suite) =>
      Buffer.from(new LogMaker(1, suite).add('data', events).bytes).includes(Buffer.from(text)),
    );
  expect(found).toEqual([false, false, true]);
});

test('a header that names an unknown algorithm or compression is refused as such', () => {
  const { bytes } = new LogMaker().add('data', events);
  for (const [offset, value] of [
    [algorithmOffset, 3],
    [algorithmOffset, 255],
    [compressionOffset, 2],
  ] as const) {
    const changed = withByte(bytes, offset, value);
    expect(checkFrame(changed, decodeFrameHeader(changed, 0) as FrameHeader)).toMatchObject({
      code: 'FORMAT_UNSUPPORTED',
      offset: 6,
    });
  }
});

test('a header that names another known algorithm or compression does not open', () => {
  for (const suite of suites.filter(({ algorithm }) => algorithm !== 'none')) {
    const maker = new LogMaker(1, suite);
    const { bytes } = maker.add('data', events);
    for (const offset of [algorithmOffset, compressionOffset]) {
      for (const value of offset === algorithmOffset ? [0, 1, 2] : [0, 1]) {
        if (bytes[offset] === value) continue;
        const frame = checked(withByte(bytes, offset, value));
        expect(openFrame(frame, ({ tenant }) => maker.keyFor(tenant))).toMatchObject({
          code: 'AUTHENTICATION_FAILED',
        });
      }
    }
  }
});

test('in plain mode a header that names a cipher is refused too', () => {
  const maker = new LogMaker(1, { algorithm: 'none', compression: 'none' });
  const { bytes } = maker.add('data', events);
  for (const algorithm of [1, 2]) {
    const frame = checked(withByte(bytes, algorithmOffset, algorithm));
    expect(openFrame(frame, ({ tenant }) => maker.keyFor(tenant))).toMatchObject({
      code: 'AUTHENTICATION_FAILED',
    });
  }
  const frame = checked(withByte(bytes, compressionOffset, 1));
  expect(openFrame(frame, ({ tenant }) => maker.keyFor(tenant))).toMatchObject({
    code: 'COMMITMENT_MISMATCH',
  });
});

test('the sections of a frame expand to no more than a frame may hold together', () => {
  const maker = new LogMaker(1, { algorithm: 'aes-256-gcm', compression: 'brotli' });
  const event = new Uint8Array(40 << 20);
  const one = checked(maker.add('data', [{ tenant: 1, event }]).bytes);
  // A failure that prints 40 MiB would take for ever.
  const opened = (frame: CheckedFrame): string => {
    const result = openFrame(frame, ({ tenant }) => maker.keyFor(tenant));
    return isProblem(result) ? result.what : 'opened';
  };
  expect(opened(one)).toBe('opened');
  const both = checked(
    maker.add(
      'data',
      [1, 2].map((tenant) => ({ tenant, event })),
    ).bytes,
  );
  expect(both.header.frameLength).toBeLessThan(1 << 20);
  expect(opened(both)).toBe('A section does not expand to its records');
});

test('a plain frame, which anybody can write, is not believed where sections are sealed', () => {
  const sealed = new LogMaker(1);
  const forged = checked(
    new LogMaker(1, { algorithm: 'none', compression: 'none' }).add('data', events).bytes,
  );
  expect(openFrame(forged, ({ tenant }) => sealed.keyFor(tenant))).toMatchObject({
    code: 'AUTHENTICATION_FAILED',
  });
});

test('a section names the secret that its key derives from; under another number it does not open', () => {
  const maker = new LogMaker();
  const frame = checked(maker.add('data', events).bytes);
  expect(frame.sections.map(({ secretNumber }) => secretNumber)).toEqual([1, 1]);
  const { header } = frame;
  const again = encodeFrame(header, {
    logicalHeader: maker.frames[0]?.bytes.slice(
      physicalHeaderBytes,
      header.bodyStart,
    ) as Uint8Array,
    leaves: frame.leaves,
    sections: frame.sections.map((section) => ({
      ...section,
      secretNumber: 2,
      ciphertext: section.sealed,
      tag: new Uint8Array(),
    })),
    chain: frame.chainHash,
  });
  const renumbered = checked(again);
  expect(renumbered.sections.map(({ secretNumber }) => secretNumber)).toEqual([2, 2]);
  const opened = openFrame(renumbered, ({ tenant, secretNumber }) => {
    const secret = new SecretKey(new Uint8Array(32).fill(tenant + 1));
    const { logId, epochSalt, suite } = maker;
    return new SectionKey(secret, epochSalt, {
      logId,
      tenant,
      secretNumber,
      algorithm: suite.algorithm,
    });
  });
  expect(opened).toMatchObject({ code: 'AUTHENTICATION_FAILED' });
});
