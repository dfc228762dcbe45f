/** Someone who knows the format but no key changes the log, and puts right every check that needs no key. */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { crc32 } from '../../src/crypto/index.ts';
import { auditDatabase } from '../../src/audit/index.ts';
import { CorruptionError, Verity } from '../../src/database/index.ts';
import {
  decodeFrameHeader,
  genesisHash,
  leafBytes,
  segmentHeaderBytes,
} from '../../src/log/index.ts';
import { type DiskImage, diskOf, imageOf } from './disk-image.ts';
import { hostOn, sampleDatabase, TestKey } from './sample-database.ts';

const segment = 'log/00000000000000000001.vlog';
// Places in a frame's physical and logical header, and in a section.
const at = {
  kind: 5,
  epoch: 20,
  view: 24,
  durableHead: 32,
  salt: 40,
  bodyCrc: 72,
  logicalCrc: 76,
  headerCrc: 84,
};
const logical = {
  start: 88,
  op: 16,
  firstPosition: 24,
  lastPosition: 32,
  firstLeaf: 40,
  timestamp: 52,
  sections: 64,
};
const sectionHeader = { bytes: 52, secret: 4, commitment: 8, nonce: 40 };

let image: DiskImage;
let frames: Uint8Array[];

beforeAll(async () => {
  const { db, disk } = await sampleDatabase(20);
  await db.close();
  image = imageOf(disk);
  const log = image.get(segment) as Uint8Array;
  frames = [];
  for (let offset = segmentHeaderBytes; offset < log.length;) {
    const header = decodeFrameHeader(log, offset);
    if (typeof header === 'string') throw new Error(header);
    frames.push(log.slice(offset, offset + header.frameLength));
    offset += header.frameLength;
  }
});

const copies = (): Uint8Array[] => frames.map((frame) => frame.slice());
const viewOf = (frame: Uint8Array): DataView =>
  new DataView(frame.buffer, frame.byteOffset, frame.length);
