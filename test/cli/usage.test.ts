/** Pins the verbs and flags of the command, its help, and what wrong usage does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from '../support/project.ts';
import { verity, verityHere, verityJson, verityJsonHere } from './verity-command.ts';

const onDatabase = [
  '--json',
  '--master-key',
  '--key-file',
  '--recovery-code-file',
  '--lock-memory',
  '--cache-bytes',
  '--scratch',
  '--accept-rollback',
  '--actor',
  '--reason',
  '--help',
];
const withoutDatabase = ['--json', '--help'];
/** Each verb with its own flags and those that it shares. */
const verbs: Record<string, string[]> = {
  init: ['--algorithm', '--compression', '--plain', '--origin', ...onDatabase],
  import: ['--tenant', '--table', '--primary-key', ...onDatabase],
  sql: ['--tenant', '--command', '--at', '--request-id', '--format', ...onDatabase],
  history: ['--tenant', ...onDatabase],
  verify: ['--without-key', ...onDatabase],
  status: onDatabase,
  checkpoint: ['--list', ...onDatabase],
  repair: ['--from', '--extend', '--cut-tail', '--dry-run', '--yes', ...onDatabase],
  'log copy': onDatabase,
  'keys list': onDatabase,
  'keys rotate': [
    '--new-key-file',
    '--new-master-key',
    '--tenant',
    '--remove-recovery-codes',
    '--signing',
    ...onDatabase,
  ],
  'keys export-public': onDatabase,
  'keys rekey': ['--bytes-per-second', ...onDatabase],
  'keys generate-pair': withoutDatabase,
  audit: ['--without-key', '--since', '--tsa-ca', '--out', '--resume', '--threads', ...onDatabase],
  prove: ['--tenant', '--table', '--key', '--command', ...onDatabase],
  'witness serve': ['--listen', '--state', '--key-file', '--name', '--log', ...withoutDatabase],
  'witness add': onDatabase,
  'witness list': onDatabase,
  'witness remove': onDatabase,
  'witness cosign': onDatabase,
  'witness policy': ['--required', '--strict', '--no-strict', ...onDatabase],
  'timestamp add': ['--ca', '--every', ...onDatabase],
  'timestamp remove': onDatabase,
  'timestamp list': onDatabase,
  'timestamp stamp': onDatabase,
  receipt: [
    '--tenant',
    '--position',
    '--from',
    '--to',
    '--table',
    '--key',
    '--columns',
    '--with-commands',
    ...onDatabase,
  ],
  export: ['--tenant', '--out', '--format', '--with-proofs', ...onDatabase],
  check: [
    '--key',
    '--witness',
    '--quorum',
    '--origin',
    '--tsa-ca',
    '--tlog-proofs',
    '--page',
    ...withoutDatabase,
  ],
  sim: ['--seed', '--runs', '--jobs', '--keep', '--trace', ...withoutDatabase],
};

test.each(['', 'log', 'keys', 'witness', 'timestamp'])('the verbs are these: %s', async (group) => {
  const words = group === '' ? [] : [group];
  const { exitCode, stdout } = await verityHere([...words, '--help']);
  const commands = stdout.slice(stdout.indexOf('Commands:'));
  const names = [...commands.matchAll(/^ {2}([\w-]+)(?: \[| <| {2})/gm)].map(([, name]) => name);
  const pinned = Object.keys(verbs)
    .map((verb) => verb.split(' '))
    .filter((parts) => group === '' || (parts[0] === group && parts.length > 1))
    .map((parts) => parts[words.length]);
  expect(exitCode).toBe(0);
  expect(names.filter((name) => name !== 'help')).toEqual([...new Set(pinned)]);
});

describe.each(Object.entries(verbs))('%s', (verb, flags) => {
  const words = verb.split(' ');
  const needsDatabase = flags.includes('--master-key');

  test('takes these flags, and its help has an example', async () => {
    const { exitCode, stdout } = await verityHere([...words, '--help']);
    const options = stdout.slice(stdout.indexOf('Options:')).split('\n\n', 1)[0] ?? '';
    const long = [...options.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag);
    expect(exitCode).toBe(0);
    expect(long.toSorted()).toEqual(flags.toSorted());
    expect(stdout).toMatch(
      new RegExp(`Examples?:\\n(?:.*\\n)*? {2}\\$ (?:\\w+=\\S+ )*verity ${verb}`),
    );
    if (!needsDatabase) return;
    expect(stdout).toMatch(/VERITY_MASTER_KEY[^]*VERITY_PASSPHRASE/);
    expect(stdout).toContain('0 done, 1 failed, 2 wrong usage, 3 integrity failure');
  });

  // The simulator has a seed of its own when none is given.
  if (verb === 'sim') return;

  test('without its arguments is wrong usage: exit code 2 and one line', async () => {
    const { exitCode, stdout, stderr } = await verityHere(words);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(
      /^error: .*(?:DIR|FILE|--tenant|--seed|--from).* Try `verity [\w -]+ --help`\. \[INVALID_ARGUMENT\]\n$/,
    );
  });
});

test('an unknown verb, flag or format is wrong usage', async () => {
  expect((await verityHere(['explode'])).exitCode).toBe(2);
  expect((await verityHere(['status', 'd', '--nope'])).exitCode).toBe(2);
  expect(
    (await verityHere(['sql', 'd', '--tenant', 't', '--format', 'xml', '-c', 'SELECT 1'])).exitCode,
  ).toBe(2);
  expect((await verityHere(['import', 'd', 'f.csv'])).stderr).toMatch(/--tenant/);
  expect((await verityHere(['import', 'd', '--tenant', 't'])).exitCode).toBe(2);
});

test('with --json wrong usage is a document on standard error', async () => {
  const { exitCode, document } = await verityJsonHere(['history', 'd']);
  expect(exitCode).toBe(2);
  expect(document).toEqual({
    error: {
      code: 'INVALID_ARGUMENT',
      message: expect.any(String),
      sqlState: '22023',
      details: {},
    },
  });
});

test('no verb prints the help and is wrong usage', async () => {
  const { exitCode, stdout, stderr } = await verityHere([]);
  expect([exitCode, stdout]).toEqual([2, '']);
  expect(stderr).toContain('Usage: verity');
});

test('--version is the version of the package', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(verity(['--version'])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' });
});

test('the process itself ends with the exit code', () => {
  expect(verity(['explode']).exitCode).toBe(2);
});

test('a directory that is not there or not ours is told apart from a missing key', () => {
  expect(verityJson(['status', '/nowhere/at/all'])).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'NO_DATABASE' } },
  });
  expect(
    verityJson(['status', join(root, 'docs')], { env: { VERITY_MASTER_KEY: 'ab'.repeat(32) } }),
  ).toMatchObject({
    exitCode: 1,
    document: { error: { code: 'NOT_A_DATABASE' } },
  });
});
