import { describe, expect, test } from 'vitest';
import { utf8Encode } from '../base/index.ts';
import { memoryDisk } from '../host/index.ts';
import { TimeStampFile, timeStampsPath } from './timestamp-file.ts';

const token = (byte: number, length = 300): Uint8Array => new Uint8Array(length).fill(byte);

describe('the file of time stamps', () => {
  test('gives back what was added, also to another reader', () => {
    const disk = memoryDisk();
    const file = new TimeStampFile(disk);
    expect([file.sizes(), file.of(5)]).toEqual([[], []]);
    const reader = new TimeStampFile(disk);
    expect(reader.sizes()).toEqual([]);
    file.add(5, token(1));
    file.add(9, token(2, 200_000));
    file.add(9, token(3));
    for (const one of [file, reader, new TimeStampFile(disk)]) {
      expect(one.sizes()).toEqual([5, 9, 9]);
      expect(one.of(9)).toEqual([token(2, 200_000), token(3)]);
      expect(one.of(7)).toEqual([]);
    }
  });

  test('counts whole lines only, and writes over a torn one', () => {
    const disk = memoryDisk();
    const file = new TimeStampFile(disk);
    file.add(5, token(1));
    const raw = disk.open(timeStampsPath, 'readwrite');
    const length = raw.sizeBytes();
    raw.write(utf8Encode(`9 ${'A'.repeat(2000)}`), length);
    const again = new TimeStampFile(disk);
    expect(again.sizes()).toEqual([5]);
    again.add(12, token(2));
    expect(new TimeStampFile(disk).sizes()).toEqual([5, 12]);
    expect(new TimeStampFile(disk).of(12)).toEqual([token(2)]);
  });

  test('passes over lines that are none of ours', () => {
    const disk = memoryDisk();
    new TimeStampFile(disk).add(5, token(1));
    const raw = disk.open(timeStampsPath, 'readwrite');
    raw.write(utf8Encode('\nx AAAA\n07 AAAA\n7 A*AA\n'), raw.sizeBytes());
    raw.write(new Uint8Array([0xff, 0x20, 10]), raw.sizeBytes());
    const file = new TimeStampFile(disk);
    expect(file.sizes()).toEqual([5, 7]);
    expect(file.of(7)).toEqual([]);
    file.add(8, token(4));
    expect(new TimeStampFile(disk).of(8)).toEqual([token(4)]);
  });
});
