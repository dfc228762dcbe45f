import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { VerityError } from '../base/index.ts';
import { fromFile, generateFile } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-secret-file-'));
const binding = { logId: new Uint8Array(16) as never };
const path = join(folder, 'master.key');
writeFileSync(path, '5a'.repeat(32), { mode: 0o600 });

afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function codeOf(file: string): Promise<string> {
  try {
    await fromFile(file).unwrap([], binding);
    return 'read';
  } catch (error) {
    expect(error).toBeInstanceOf(VerityError);
    return (error as VerityError).code;
  }
}

const onPosix = test.skipIf(process.platform === 'win32');

onPosix.each([0o604, 0o640, 0o602, 0o620, 0o644, 0o660, 0o666, 0o777, 0o610, 0o601])(
  'a key file that others may touch (mode %o) is refused, with what to do',
  async (mode) => {
    chmodSync(path, mode);
    expect(await codeOf(path)).toBe('KEY_FILE_EXPOSED');
    const message = await fromFile(path).unwrap([], binding).catch(String);
    expect(message).toContain(`chmod 600 ${path}`);
    expect(message).not.toContain('5a5a');
  },
);

onPosix.each([0o600, 0o400, 0o700])('one of its owner alone (mode %o) is read', async (mode) => {
  chmodSync(path, mode);
  expect(await codeOf(path)).toBe('read');
});

onPosix('what is made here is closed to others, whatever the umask', async () => {
  const before = process.umask(0);
  try {
    const made = join(folder, 'made.key');
    await generateFile(made);
    expect(await codeOf(made)).toBe('read');
  } finally {
    process.umask(before);
  }
});

test('a missing file is no exposed one', async () => {
  expect(await codeOf(join(folder, 'none.key'))).toBe('KEY_MISSING');
});
