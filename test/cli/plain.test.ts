/** `verity init` with another cipher, compression or none, and what the other verbs make of a plain database. */
import { existsSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { verity, verityHere, verityJson, verityJsonHere, Workspace } from './verity-command.ts';

const workspace = new Workspace();
afterAll(() => workspace.remove());
const warning = expect.stringMatching(/^WARNING: .* plain mode: nothing in it is encrypted/);

test('init takes a cipher and a compression, and status names them', async () => {
  const directory = workspace.path('chacha');
  const flags = ['--algorithm', 'chacha20-poly1305', '--compression', 'brotli'];
  expect((await verityHere(['init', directory, ...flags])).exitCode).toBe(0);
  const { document } = await verityJsonHere(['status', directory]);
  expect(document).toMatchObject({ encryption: 'chacha20-poly1305', compression: 'brotli' });
  expect((await verityHere(['verify', directory])).exitCode).toBe(0);
});

test('unknown ciphers and compressions, and a cipher for a plain database, are wrong usage', async () => {
  for (const flags of [
    ['--algorithm', 'none'],
    ['--algorithm', 'rot13'],
    ['--compression', 'zip'],
    ['--plain', '--algorithm', 'aes-256-gcm'],
  ]) {
    const ran = await verityHere(['init', workspace.path('never'), ...flags]);
    expect([ran.exitCode, existsSync(workspace.path('never'))], flags.join(' ')).toEqual([
      2,
      false,
    ]);
  }
});

test('init --plain makes no key and no recovery code, and says so loudly', async () => {
  const directory = workspace.path('plain');
  const { exitCode, stdout, stderr } = verity(['init', directory, '--plain']);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/NOT ENCRYPTED/);
  expect(stdout).not.toMatch(/Recovery code/);
  expect(stderr).toEqual(warning);
  expect(existsSync(`${directory}.key`)).toBe(false);
  const other = verityJson(['init', workspace.path('plain-json'), '--plain']);
  expect(other.document).toEqual({
    path: workspace.path('plain-json'),
    logId: expect.any(String),
    keyFile: null,
    keyFileCreated: false,
    recoveryCode: null,
    warnings: [expect.stringContaining('plain mode')],
  });
});

test('every verb warns once on standard error, in JSON as a document of one line', async () => {
  const directory = workspace.path('verbs');
  await verityHere(['init', directory, '--plain']);
  const csv = workspace.file('notes.csv', 'id,text\n1,one\n2,two\n');
  const verbs = [
    ['import', directory, '--tenant', 'clinic', csv],
    ['sql', directory, '--tenant', 'clinic', '-c', "INSERT INTO notes VALUES (3, 'three')"],
    ['history', directory, '--tenant', 'clinic', 'notes', '3'],
    ['verify', directory],
    ['status', directory],
  ];
  for (const args of verbs) {
    const ran = await verityHere(args);
    expect(ran.exitCode, args[0]).toBe(0);
    expect(ran.stderr.match(/plain mode/g), args[0]).toHaveLength(1);
    expect(ran.stderr, args[0]).toEqual(warning);
    const json = await verityHere([...args, '--json', '--actor', 'ann']);
    const [line = ''] = json.stderr.split('\n');
    expect(JSON.parse(line), args[0]).toEqual({ warning: expect.stringContaining('plain mode') });
  }
  const { document } = await verityJsonHere(['status', directory]);
  expect(document).toMatchObject({ encryption: 'none', keySlots: [{ kind: 'none' }] });
});

test('a key that is given is meant: with one, or a key file in its place, a plain database is refused', async () => {
  const directory = workspace.path('swapped');
  await verityHere(['init', directory, '--plain']);
  const keyFile = workspace.file('some.key', '5a'.repeat(32));
  const refused = { exitCode: 1, document: { error: { code: 'NOT_ENCRYPTED' } } };
  expect(await verityJsonHere(['status', directory, '--key-file', keyFile])).toMatchObject(refused);
  const env = { VERITY_PASSPHRASE: 'correct horse battery staple' };
  expect(await verityJsonHere(['status', directory], { env })).toMatchObject(refused);
  writeFileSync(`${directory}.key`, '5a'.repeat(32), { mode: 0o600 });
  expect(await verityJsonHere(['verify', directory])).toMatchObject(refused);
});

test('init --plain is refused where a key was given', async () => {
  const keyFile = workspace.file('given.key', '5a'.repeat(32));
  const directory = workspace.path('given');
  const ran = await verityHere(['init', directory, '--plain', '--key-file', keyFile]);
  expect([ran.exitCode, existsSync(directory)]).toEqual([2, false]);
});
