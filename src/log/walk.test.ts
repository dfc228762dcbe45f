import { expect, test } from 'vitest';
import { LogMaker, type MadeFrame } from '../../test/support/log-maker.ts';
import { concatBytes, type LogId } from '../base/index.ts';
import {
  checkSegmentHeader,
  decodeSegmentHeader,
  type DurableFrame,
  emptyLogHead,
  encodeSegmentHeader,
  type LogHead,
  segmentHeaderAt,
  segmentHeaderBytes,
  type WalkEnd,
  walkSegment,
} from './index.ts';

const zeros = (count: number): Uint8Array => new Uint8Array(count);

function walk(
  bytes: Uint8Array,
  logId: LogId,
  options: { readonly last?: boolean; readonly durable?: DurableFrame } = {},
): { end: WalkEnd; head: LogHead; ops: number[] } {
  const ops: number[] = [];
  const walked = walkSegment(
    { bytes, offset: segmentHeaderBytes, head: emptyLogHead(logId), last: true, ...options },
    ({ header }) => {
      ops.push(header.op);
      return undefined;
    },
  );
  return { ...walked, ops };
}

/** A log of data frames of these sizes; `marked` adds a frame that says that all of them were durable. */
function logOf(sizes: readonly number[], marked = false): LogMaker {
  const maker = new LogMaker();
  for (const size of sizes) maker.addBytes(size);
  if (marked) maker.add('mark');
  return maker;
}

const lastOf = (maker: LogMaker): MadeFrame => maker.frames.at(-1) as MadeFrame;

test('an intact segment is walked to its end, with or without zeros behind it', () => {
  const maker = new LogMaker();
  maker.addBytes(10);
  maker.add('mark');
  maker.addBytes(2_000, 2);
  maker.add('close');
  maker.addBytes(5);
  for (const fill of [0, 1, 7, 4_096]) {
    const { end, head, ops } = walk(concatBytes(maker.segment, zeros(fill)), maker.logId);
    expect(end).toEqual({ kind: 'tail', offset: maker.segment.length });
    expect(ops).toEqual([1, 2, 3, 4, 5]);
    expect(head).toEqual(maker.head);
  }
});

test('a last frame torn at any byte is cut when zeros or nothing follow', () => {
  for (const size of [3, 100, 700, 1_700]) {
    const maker = logOf([20, size]);
    const last = lastOf(maker);
    for (let kept = 0; kept < last.bytes.length; kept++) {
      const prefix = maker.segment.subarray(0, last.offset + kept);
      const torn: WalkEnd =
        kept === 0
          ? { kind: 'tail', offset: last.offset }
          : { kind: 'torn', offset: last.offset, length: lengthWithoutZeros(prefix) - last.offset };
      const filled = concatBytes(prefix, zeros(last.bytes.length - kept + 100));
      expect(walk(filled, maker.logId).end, `${kept} bytes kept, then zeros`).toEqual(torn);
      expect(walk(prefix, maker.logId).end, `${kept} bytes kept, then nothing`).toEqual(torn);
    }
  }
});

function lengthWithoutZeros(bytes: Uint8Array): number {
  return bytes.findLastIndex((byte) => byte !== 0) + 1;
}

test('a last frame that lacks any of up to ten sectors is cut', () => {
  const maker = logOf([20, 4_200]);
  const last = lastOf(maker);
  const first = Math.floor(last.offset / 512);
  const count = Math.ceil(last.end / 512) - first;
  expect(count).toBe(10);
  for (let kept = 0; kept < 2 ** count; kept++) {
    const bytes = concatBytes(maker.segment, zeros(512));
    for (let index = 0; index < count; index++) {
      if ((kept >> index) % 2 === 1) continue;
      bytes.fill(
        0,
        Math.max(last.offset, (first + index) * 512),
        Math.min(last.end, (first + index + 1) * 512),
      );
    }
    const { end, ops } = walk(bytes, maker.logId);
    const isWhole = kept === 2 ** count - 1;
    expect(ops, `sectors ${kept.toString(2)}`).toEqual(isWhole ? [1, 2] : [1]);
    expect(end.kind).toBe(isWhole || kept === 0 ? 'tail' : 'torn');
  }
});

test('what a later frame calls durable is never cut, torn anywhere', () => {
  const maker = logOf([20, 1_300], true);
  const [first, second] = maker.frames as [MadeFrame, MadeFrame];
  for (const frame of [first, second]) {
    for (let from = frame.offset; from < frame.end; from += 3) {
      const bytes = concatBytes(maker.segment, zeros(200)).fill(0, from, frame.end);
      expect(walk(bytes, maker.logId).end.kind, `zero from ${from}`).toBe('damaged');
    }
    for (let sector = Math.floor(frame.offset / 512); sector * 512 < frame.end; sector++) {
      const bytes = maker.segment.fill(
        0,
        Math.max(frame.offset, sector * 512),
        Math.min(frame.end, sector * 512 + 512),
      );
      expect(walk(bytes, maker.logId).end.kind, `sector ${sector}`).toBe('damaged');
    }
  }
});

