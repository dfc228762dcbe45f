/**
 * Frames with anything in them: fields set to their limits, bytes changed, parts swapped, cut and repeated, and
 * in half of them the checksums put right again, so that the checks behind those are reached.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LogMaker } from '../../test/support/log-maker.ts';
import { concatBytes, equalBytes, Prng, utf8Encode } from '../base/index.ts';
import { Writer } from '../codec/index.ts';
import { crc32, type SealingSuite, sha256 } from '../crypto/index.ts';
import {
  chainHash,
  checkFrame,
  type CheckedFrame,
  decodeFrameHeader,
  encodeFrame,
  encodeLogicalHeader,
  type FrameHeader,
  isProblem,
  openFrame,
  physicalHeaderBytes,
} from './index.ts';

const runs = 20_000;
const suites: SealingSuite[] = [
  { algorithm: 'aes-256-gcm', compression: 'none' },
  { algorithm: 'chacha20-poly1305', compression: 'brotli' },
  { algorithm: 'none', compression: 'none' },
  { algorithm: 'none', compression: 'brotli' },
];

interface Sample {
  readonly maker: LogMaker;
  readonly bytes: Uint8Array;
}

const samples: Sample[] = suites.flatMap((suite, number) => {
  const maker = new LogMaker(number + 1, suite);
  const text = utf8Encode('the same words again and again; '.repeat(20));
  maker.add('data', [{ tenant: 1, event: utf8Encode('one') }]);
  maker.add('data', [
    { tenant: 1, event: text },
    { tenant: 2, event: [utf8Encode('in'), text, utf8Encode('parts')] },
    { tenant: 1, event: new Uint8Array() },
  ]);
  maker.add('mark');
  maker.addBytes(3_000, 3);
  maker.add('end');
  return maker.frames.map(({ bytes }) => ({ maker, bytes }));
});

/** Sizes of the typed arrays that the code under test makes. */
let largestAllocation = 0;
const originals = { Uint8Array, Int32Array, Uint32Array };

beforeAll(() => {
  for (const [name, original] of Object.entries(originals)) {
    const watched: typeof Uint8Array = new Proxy(original as typeof Uint8Array, {
      construct(target, args: [unknown], newTarget) {
        if (typeof args[0] === 'number')
          largestAllocation = Math.max(largestAllocation, args[0] * target.BYTES_PER_ELEMENT);
        return Reflect.construct(target, args, newTarget === watched ? target : newTarget);
      },
    });
    Object.assign(globalThis, { [name]: watched });
  }
});
afterAll(() => void Object.assign(globalThis, originals));

const numbers = [0, 1, 2, 7, 8, 31, 0xff, 0xffff, 0x1_0000, 0x7fff_ffff, 0xffff_ffff];
/** Offsets of the u32 fields of a physical and a logical header: lengths, counts, numbers. */
const fieldOffsets = [4, 8, 12, 16, 20, 24, 28, 32, 36, 76, 80].concat(
  [16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 68].map((at) => at + physicalHeaderBytes),
);

function mutate(bytes: Uint8Array, random: Prng): Uint8Array {
  const at = (length: number): number => random.below(Math.max(length, 1));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  switch (random.below(6)) {
    case 0:
      bytes[at(bytes.length)] = random.below(256);
      return bytes;
    case 1: {
      const offset = fieldOffsets[at(fieldOffsets.length)] as number;
      if (offset + 4 > bytes.length) return bytes;
      const near = view.getUint32(offset, true) + random.below(3) - 1;
      const far = numbers[at(numbers.length)] as number;
      view.setUint32(offset, random.below(2) === 0 ? near >>> 0 : far, true);
      return bytes;
    }
    case 2: {
      // Behind the headers: the order of leaves, lengths and numbers of sections.
      const offset = physicalHeaderBytes + at(bytes.length - physicalHeaderBytes - 4);
      if (offset + 4 <= bytes.length)
        view.setUint32(offset, numbers[at(numbers.length)] as number, true);
      return bytes;
    }
    case 3: {
      const from = at(bytes.length);
      bytes.copyWithin(at(bytes.length), from, from + at(64));
      return bytes;
    }
    case 4:
      return bytes.slice(0, at(bytes.length));
    default: {
      const cut = at(bytes.length) & ~7;
      return concatBytes(bytes.subarray(0, cut), bytes.subarray(Math.max(0, cut - at(40) * 8)));
    }
  }
}

