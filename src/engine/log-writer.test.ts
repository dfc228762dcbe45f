import { expect, test } from 'vitest';
import type { LogId } from '../base/index.ts';
import { emptyLogHead, segmentHeaderBytes } from '../log/index.ts';
import { SimDisk } from '../sim/index.ts';
import { LogWriter, publishSegment, writeSegment } from './log-writer.ts';

const sizes = { segmentBytes: 4_000, fillBytesMin: 1_024, fillBytesMax: 2_048 };
const head = emptyLogHead(new Uint8Array(16).fill(7) as Uint8Array as LogId);
const frame = (length: number): Uint8Array => new Uint8Array(length).fill(0xee);

function newSegment(): { disk: SimDisk; path: string; writer: LogWriter } {
  const disk = new SimDisk();
  disk.makeDirectory('log');
  disk.flushDirectory('');
  const path = writeSegment(disk, head);
  publishSegment(disk, path);
  return { disk, path, writer: new LogWriter(disk, { path, tail: segmentHeaderBytes }, sizes) };
}

function put(writer: LogWriter, length: number): void {
  writer.reserve(length);
  writer.write(frame(length));
  writer.flush();
}

test('while it is open a file goes on with zeros behind its tail; closed it ends there', () => {
  for (const lengths of [[100], [895], [896], [897], [500, 1_000, 1_500], [2_047, 1]]) {
    const { disk, path, writer } = newSegment();
    for (const length of lengths) {
      put(writer, length);
      const bytes = disk.image().get(path) as Uint8Array;
      expect(bytes.length).toBeGreaterThan(writer.tail);
      expect(bytes.subarray(writer.tail).every((byte) => byte === 0)).toBe(true);
      expect(disk.durableImage().get(path)?.subarray(0, writer.tail)).toEqual(
        bytes.subarray(0, writer.tail),
      );
    }
    writer.close();
    expect(disk.durableImage().get(path)).toHaveLength(
      segmentHeaderBytes + lengths.reduce((sum, length) => sum + length),
    );
  }
});

test('it is full past the size of a segment, and not before', () => {
  const { writer } = newSegment();
  put(writer, 3_000);
  expect(writer.full).toBe(false);
  put(writer, 872);
  expect(writer.full).toBe(true);
});

test('on a full disk it takes just the room that a frame needs, or refuses and leaves the log as it was', () => {
  const { disk, path, writer } = newSegment();
  put(writer, 800);
  disk.setFaults({ capacityBytes: segmentHeaderBytes + 800 + 400 });
  put(writer, 399);
  const before = disk.image().get(path) as Uint8Array;
  expect(() => writer.reserve(1)).toThrow(expect.objectContaining({ code: 'DISK_FULL' }));
  expect(disk.image().get(path)?.subarray(0, writer.tail)).toEqual(before.subarray(0, writer.tail));
  disk.setFaults({});
  put(writer, 1);
  writer.close();
  expect(disk.image().get(path)).toHaveLength(segmentHeaderBytes + 1_200);
});

test('a segment that finds no room leaves nothing behind; one that was left behind is replaced', () => {
  for (const call of [1, 2, 3, 4, 5]) {
    const disk = new SimDisk();
    disk.makeDirectory('log');
    disk.setFaults({ fail: [{ call: disk.callCount + call, code: 'DISK_FULL' }] });
    let path: string | undefined;
    try {
      path = writeSegment(disk, head);
    } catch (error) {
      expect(error).toMatchObject({ code: 'DISK_FULL' });
    }
    disk.setFaults({});
    expect([...disk.image().keys()]).toEqual(path === undefined ? [] : [path]);
    const again = writeSegment(disk, head);
    expect(disk.image().get(again)).toHaveLength(segmentHeaderBytes);
  }
});

test('a segment that was begun and cannot be removed is not taken for a full disk', () => {
  const disk = new SimDisk();
  disk.makeDirectory('log');
  disk.setFaults({
    fail: [
      { call: 1, kind: 'write', code: 'DISK_FULL' },
      { call: 1, kind: 'remove', code: 'IO_ERROR' },
    ],
  });
  expect(() => writeSegment(disk, head)).toThrow(expect.objectContaining({ code: 'IO_ERROR' }));
});

test('whatever fails while it goes on in the next segment, it still holds a file that it can close', () => {
  for (let call = 1; call <= 8; call++) {
    const { disk, writer } = newSegment();
    put(writer, 500);
    const next = writeSegment(disk, { ...head, position: 5 as never });
    disk.setFaults({ fail: [{ call: disk.callCount + call, code: 'IO_ERROR' }] });
    try {
      writer.continueIn(next);
    } catch (error) {
      expect(error).toMatchObject({ code: 'IO_ERROR' });
    }
    disk.setFaults({});
    writer.abandon();
  }
});
