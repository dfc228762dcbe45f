import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { VerityError } from '../base/index.ts';
import { fromFile, generateFile, readSecretText } from './index.ts';

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

describe('a file that holds a PIN or a recovery code', () => {
  const pinFile = join(folder, 'pin');
  const read = (name = 'PIN'): string => readSecretText(pinFile, name);
  const failure = (): Record<string, unknown> => {
    try {
      return { text: read() };
    } catch (error) {
      const { code, message, details } = error as VerityError;
      return { code, message, file: details['file'] };
    }
  };

  test('is read without the white space around it', () => {
    writeFileSync(pinFile, ' 47 11\r\n', { mode: 0o600 });
    expect(read()).toBe('47 11');
  });

  onPosix('is refused when others may touch it, as a key file is', () => {
    writeFileSync(pinFile, '4711', { mode: 0o600 });
    for (const mode of [0o644, 0o640, 0o602, 0o601]) {
      chmodSync(pinFile, mode);
      const message = `The PIN file ${pinFile} has mode ${mode.toString(8).padStart(4, '0')}`;
      expect(failure()).toMatchObject({ code: 'KEY_FILE_EXPOSED', file: pinFile });
      expect(failure()['message']).toContain(message);
    }
    chmodSync(pinFile, 0o600);
    expect(read()).toBe('4711');
  });

  test('is refused when it is empty, too long or not there', () => {
    writeFileSync(pinFile, '7'.repeat(1_024));
    expect(read()).toHaveLength(1_024);
    for (const text of ['', ' \n', '7'.repeat(1_025)]) {
      writeFileSync(pinFile, text);
      expect(failure()).toMatchObject({ code: 'KEY_INVALID', file: pinFile });
      expect(failure()['message']).not.toContain('77');
    }
    rmSync(pinFile);
    expect(failure()).toEqual({
      code: 'KEY_MISSING',
      message: `Cannot read the PIN from ${pinFile}. Check the path.`,
      file: pinFile,
    });
  });
});
