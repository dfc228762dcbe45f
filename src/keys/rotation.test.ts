import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { LogId } from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import {
  fromEnv,
  fromFile,
  fromPassphrase,
  fromRecoveryCode,
  generateRecoveryCode,
  HeldKeyProvider,
} from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-key-rotation-'));
afterAll(() => rmSync(folder, { recursive: true }));

const digits = '5b'.repeat(32);
const passphrase = 'correct horse battery staple';
const binding = { logId: new Uint8Array(16).fill(0x10) as LogId };
const rootBytes = (): Uint8Array => new Uint8Array(32).fill(0x5a);

function keyFile(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

describe('a rotation', () => {
  const root = (): SecretKey => new SecretKey(rootBytes());

  test('of a key file replaces its key in one step, when it is activated', async () => {
    const path = keyFile('rotating', `${digits}\n`);
    const provider = fromFile(path);
    const old = { id: 1, ...(await provider.wrap(root(), binding)) };
    const rotation = await provider.rotate(root(), binding);
    const slots = [old, { id: 2, ...rotation.slot }];
    expect(readFileSync(path, 'latin1')).toBe(`${digits}\n`);
    expect((await provider.unwrap(slots, binding))?.slotId).toBe(1);
    await rotation.activate();
    expect((await provider.unwrap(slots, binding))?.slotId).toBe(2);
    expect(readFileSync(path, 'latin1')).toMatch(/^[0-9a-f]{64}\n$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(existsSync(`${path}.next`)).toBe(false);
  });

  test('of a key file that is discarded, or stopped half-way, leaves the old key', async () => {
    const path = keyFile('kept', digits);
    const provider = fromFile(path);
    await (await provider.rotate(root(), binding)).discard();
    expect(existsSync(`${path}.next`)).toBe(false);
    await provider.rotate(root(), binding); // The process ended here.
    expect(readFileSync(path, 'latin1')).toBe(digits);
    const rotation = await provider.rotate(root(), binding);
    await rotation.activate();
    expect((await provider.unwrap([{ id: 2, ...rotation.slot }], binding))?.slotId).toBe(2);
    await expect(fromFile(join(folder, 'nowhere')).rotate(root(), binding)).rejects.toMatchObject({
      code: 'IO_ERROR',
    });
  });

  test('of a passphrase stretches it anew', async () => {
    const provider = fromPassphrase(passphrase);
    const rotation = await provider.rotate(root(), binding);
    await rotation.activate();
    const again = await provider.rotate(root(), binding);
    expect(again.slot.parameters).not.toEqual(rotation.slot.parameters);
    const opened = await provider.unwrap([{ id: 2, ...rotation.slot }], binding);
    expect(opened?.root.expose()).toEqual(rootBytes());
  });

  test('of what has no key of its own is refused, with what to do instead', async () => {
    const fixed = new HeldKeyProvider('fixed', 'fixed', () => new SecretKey(rootBytes()));
    for (const provider of [fromEnv('ANY'), fromRecoveryCode(generateRecoveryCode()), fixed]) {
      await expect(provider.rotate(root(), binding)).rejects.toMatchObject({
        code: 'KEY_ROTATION_UNSUPPORTED',
        details: { provider: provider.kind },
      });
    }
  });
});
