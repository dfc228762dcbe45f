import { beforeEach, expect, test } from 'vitest';
import type { Digest32, Disk, LogId, Op, Position } from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import { SimDisk } from '../sim/index.ts';
import {
  anchorFileBytes,
  type AnchoredFrame,
  AnchorFile,
  anchorSlotBytes,
  emptyAnchor,
  readAnchor,
  writeNewAnchor,
} from './anchor.ts';

const logId = new Uint8Array(16).fill(5) as Uint8Array as LogId;
const otherId = new Uint8Array(16).fill(6) as Uint8Array as LogId;
const keyOf = (seed = 1): SecretKey => new SecretKey(new Uint8Array(32).fill(seed));

let disk: Disk;

beforeEach(() => {
  disk = new SimDisk({ seed: 1 });
  writeNewAnchor(disk, emptyAnchor(logId), { logId, key: keyOf() });
});

function frame(op: number): AnchoredFrame {
  return {
    op: op as Op,
    position: (op * 3) as Position,
    chainHash: new Uint8Array(32).fill(op) as Digest32,
    segment: 1 as Position,
  };
}

function opened(): AnchorFile {
  return new AnchorFile(disk, readAnchor(disk, logId, keyOf()), { logId, key: keyOf() });
}

function contents(): Uint8Array {
  const file = disk.open('anchor', 'read');
  const bytes = new Uint8Array(file.sizeBytes());
  file.read(bytes, 0);
  file.close();
  return bytes;
}

function overwrite(bytes: Uint8Array): void {
  disk.remove('anchor');
  const file = disk.open('anchor', 'create');
  file.write(bytes, 0);
  file.close();
}

const codeOf = (read: () => unknown): unknown => {
  try {
    return read();
  } catch (error) {
    const { code, file, offset } = error as { code: string; file: string; offset: number };
    return [code, file, offset];
  }
};

test('the newest frame comes back as it was written, from slots that are written in turn', () => {
  const anchor = opened();
  const before = contents();
  const changed: number[] = [];
  for (let op = 1; op <= 4; op++) {
    const old = contents();
    anchor.advance(frame(op));
    const now = contents();
    changed.push(now.findIndex((byte, index) => byte !== old[index]) < anchorSlotBytes ? 0 : 1);
    const { newest, damaged } = readAnchor(disk, logId, keyOf());
    expect(newest).toMatchObject(frame(op));
    expect(damaged).toEqual([]);
  }
  expect(changed).toEqual([0, 1, 0, 1]);
  expect(before).toHaveLength(anchorFileBytes);
});

test('with one slot torn anywhere the other one holds, and the next write renews the torn one', () => {
  opened().settle(frame(7));
  const whole = contents();
  for (let torn = 0; torn < 2; torn++) {
    for (let kept = 0; kept < anchorSlotBytes; kept += 7) {
      const bytes = whole.slice();
      bytes.fill(0xee, torn * anchorSlotBytes + kept, (torn + 1) * anchorSlotBytes);
      overwrite(bytes);
      const reading = readAnchor(disk, logId, keyOf());
      expect(reading.newest.op).toBe(7);
      expect(reading.damaged).toEqual([torn * anchorSlotBytes]);
    }
    opened().advance(frame(8));
    expect(readAnchor(disk, logId, keyOf())).toMatchObject({ newest: frame(8), damaged: [] });
    overwrite(whole);
  }
});

test('every changed byte is found, and two bad slots are refused', () => {
  const whole = contents();
  for (let at = 0; at < whole.length; at++) {
    const bytes = whole.slice();
    bytes[at] = (bytes[at] as number) ^ 0x10;
    overwrite(bytes);
    const slot = at < anchorSlotBytes ? 0 : anchorSlotBytes;
    expect(readAnchor(disk, logId, keyOf()).damaged, `byte ${at}`).toEqual([slot]);
    bytes[anchorSlotBytes - slot + 40] = 0xff;
    overwrite(bytes);
    expect(codeOf(() => readAnchor(disk, logId, keyOf()))).toEqual([
      'CHECKSUM_MISMATCH',
      'anchor',
      0,
    ]);
  }
});

test('a missing, cut, longer, foreign or forged anchor is damage', () => {
  const read = (id = logId, seed = 1): unknown => codeOf(() => readAnchor(disk, id, keyOf(seed)));
  const whole = contents();
  expect(read(otherId)).toEqual(['FOREIGN_FILE', 'anchor', 0]);
  expect(read(logId, 2)).toEqual(['AUTHENTICATION_FAILED', 'anchor', 0]);
  // Without a key, what needs none is checked all the same.
  expect(codeOf(() => readAnchor(disk, logId, undefined))).toMatchObject({ damaged: [] });
  overwrite(Uint8Array.of(...whole, 0));
  expect(read()).toEqual(['CHECKSUM_MISMATCH', 'anchor', anchorFileBytes]);
  overwrite(whole.subarray(0, 300));
  expect(read()).toEqual(['CHECKSUM_MISMATCH', 'anchor', 0]);
  overwrite(whole.subarray(0, 700));
  expect(read()).toMatchObject({ damaged: [anchorSlotBytes] });
  disk.remove('anchor');
  expect(read()).toEqual(['MISSING_DATA', 'anchor', 0]);
});

test('a cut that is announced stays until the log records it', () => {
  const cut = {
    segment: 1 as Position,
    offset: 128,
    lengthBytes: 99,
    firstOp: 4 as Op,
    lastOp: 9 as Op,
  };
  writeNewAnchor(disk, { ...frame(3), cut }, { logId, key: keyOf() });
  const anchor = opened();
  expect(anchor.pendingCut).toEqual(cut);
  anchor.advance(frame(4));
  expect(opened().pendingCut).toEqual(cut);
  anchor.cutRecorded();
  expect(opened().pendingCut).toBeUndefined();
  expect(opened().frame.op).toBe(4);
});

test('an anchor never goes back', () => {
  const anchor = opened();
  anchor.advance(frame(5));
  expect(() => anchor.advance(frame(4))).toThrow('an anchor never goes back');
});
