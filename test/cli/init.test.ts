import { existsSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import { verity, verityHere, verityJson, verityJsonHere, Workspace } from './verity-command.ts';

const workspace = new Workspace();
afterAll(() => workspace.remove());

test('init creates a database, a key file for its owner alone, and a recovery code', () => {
  const directory = workspace.path('one');
  const { exitCode, stdout, stderr } = verity(['init', directory]);
  expect(exitCode).toBe(0);
  expect(readFileSync(`${directory}.key`, 'utf8')).toMatch(/^[0-9a-f]{64}\n?$/);
  expect(statSync(`${directory}.key`).mode & 0o777).toBe(0o600);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(stdout).toMatch(/^Recovery code: \S+/m);
  expect(stderr).toMatch(/^warning: the key file lies beside the data/);
  expect(verity(['status', directory]).stdout).toMatch(/^key slots +\S.*,/m);
});

test('the recovery code opens the database when the key is lost', async () => {
  const directory = workspace.path('lost');
  const { document } = verityJson(['init', directory]);
  renameSync(`${directory}.key`, workspace.path('elsewhere.key'));
  expect(await verityJsonHere(['status', directory])).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'KEY_MISSING' } },
  });
  const env = { VERITY_RECOVERY_CODE: document.recoveryCode };
  expect((await verityHere(['status', directory], { env })).exitCode).toBe(0);
  const file = workspace.file('code.txt', `${document.recoveryCode}\n`);
  expect((await verityHere(['status', directory, '--recovery-code-file', file])).exitCode).toBe(0);
  const piped = await verityHere(['status', directory, '--recovery-code-file', '-'], {
    input: `${document.recoveryCode}\n`,
  });
  expect(piped.exitCode).toBe(0);
  expect(
    (await verityHere(['status', directory, '--key-file', workspace.path('elsewhere.key')]))
      .exitCode,
  ).toBe(0);
});

test('--json prints these fields', () => {
  const directory = workspace.path('json');
  const { exitCode, document } = verityJson(['init', directory]);
  expect(exitCode).toBe(0);
  expect(document).toEqual({
    path: directory,
    logId: expect.stringMatching(/^[0-9a-f-]{32,36}$/),
    keyFile: `${directory}.key`,
    keyFileCreated: true,
    recoveryCode: expect.any(String),
    warnings: [expect.stringContaining('beside the data')],
  });
  const elsewhere = workspace.path('keys');
  mkdirSync(elsewhere);
  mkdirSync(workspace.path('databases'));
  const args = ['init', workspace.path('databases/one'), '--key-file', `${elsewhere}/one.key`];
  expect(verityJson(args).document).toMatchObject({ keyFileCreated: true, warnings: [] });
});

test('--origin names the database, for ever', async () => {
  const directory = workspace.path('named');
  const args = ['init', directory, '--origin', 'clinic.example/records'];
  expect((await verityJsonHere(args)).exitCode).toBe(0);
  const { document } = await verityJsonHere(['status', directory]);
  expect(document).toMatchObject({ origin: 'clinic.example/records' });
  expect((await verityHere(['status', directory])).stdout).toMatch(
    /^origin +clinic\.example\/records$/m,
  );
  const exported = await verityJsonHere(['keys', 'export-public', directory]);
  expect(exported.document['vkey']).toMatch(/^clinic\.example\/records\+[0-9a-f]{8}\+[^+]/);
  for (const origin of ['', 'two words', 'a+b', 'x'.repeat(256)]) {
    const other = workspace.path('unnamed');
    const refused = await verityJsonHere(['init', other, '--origin', origin]);
    expect(refused, origin).toMatchObject({
      exitCode: 2,
      document: { error: { code: 'INVALID_ARGUMENT' } },
    });
    expect(existsSync(other), origin).toBe(false);
    expect(existsSync(`${other}.key`), origin).toBe(false);
  }
});

test('with a key from the environment no key file is made', () => {
  const hex = { VERITY_MASTER_KEY: '5a'.repeat(32) };
  const first = workspace.path('hex');
  expect(verity(['init', first], { env: hex }).exitCode).toBe(0);
  expect(existsSync(`${first}.key`)).toBe(false);
  expect(verity(['status', first], { env: hex }).exitCode).toBe(0);
  const second = workspace.path('phrase');
  const phrase = { VERITY_PASSPHRASE: 'correct horse battery staple' };
  expect(verityJson(['init', second], { env: phrase }).document).toMatchObject({
    keyFile: null,
    keyFileCreated: false,
  });
  expect(verity(['status', second], { env: phrase }).exitCode).toBe(0);
  expect(verityJson(['status', second], { env: { VERITY_PASSPHRASE: 'wrong' } })).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'WRONG_KEY' } },
  });
});

test('a key in .env of the working directory is used', () => {
  workspace.file('.env', `VERITY_MASTER_KEY=${'6b'.repeat(32)}\n`);
  const directory = workspace.path('dotenv');
  expect(verity(['init', directory], { cwd: workspace.folder }).exitCode).toBe(0);
  expect(existsSync(`${directory}.key`)).toBe(false);
  expect(
    verity(['status', directory], { env: { VERITY_MASTER_KEY: '6b'.repeat(32) } }).exitCode,
  ).toBe(0);
});

test('--key-file goes before the environment', () => {
  const directory = workspace.database('precedence');
  const env = { VERITY_MASTER_KEY: '00'.repeat(32), VERITY_PASSPHRASE: 'nonsense' };
  expect(verity(['status', directory, '--key-file', `${directory}.key`], { env }).exitCode).toBe(0);
  expect(verityJson(['status', directory], { env })).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'WRONG_KEY' } },
  });
});

test('a malformed key file is told apart from a wrong one', () => {
  const directory = workspace.database('malformed');
  const file = workspace.file('short.key', 'abc\n');
  const { exitCode, document } = verityJson(['status', directory, '--key-file', file]);
  expect([exitCode, document.error.code]).toEqual([1, 'KEY_INVALID']);
});

test('init refuses a directory that holds anything, and leaves no key behind', () => {
  const existing = workspace.database('twice');
  const key = readFileSync(`${existing}.key`, 'utf8');
  expect(verityJson(['init', existing])).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'DATABASE_EXISTS' } },
  });
  expect(readFileSync(`${existing}.key`, 'utf8')).toBe(key);
  mkdirSync(workspace.path('other'));
  workspace.file('other/notes.txt', 'mine');
  expect(verityJson(['init', workspace.path('other')])).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'NOT_A_DATABASE' } },
  });
  expect(existsSync(workspace.path('other.key'))).toBe(false);
  workspace.file('file', 'mine');
  expect(verity(['init', workspace.path('file/under')]).exitCode).toBe(1);
  expect(existsSync(workspace.path('file/under.key'))).toBe(false);
});