test('a changed byte is damage wherever it is, and is never cut', () => {
  for (const marked of [false, true]) {
    const maker = logOf([20, 900], marked);
    for (const fill of [0, 600]) {
      for (let at = segmentHeaderBytes; at < maker.segment.length; at++) {
        const bytes = concatBytes(maker.segment, zeros(fill));
        bytes[at] = (bytes[at] as number) ^ 0x41;
        const { end } = walk(bytes, maker.logId);
        expect(end.kind, `byte ${at}`).toBe('damaged');
        if (end.kind === 'damaged')
          expect(end.problem.offset).toBeGreaterThanOrEqual(segmentHeaderBytes);
      }
    }
  }
});

test('a byte that became zero in a file that ends with its last frame is damage', () => {
  const maker = logOf([20, 900]);
  for (let at = lastOf(maker).offset; at < maker.segment.length; at++) {
    if (maker.segment[at] === 0) continue;
    expect(walk(maker.segment.fill(0, at, at + 1), maker.logId).end.kind, `byte ${at}`).toBe(
      'damaged',
    );
  }
});

test('a last frame torn at any byte in a file that ends with it is cut behind the anchor, and damage at it', () => {
  const maker = logOf([20, 900]);
  const [first, last] = maker.frames as [MadeFrame, MadeFrame];
  const anchors = [
    ['torn', first],
    ['damaged', last],
  ] as const;
  for (let at = last.offset + 1; at < last.end; at += 1) {
    const bytes = maker.segment.fill(0, at);
    for (const [kind, { op, chainHash }] of anchors) {
      const { end } = walk(bytes, maker.logId, { durable: { op, chainHash } });
      expect(end.kind, `byte ${at}`).toBe(kind);
    }
  }
});

test('only the last segment may have a torn tail', () => {
  const maker = logOf([20, 1_300]);
  const bytes = concatBytes(maker.segment, zeros(9)).fill(0, lastOf(maker).offset + 600);
  expect(walk(bytes, maker.logId, { last: true }).end.kind).toBe('torn');
  expect(walk(bytes, maker.logId, { last: false }).end.kind).toBe('damaged');
});

test('a frame of another log, a repeated one, a skipped one and one of another branch are told apart', () => {
  const maker = logOf([20, 30, 40]);
  const [first, second, third] = maker.frames as [MadeFrame, MadeFrame, MadeFrame];
  const header = maker.segment.subarray(0, segmentHeaderBytes);
  const branch = new LogMaker();
  branch.addBytes(21);
  const cases: readonly (readonly [string, readonly Uint8Array[]])[] = [
    ['FOREIGN_FILE', [first.bytes, new LogMaker(2).addBytes(5).bytes]],
    ['CHAIN_BROKEN', [first.bytes, second.bytes, second.bytes]],
    ['MISSING_DATA', [first.bytes, third.bytes]],
    ['CHAIN_BROKEN', [first.bytes, branch.addBytes(5).bytes]],
  ];
  for (const [code, frames] of cases) {
    const { end } = walk(concatBytes(header, ...frames), maker.logId);
    expect(end).toMatchObject({ kind: 'damaged', problem: { code } });
    const offset =
      segmentHeaderBytes + frames.slice(0, -1).reduce((sum, bytes) => sum + bytes.length, 0);
    if (end.kind === 'damaged') expect(end.problem.offset).toBe(offset);
  }
});

test('nothing may follow the end of a finished segment', () => {
  const maker = logOf([20]);
  maker.add('end');
  expect(walk(maker.segment, maker.logId).end.kind).toBe('tail');
  const length = maker.segment.length;
  for (const behind of [1, 50, 300]) {
    const bytes = concatBytes(maker.segment, zeros(behind), Uint8Array.of(1));
    expect(walk(bytes, maker.logId).end).toMatchObject({
      kind: 'damaged',
      problem: { offset: length + behind },
    });
  }
});

test('what the visitor refuses is damage at its place', () => {
  const maker = logOf([20, 30]);
  const problem = { code: 'AUTHENTICATION_FAILED', offset: 40, what: 'It does not open' } as const;
  const { end, head } = walkSegment(
    {
      bytes: maker.segment,
      offset: segmentHeaderBytes,
      head: emptyLogHead(maker.logId),
      last: true,
    },
    ({ header }) => (header.op === 2 ? problem : undefined),
  );
  const offset = (maker.frames[1] as MadeFrame).offset + 40;
  expect(end).toEqual({ kind: 'damaged', problem: { ...problem, offset } });
  expect(head.op).toBe(1);
});

test('a segment header comes back as it was, and names every changed byte', () => {
  const maker = logOf([20, 30]);
  const header = segmentHeaderAt(maker.head);
  const bytes = encodeSegmentHeader(header);
  expect(bytes).toHaveLength(segmentHeaderBytes);
  expect(decodeSegmentHeader(bytes)).toEqual(header);
  expect(checkSegmentHeader(bytes, maker.head)).toBeUndefined();
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at] = (changed[at] as number) ^ 0x20;
    expect(decodeSegmentHeader(changed), `byte ${at}`).toBeTypeOf('string');
  }
  expect(decodeSegmentHeader(bytes.subarray(0, 127))).toBe('short');
});

