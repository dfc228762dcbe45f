import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openScratchFile } from './scratch-file.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'scratch-'));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

test('a scratch file holds what is written, and has no name that could stay behind', () => {
  vi.stubEnv('TMPDIR', folder);
  for (const file of [openScratchFile(folder), openScratchFile()]) {
    file.write(Uint8Array.of(1, 2, 3), 10_000);
    expect(readdirSync(folder)).toEqual([]);
    const bytes = new Uint8Array(4);
    expect(file.read(bytes, 9_999)).toBe(4);
    expect([...bytes]).toEqual([0, 1, 2, 3]);
    file.close();
  }
});

test('where no file can be, the error names the place', () => {
  expect(() => openScratchFile(join(folder, 'nowhere'))).toThrow(/scratch file .*nowhere/);
  vi.stubEnv('TMPDIR', join(folder, 'elsewhere'));
  expect(() => openScratchFile()).toThrow(
    expect.objectContaining({ code: 'IO_ERROR', message: expect.stringContaining('elsewhere') }),
  );
});