/** Makes length, digests and checksums fit what the frame says, as an attacker without keys would. */
function repair(bytes: Uint8Array): void {
  if (bytes.length < physicalHeaderBytes + 80) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const logicalLength = view.getUint32(12, true);
  const bodyStart = physicalHeaderBytes + logicalLength;
  if (bodyStart + 80 <= bytes.length) {
    view.setUint32(8, bytes.length, true);
    view.setUint32(16, bytes.length - bodyStart, true);
    repairDigests(bytes, bodyStart);
    view.setUint32(72, crc32(bytes.subarray(bodyStart)), true);
    view.setUint32(76, crc32(bytes.subarray(physicalHeaderBytes, bodyStart)), true);
  }
  view.setUint32(84, crc32(bytes.subarray(0, 84)), true);
}

function repairDigests(bytes: Uint8Array, bodyStart: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const logical = bytes.subarray(physicalHeaderBytes, bodyStart);
  if (logical.length < 96) return;
  const leavesEnd = bodyStart + view.getUint32(physicalHeaderBytes + 48, true) * 34;
  const sectionCount = view.getUint32(physicalHeaderBytes + 60, true);
  let end = leavesEnd;
  for (let number = 0; number < sectionCount && end + 4 <= bytes.length; number++)
    end += 52 + view.getUint32(end, true);
  if (end + 64 > bytes.length) return;
  bytes.set(sha256(bytes.subarray(leavesEnd, end)), end);
  bytes.set(chainHash(logical, bytes.subarray(bodyStart, leavesEnd)), end + 32);
}

function encodedAgain(frame: CheckedFrame): Uint8Array {
  const logical = new Writer();
  encodeLogicalHeader(logical, frame.header);
  return encodeFrame(frame.header, {
    logicalHeader: logical.finish(),
    leaves: frame.leaves,
    sections: frame.sections.map((section) => ({
      ...section,
      ciphertext: section.sealed,
      tag: new Uint8Array(),
    })),
    chain: frame.chainHash,
  });
}

test(`${runs} mutated frames: no exception, no large allocation; what is accepted encodes to the same bytes`, () => {
  const random = new Prng(20_261_122);
  const counts = { header: 0, checked: 0, opened: 0, refusedToOpen: 0 };
  for (let run = 0; run < runs; run++) {
    const { maker, bytes } = samples[random.below(samples.length)] as Sample;
    let mutated: Uint8Array = bytes.slice();
    for (let step = random.below(3); step >= 0; step--) mutated = mutate(mutated, random);
    if (random.below(2) === 0) repair(mutated);
    largestAllocation = 0;
    const header: FrameHeader | string = decodeFrameHeader(mutated, 0);
    if (typeof header !== 'string' && header.frameLength <= mutated.length) {
      counts.header += 1;
      const frame = checkFrame(mutated.subarray(0, header.frameLength), header);
      if (!isProblem(frame)) {
        counts.checked += 1;
        const again = encodedAgain(frame);
        expect(equalBytes(again, mutated.subarray(0, header.frameLength)), `run ${run}`).toBe(true);
        const opened = openFrame(frame, ({ tenant }) => maker.keyFor(tenant));
        counts[isProblem(opened) ? 'refusedToOpen' : 'opened'] += 1;
      }
    }
    expect(largestAllocation, `run ${run}`).toBeLessThanOrEqual(4 * mutated.length + 65_536);
  }
  // Too few of a kind, and the run has not tested what it says.
  expect(counts.header).toBeGreaterThan(runs / 4);
  expect(counts.checked).toBeGreaterThan(runs / 10);
  expect(counts.opened).toBeGreaterThan(50);
  expect(counts.refusedToOpen).toBeGreaterThan(runs / 20);
});