test('a segment that does not continue the log is refused with the reason', () => {
  const maker = logOf([20, 30]);
  const at = maker.head;
  maker.addBytes(40);
  const ahead = encodeSegmentHeader(segmentHeaderAt(maker.head));
  const behind = encodeSegmentHeader(segmentHeaderAt(at));
  const foreign = encodeSegmentHeader(segmentHeaderAt(new LogMaker(2).head));
  expect(checkSegmentHeader(ahead, at)).toMatchObject({ code: 'MISSING_DATA' });
  expect(checkSegmentHeader(behind, maker.head)).toMatchObject({ code: 'CHAIN_BROKEN' });
  expect(checkSegmentHeader(foreign, at)).toMatchObject({ code: 'FOREIGN_FILE' });
  expect(checkSegmentHeader(new Uint8Array(), at)).toMatchObject({ code: 'CHECKSUM_MISMATCH' });
});

/** Three frames of which nothing more than the first was known durable when they were written. */
function inFlight(sizes: readonly number[]): LogMaker {
  const maker = new LogMaker();
  const first = maker.addBytes(30);
  for (const size of sizes) maker.addBytes(size, 1, first.op);
  return maker;
}

test('of several frames in flight, any sectors of which may be missing, all from the first bad one on are cut', () => {
  const maker = inFlight([900, 40, 1_100]);
  const frames = maker.frames.slice(1) as MadeFrame[];
  const start = (frames[0] as MadeFrame).offset;
  const first = Math.floor(start / 512);
  const count = Math.ceil(maker.segment.length / 512) - first;
  expect(count).toBeGreaterThan(5);
  const seen = new Set<number>();
  for (let kept = 0; kept < 2 ** count; kept++) {
    const bytes = concatBytes(maker.segment, zeros(2_048));
    for (let index = 0; index < count; index++) {
      if ((kept >> index) % 2 === 1) continue;
      bytes.fill(0, Math.max(start, (first + index) * 512), (first + index + 1) * 512);
    }
    const whole = frames.findIndex(({ offset, end }) =>
      bytes.subarray(offset, end).some((byte, index) => byte !== maker.segment[offset + index]),
    );
    const good = whole === -1 ? frames.length : whole;
    const { end, ops } = walk(bytes, maker.logId);
    expect(['tail', 'torn'], `sectors ${kept.toString(2)}`).toContain(end.kind);
    expect(ops).toHaveLength(1 + good);
    seen.add(good);
  }
  expect(seen.size).toBeGreaterThan(2);
});

test('a changed byte in a frame in flight is damage, whatever follows it', () => {
  const maker = inFlight([60, 40, 80]);
  const [, second] = maker.frames as [MadeFrame, MadeFrame];
  for (let at = second.offset; at < second.end; at++) {
    const bytes = concatBytes(maker.segment, zeros(2_048));
    bytes[at] = (bytes[at] as number) ^ 0x41;
    expect(walk(bytes, maker.logId).end.kind, `byte ${at}`).toBe('damaged');
  }
});

const durableAt = ({ op, chainHash }: MadeFrame): DurableFrame => ({ op, chainHash });

test('nothing at or below the anchor is cut, torn or missing, and what lies behind it may be', () => {
  const maker = logOf([20, 700, 30]);
  const [, second, third] = maker.frames as [MadeFrame, MadeFrame, MadeFrame];
  const durable = durableAt(second);
  for (let from = second.offset; from < second.end; from += 5) {
    const bytes = concatBytes(maker.segment.subarray(0, second.end), zeros(600)).fill(0, from);
    const { end } = walk(bytes, maker.logId, { durable });
    const code = from === second.offset ? 'MISSING_DATA' : 'CHECKSUM_MISMATCH';
    expect(end, `zero from ${from}`).toMatchObject({ kind: 'damaged', problem: { code } });
    expect(walk(bytes, maker.logId).end.kind).not.toBe('damaged');
  }
  const cut = maker.segment.subarray(0, second.offset);
  expect(walk(cut, maker.logId, { durable }).end).toMatchObject({
    kind: 'damaged',
    problem: { code: 'MISSING_DATA', offset: second.offset },
  });
  // A later segment goes on from here: its own rules say what is missing.
  expect(walk(cut, maker.logId, { durable, last: false }).end.kind).toBe('tail');
  const torn = concatBytes(maker.segment, zeros(600)).fill(0, third.offset + 9);
  expect(walk(torn, maker.logId, { durable }).end).toMatchObject({ kind: 'torn' });
});

test('another frame where the anchor names one is damage', () => {
  const [maker, branch] = [logOf([20, 30]), logOf([20])];
  const other = branch.addBytes(31);
  const end = walk(maker.segment, maker.logId, { durable: durableAt(other) }).end;
  expect(end).toMatchObject({
    kind: 'damaged',
    problem: { code: 'CHAIN_BROKEN', offset: lastOf(maker).offset },
  });
});
