import { createPublicKey } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { verityHere as verity } from './verity-command.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-keys-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const at = (name: string): string => join(folder, name);

/** A database of one tenant with one row; its directory and recovery code. */
async function made(name: string): Promise<{ readonly directory: string; readonly code: string }> {
  const directory = at(name);
  const { recoveryCode } = JSON.parse((await verity(['init', directory, '--json'])).stdout) as {
    recoveryCode: string;
  };
  await sql(directory, 'CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)');
  return { directory, code: recoveryCode };
}

async function sql(directory: string, text: string, ...more: string[]): Promise<number | null> {
  return (await verity(['sql', directory, '--tenant', 'acme', '-c', text, ...more])).exitCode;
}

interface Listed {
  readonly generation: number;
  readonly provider: { readonly kind: string; readonly source: string };
  readonly slots: readonly { readonly id: number; readonly kind: string }[];
  readonly tenants: readonly { readonly tenant: string | null; readonly secrets: number[] }[];
  readonly rekeyDue: boolean;
  readonly publicKey: string;
}

async function list(directory: string, ...more: string[]): Promise<Listed> {
  return JSON.parse(
    (await verity(['keys', 'list', directory, '--json', ...more])).stdout,
  ) as Listed;
}

test('keys rotate puts another key file in force, keys rekey seals the rest, and nothing is lost', async () => {
  const { directory, code } = await made('rotated');
  const newKey = at('new.key');
  const rotated = await verity(['keys', 'rotate', directory, '--new-key-file', newKey]);
  expect([rotated.exitCode, rotated.stderr]).toEqual([0, '']);
  expect(rotated.stdout).toContain('Rotated the master key.');
  expect(statSync(newKey).mode & 0o777).toBe(0o600);
  const old = await verity(['keys', 'list', directory, '--json']);
  expect([old.exitCode, old.stdout]).toEqual([1, '']);
  expect(JSON.parse(old.stderr)).toMatchObject({ error: { code: 'WRONG_KEY' } });
  const listed = await list(directory, '--key-file', newKey);
  expect(listed).toMatchObject({
    provider: { kind: 'file', source: newKey },
    tenants: [
      { tenant: null, secrets: [1, 2] },
      { tenant: 'acme', secrets: [1, 2] },
    ],
    rekeyDue: true,
  });
  expect(Object.keys(listed)).toEqual(
    'generation provider slots tenants rekeyDue publicKey'.split(' '),
  );
  expect(Object.keys(listed.provider)).toEqual(['kind', 'source', 'parameters', 'rotates']);
  expect(Object.keys(listed.slots[0] ?? {})).toEqual(['id', 'kind', 'parameters']);
  expect(listed.slots.map(({ kind }) => kind)).toEqual(['recovery', 'master-key']);
  const rekeyed = await verity(['keys', 'rekey', directory, '--key-file', newKey, '--json']);
  expect(JSON.parse(rekeyed.stdout)).toEqual({
    segments: 1,
    bytes: expect.any(Number),
    blobs: 0,
    secretsRemoved: 2,
  });
  expect(rekeyed.stderr).toBe('');
  expect((await list(directory, '--key-file', newKey)).rekeyDue).toBe(false);
  writeFileSync(at('code.txt'), code, { mode: 0o600 });
  expect(
    (await verity(['verify', directory, '--recovery-code-file', at('code.txt')])).exitCode,
  ).toBe(0);
  expect(await sql(directory, 'INSERT INTO t VALUES (2)', '--key-file', newKey)).toBe(0);
});

test('without another key the key file renews itself, and a lost key is replaced with the recovery code', async () => {
  const { directory, code } = await made('renewed');
  const before = readFileSync(`${directory}.key`, 'utf8');
  expect((await verity(['keys', 'rotate', directory])).exitCode).toBe(0);
  expect(readFileSync(`${directory}.key`, 'utf8')).not.toBe(before);
  expect(existsSync(`${directory}.key.next`)).toBe(false);
  expect(await sql(directory, 'INSERT INTO t VALUES (2)')).toBe(0);
  writeFileSync(at('lost.txt'), code, { mode: 0o600 });
  const rescued = await verity(
    'keys rotate DIR --recovery-code-file CODE --new-master-key passphrase: --remove-recovery-codes'
      .replace('CODE', at('lost.txt'))
      .replace('DIR', directory)
      .split(' '),
    { env: { VERITY_NEW_PASSPHRASE: 'correct horse battery staple' } },
  );
  expect([rescued.exitCode, rescued.stderr]).toEqual([0, '']);
  const env = { VERITY_PASSPHRASE: 'correct horse battery staple' };
  const listed = await verity(['keys', 'list', directory], { env });
  expect(listed.stdout).toContain('passphrase (algorithm argon2id');
  expect(listed.stdout).not.toContain('recovery');
  expect(await sql(directory, 'SELECT 1')).toBe(1);
});

