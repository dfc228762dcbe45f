/** Disks that lie: acknowledged writes that are missing or went elsewhere, and bits that rot. */
import { describe, expect, test } from 'vitest';
import { SimDisk, type SimFaults } from './index.ts';

const sector = 512;

function filled(byte: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

/** A disk with two durable files of four sectors of 1. */
function diskWith(faults: SimFaults, told: () => void = () => undefined): SimDisk {
  const image = new Map([
    ['log/a', filled(1, 4 * sector)],
    ['log/b', filled(1, 4 * sector)],
  ]);
  return SimDisk.fromImage(image, { faults, onLie: told });
}

function write(disk: SimDisk, path: string, byte: number, offset = 0): void {
  const file = disk.open(path, 'readwrite');
  file.write(filled(byte, sector), offset);
  file.flush();
  file.close();
}

function byteAt(disk: SimDisk, path: string, offset: number): number | undefined {
  return disk.image().get(path)?.[offset];
}

describe('a lost write', () => {
  test('reads back until the machine loses power, and is gone then', () => {
    let told = 0;
    const disk = diskWith({ falseWrites: [{ write: 1 }] }, () => void (told += 1));
    write(disk, 'log/a', 2);
    expect(told).toBe(1);
    expect(byteAt(disk, 'log/a', 0)).toBe(2);
    expect(disk.damagedFiles()).toEqual(['log/a']);
    expect(byteAt(disk.crash(), 'log/a', 0)).toBe(1);
  });

  test('is there again once a good copy is put in its place', () => {
    const disk = diskWith({ falseWrites: [{ write: 1 }] });
    write(disk, 'log/a', 2);
    const mended = disk.crash().mend();
    expect(byteAt(mended, 'log/a', 0)).toBe(2);
    expect(mended.damagedFiles()).toEqual([]);
  });

  test('heals when the sector is written again', () => {
    const disk = diskWith({ falseWrites: [{ write: 1 }] });
    write(disk, 'log/a', 2);
    write(disk, 'log/a', 3);
    expect(disk.damagedFiles()).toEqual([]);
    expect(byteAt(disk.crash(), 'log/a', 0)).toBe(3);
  });

  test('can be known of once something durable was written after its flush', () => {
    const disk = diskWith({ falseWrites: [{ write: 1 }] });
    write(disk, 'log/a', 2);
    expect(disk.hidesLie).toBe(true);
    const file = disk.open('log/b', 'readwrite');
    file.write(filled(4, sector), 0);
    expect(disk.hidesLie).toBe(true);
    file.flush();
    expect(disk.hidesLie).toBe(false);
  });

  test('is not given away by zeros, which only make room', () => {
    const disk = diskWith({ falseWrites: [{ write: 1 }] });
    write(disk, 'log/a', 2);
    write(disk, 'log/b', 0);
    expect(disk.hidesLie).toBe(true);
  });
});

test('a stray write spoils another place, which memory still shows as it was', () => {
  const outcomes = new Set<string>();
  for (let pick = 0; pick < 40; pick++) {
    const disk = diskWith({ falseWrites: [{ write: 1, strayTo: pick }] });
    write(disk, 'log/a', 2, sector);
    expect(byteAt(disk, 'log/a', sector)).toBe(2);
    const after = disk.crash();
    const struck = [...after.image()].flatMap(([path, bytes]) =>
      [0, 1, 2, 3]
        .filter((index) => bytes[index * sector] === 2)
        .map((index) => `${path} ${index}`),
    );
    expect(struck).toHaveLength(1);
    outcomes.add(struck[0] as string);
    expect(byteAt(after.mend(), 'log/a', sector)).toBe(2);
    expect([...after.mend().image()].filter(([, bytes]) => bytes.includes(2))).toHaveLength(1);
  }
  expect(outcomes.size).toBeGreaterThan(4);
});

describe('a rotten bit', () => {
  test('is seen at once, stays, and is gone with a good copy', () => {
    const disk = diskWith({});
    expect(disk.rot('log/a', 700, 0x40)).toBe(true);
    expect(byteAt(disk, 'log/a', 700)).toBe(0x41);
    expect(disk.damagedFiles()).toEqual(['log/a']);
    expect(byteAt(disk.crash(), 'log/a', 700)).toBe(0x41);
    expect(byteAt(disk.mend(), 'log/a', 700)).toBe(1);
  });

  test('stays where a write to the same sector leaves it out', () => {
    const disk = diskWith({});
    disk.rot('log/a', 400, 0x40);
    const file = disk.open('log/a', 'readwrite');
    file.write(filled(5, 100), 0);
    file.flush();
    expect(disk.damagedFiles()).toEqual(['log/a']);
    file.write(filled(5, sector), 0);
    file.flush();
    expect(disk.damagedFiles()).toEqual([]);
  });

  test('strikes only what is at rest', () => {
    const disk = diskWith({});
    disk.open('log/a', 'readwrite').write(filled(2, sector), 0);
    expect(disk.rot('log/a', 5, 1)).toBe(false);
    expect(disk.rot('log/a', sector, 1)).toBe(true);
    expect(disk.rot('log/a', 5_000, 1)).toBe(false);
    expect(disk.rot('nowhere', 0, 1)).toBe(false);
  });
});

test('a refused growth takes no byte, and the next one passes', () => {
  const disk = diskWith({ refuseGrowth: 1 });
  const file = disk.open('log/a', 'readwrite');
  file.write(filled(2, sector), 0);
  expect(() => file.write(filled(2, sector), 4 * sector)).toThrow('failed');
  expect(file.sizeBytes()).toBe(4 * sector);
  file.write(filled(2, sector), 4 * sector);
  expect(file.sizeBytes()).toBe(5 * sector);
});