const sha256 = (...parts: readonly (Uint8Array | string)[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** Where the parts of a frame lie. */
function partsOf(frame: Uint8Array): {
  bodyStart: number;
  leavesEnd: number;
  sections: number[];
  sectionsEnd: number;
} {
  const view = viewOf(frame);
  const bodyStart = logical.start + view.getUint32(12, true);
  const leavesEnd = bodyStart + view.getUint32(logical.start + 48, true) * leafBytes;
  const sections: number[] = [];
  let offset = leavesEnd;
  for (let left = view.getUint32(logical.start + 60, true); left > 0; left--) {
    sections.push(offset);
    offset += sectionHeader.bytes + view.getUint32(offset, true);
  }
  return { bodyStart, leavesEnd, sections, sectionsEnd: offset };
}

/** Puts parents, chain hashes, digests and checksums right, frame by frame. */
function relinked(changed: readonly Uint8Array[]): DiskImage {
  const log = image.get(segment) as Uint8Array;
  const logId = log.slice(8, 24);
  let parent: Uint8Array = genesisHash(logId as Parameters<typeof genesisHash>[0]);
  for (const frame of changed) {
    const view = viewOf(frame);
    const { bodyStart, leavesEnd, sectionsEnd } = partsOf(frame);
    frame.set(parent, bodyStart - 32);
    parent = sha256(
      'veritydb/chain/v1',
      frame.subarray(logical.start, bodyStart),
      frame.subarray(bodyStart, leavesEnd),
    );
    frame.set(sha256(frame.subarray(leavesEnd, sectionsEnd)), sectionsEnd);
    frame.set(parent, sectionsEnd + 32);
    view.setUint32(at.bodyCrc, crc32(frame.subarray(bodyStart)), true);
    view.setUint32(at.logicalCrc, crc32(frame.subarray(logical.start, bodyStart)), true);
    view.setUint32(at.headerCrc, crc32(frame.subarray(0, at.headerCrc)), true);
  }
  return new Map([
    ...image,
    [segment, Buffer.concat([log.subarray(0, segmentHeaderBytes), ...changed])],
  ]);
}

/** The code with which open refuses the forged log; verification, which looks at the chain first, refuses it, too. */
async function refusal(changed: readonly Uint8Array[]): Promise<string> {
  const forged = relinked(changed);
  const { ok, findings } = await auditDatabase({ disk: diskOf(forged), root: new TestKey() });
  const error: unknown = await Verity.openOn(hostOn(diskOf(forged)), {
    masterKey: new TestKey(),
  }).catch((reason: unknown) => reason);
  if (!(error instanceof CorruptionError)) return 'opened';
  expect([ok, findings[0]?.file, error.file]).toEqual([false, segment, segment]);
  return error.code;
}

/** A data frame in the middle of the log: more follow, and it has events of one tenant. */
const middle = (): number => {
  const found = frames.findIndex((frame, index) => index > 3 && frame[at.kind] === 1);
  expect(found).toBeGreaterThan(3);
  return found;
};

test('what is put right without a change is the same log', () => {
  expect(Buffer.from(relinked(copies()).get(segment) ?? [])).toEqual(
    Buffer.from(image.get(segment) ?? []),
  );
  expect(frames.length).toBeGreaterThan(8);
});

describe('without a key nobody can change', () => {
  const fields: [string, number][] = [
    ['the sealing epoch', at.epoch],
    ['the view', at.view],
    ['the durable head', at.durableHead],
    ['the salt of the epoch', at.salt],
    ['the time', logical.start + logical.timestamp],
    ['the tenant of a section', logical.start + logical.sections],
  ];

  test.each(fields)('%s of a frame', async (_, offset) => {
    for (const number of [0, middle(), frames.length - 1]) {
      const changed = copies();
      const frame = changed[number] as Uint8Array;
      frame[offset] = (frame[offset] as number) ^ 1;
      expect(['AUTHENTICATION_FAILED', 'MISSING_DATA', 'CHAIN_BROKEN']).toContain(
        await refusal(changed),
      );
    }
  });

  test('the kind of a frame', async () => {
    const changed = copies();
    const close = changed.at(-1) as Uint8Array;
    expect(close[at.kind]).toBe(4);
    close[at.kind] = 2;
    expect(await refusal(changed)).toBe('AUTHENTICATION_FAILED');
  });

  test('a commitment', async () => {
    const changed = copies();
    const frame = changed[middle()] as Uint8Array;
    const { bodyStart } = partsOf(frame);
    frame[bodyStart + 10] = (frame[bodyStart + 10] as number) ^ 1;
    expect(await refusal(changed)).toBe('AUTHENTICATION_FAILED');
  });

  test('a sealed byte, its nonce, or its key commitment', async () => {
    for (const offset of [
      sectionHeader.commitment,
      sectionHeader.nonce,
      sectionHeader.bytes,
      sectionHeader.bytes + 40,
    ]) {
      const changed = copies();
      const frame = changed[middle()] as Uint8Array;
      const [section = 0] = partsOf(frame).sections;
      frame[section + offset] = (frame[section + offset] as number) ^ 1;
      expect(await refusal(changed)).toBe('AUTHENTICATION_FAILED');
    }
  });
});

describe('without a key nobody can', () => {
  /** Renumbers ops and leaves so that frames follow each other. */
  function renumbered(list: readonly Uint8Array[]): Uint8Array[] {
    let leaf = 0;
    let position = 0;
    return list.map((original, index) => {
      const frame = original.slice();
      const view = viewOf(frame);
      const leaves = view.getUint32(logical.start + 48, true);
      const positions =
        view.getUint32(logical.start + logical.lastPosition, true) +
        1 -
        view.getUint32(logical.start + logical.firstPosition, true);
      view.setUint32(logical.start + logical.op, index + 1, true);
      view.setUint32(logical.start + logical.firstPosition, position + 1, true);
      view.setUint32(logical.start + logical.lastPosition, position + positions, true);
      view.setUint32(logical.start + logical.firstLeaf, leaf, true);
      view.setUint32(at.durableHead, index, true);
      leaf += leaves;
      position += positions;
      return frame;
    });
  }

  test('take a frame out', async () => {
    expect(await refusal(renumbered(frames.filter((_, index) => index !== middle())))).toBe(
      'AUTHENTICATION_FAILED',
    );
    expect(await refusal(copies().filter((_, index) => index !== middle()))).toBe('MISSING_DATA');
  });

  test('write a frame twice', async () => {
    const twice = frames.flatMap((frame, index) => (index === middle() ? [frame, frame] : [frame]));
    expect(await refusal(renumbered(twice))).toBe('AUTHENTICATION_FAILED');
    expect(await refusal(twice.map((frame) => frame.slice()))).toBe('CHAIN_BROKEN');
  });

  test('exchange two frames', async () => {
    const number = middle();
    const exchanged = frames
      .with(number, frames[number + 1] as Uint8Array)
      .with(number + 1, frames[number] as Uint8Array);
    const codes = [
      await refusal(renumbered(exchanged)),
      await refusal(exchanged.map((frame) => frame.slice())),
    ];
    expect(codes).toEqual(['AUTHENTICATION_FAILED', 'MISSING_DATA']);
  });

  test('add a frame at the end', async () => {
    const last = frames.at(-1) as Uint8Array;
    const marks = frames.filter((frame) => frame[at.kind] !== 1);
    for (const added of [last, ...marks]) {
      expect(await refusal(renumbered([...frames, added]))).toBe('AUTHENTICATION_FAILED');
    }
  });

  test('put the section of one frame into another', async () => {
    // Two frames with a section of one size and tenant: the inserts of the two tenants' rows do for that.
    const sizes = frames.map((frame) => frame.length);
    const pair = sizes.findIndex((size, index) => sizes.indexOf(size) < index);
    expect(pair).toBeGreaterThan(0);
    const changed = copies();
    const [to, from] = [changed[pair], frames[sizes.indexOf(sizes[pair] as number)]] as [
      Uint8Array,
      Uint8Array,
    ];
    const { leavesEnd, sectionsEnd } = partsOf(to);
    to.set(from.subarray(leavesEnd, sectionsEnd), leavesEnd);
    expect(await refusal(changed)).toBe('AUTHENTICATION_FAILED');
  });
});