test("--tenant rotates that tenant's keys alone", async () => {
  const { directory } = await made('tenant');
  const run = await verity(['keys', 'rotate', directory, '--tenant', 'acme', '--json']);
  expect(JSON.parse(run.stdout)).toMatchObject({ tenant: 'acme', slots: [{ id: 1 }, { id: 2 }] });
  expect((await list(directory)).tenants).toEqual([
    { tenant: null, secrets: [1] },
    { tenant: 'acme', secrets: [1, 2] },
  ]);
});

test('keys export-public prints a public key that OpenSSL reads, the same as in JSON', async () => {
  const { directory } = await made('public');
  const { stdout } = await verity(['keys', 'export-public', directory]);
  const key = createPublicKey(stdout);
  expect(key.asymmetricKeyType).toBe('ed25519');
  const json = JSON.parse(
    (await verity(['keys', 'export-public', directory, '--json'])).stdout,
  ) as Record<string, string>;
  expect(Object.keys(json)).toEqual([
    'name',
    'algorithm',
    'publicKey',
    'pem',
    'vkey',
    'earlierVkeys',
  ]);
  const raw = key.export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64');
  expect([json['publicKey'], (await list(directory)).publicKey]).toEqual([raw, raw]);
  expect(stdout).toContain(`base64  ${raw}`);
  const { logId } = JSON.parse((await verity(['status', directory, '--json'])).stdout) as {
    logId: string;
  };
  const vkey = Buffer.concat([Buffer.of(1), Buffer.from(raw, 'base64')]).toString('base64');
  expect(json['vkey']).toMatch(/^veritydb\.local\/[0-9a-f]{32}\+[0-9a-f]{8}\+/);
  expect(json['vkey']).toSatisfy((text: string) => text.startsWith(`veritydb.local/${logId}+`));
  expect(json['vkey']).toSatisfy((text: string) => text.endsWith(`+${vkey}`));
  expect(json['earlierVkeys']).toEqual([]);
  expect(stdout).toContain(`vkey    ${json['vkey']}\n`);
});

test('keys rotate --signing puts another signing key in force, which shows the one before it', async () => {
  const { directory } = await made('signing');
  const exported = async (): Promise<{ vkey: string; earlierVkeys: string[] }> =>
    JSON.parse((await verity(['keys', 'export-public', directory, '--json'])).stdout) as {
      vkey: string;
      earlierVkeys: string[];
    };
  const { vkey: first } = await exported();
  const run = await verity(['keys', 'rotate', directory, '--signing', '--json']);
  expect([run.exitCode, run.stderr]).toEqual([0, '']);
  const rotated = JSON.parse(run.stdout) as { vkey: string };
  expect(rotated).toEqual(await exported());
  expect(rotated).toMatchObject({ earlierVkeys: [first] });
  const again = await verity(['keys', 'rotate', directory, '--signing']);
  const { vkey, earlierVkeys } = await exported();
  expect(again.stdout).toContain(`${vkey}\n`);
  expect(earlierVkeys).toEqual([first, rotated.vkey]);
  expect(new Set([first, rotated.vkey, vkey]).size).toBe(3);
  const text = (await verity(['keys', 'export-public', directory])).stdout;
  expect(text).toContain(`vkey    ${vkey}\nearlier ${first}\nearlier ${rotated.vkey}\n`);
  const { publicKey } = await list(directory);
  expect(Buffer.from(vkey.replace(/^[^+]*\+[0-9a-f]{8}\+/, ''), 'base64').subarray(1)).toEqual(
    Buffer.from(publicKey, 'base64'),
  );
});

test('wrong usage ends with 2 and changes nothing, what cannot be done with 1', async () => {
  const { directory } = await made('usage');
  const { generation } = await list(directory);
  const usage = [
    ['rotate', directory, '--new-key-file', at('a.key'), '--new-master-key', 'env:X'],
    ['rotate', directory, '--tenant', 'acme', '--new-key-file', at('a.key')],
    ['rotate', directory, '--tenant', 'acme', '--remove-recovery-codes'],
    ['rotate', directory, '--signing', '--tenant', 'acme'],
    ['rotate', directory, '--signing', '--new-key-file', at('a.key')],
    ['rotate', directory, '--new-master-key', 'ftp:x'],
    ['rekey', directory, '--bytes-per-second', '0'],
    ['rekey', directory, '--bytes-per-second', 'fast'],
    ['rekey'],
    ['burn', directory],
  ];
  for (const args of usage)
    expect((await verity(['keys', ...args])).exitCode, args.join(' ')).toBe(2);
  const failing = [
    ['rotate', directory, '--tenant', 'nobody'],
    ['rotate', directory, '--new-master-key', 'env:VERITY_NOT_SET'],
    ['rotate', directory, '--new-master-key', 'passphrase:'],
    ['list', at('none')],
  ];
  for (const args of failing)
    expect((await verity(['keys', ...args])).exitCode, args.join(' ')).toBe(1);
  expect(existsSync(at('a.key'))).toBe(false);
  expect((await list(directory)).generation).toBe(generation);
});

test('the help names every verb of keys', async () => {
  const { stdout } = await verity(['keys', '--help']);
  for (const verb of ['list', 'rotate', 'export-public', 'rekey']) expect(stdout).toContain(verb);
});
