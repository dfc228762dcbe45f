import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { lockMemory } from './locked-memory.ts';

/** Locked memory of this process in KiB, where the system says it. */
function lockedKib(): number | undefined {
  try {
    return Number(/^VmLck:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}

const memory = lockMemory(4_096);

test('the system locks it', () => {
  const before = lockedKib();
  const more = lockMemory(8_192);
  const after = lockedKib();
  expect(more.sizeBytes).toBe(8_192);
  if (before !== undefined && after !== undefined) expect(after - before).toBeGreaterThanOrEqual(8);
});

test('slots are zero, apart from each other, and given out again when they come back', () => {
  const taken = Array.from({ length: 128 }, () => memory.take());
  expect(taken.every((slot) => slot?.every((byte) => byte === 0))).toBe(true);
  for (const [index, slot] of taken.entries()) slot?.fill(index + 1);
  expect(taken.every((slot, index) => slot?.every((byte) => byte === index + 1))).toBe(true);
  expect(memory.isExhausted).toBe(false);
  expect(memory.take()).toBeUndefined();
  expect(memory.isExhausted).toBe(true);
  const [first] = taken;
  if (first !== undefined) memory.give(first);
  const again = memory.take();
  expect(again?.byteOffset).toBe(first?.byteOffset);
  expect(again?.every((byte) => byte === 0)).toBe(true);
});

test('a copy of a slot is a copy', () => {
  const slot = lockMemory(4_096).take() as Uint8Array;
  const copy = slot.slice();
  slot.fill(7);
  expect(copy[0]).toBe(0);
});

test.each([0, 1, 4_095, 4_097, -4_096, 1.5, Number.NaN, 32 << 20])(
  '%d bytes are refused',
  (bytes) => {
    expect(() => lockMemory(bytes)).toThrow('a multiple of 4096');
  },
);
