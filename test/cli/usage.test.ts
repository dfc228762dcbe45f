/** Pins the verbs and flags of the command, its help, and what wrong usage does. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from '../support/project.ts';
import { verity, verityHere, verityJson, verityJsonHere } from './verity-command.ts';

const common = [
  '--json',
  '--master-key',
  '--key-file',
  '--recovery-code-file',
  '--actor',
  '--reason',
  '--help',
];
const verbs: Record<string, string[]> = {
  init: [],
  import: ['--tenant', '--table', '--primary-key'],
  sql: ['--tenant', '--command', '--at', '--format'],
  history: ['--tenant'],
  verify: [],
  status: [],
};

test('the verbs are these', async () => {
  const { exitCode, stdout } = await verityHere(['--help']);
  const commands = stdout.slice(stdout.indexOf('Commands:'));
  const names = [...commands.matchAll(/^ {2}(\w+)(?: \[| <)/gm)].map(([, name]) => name);
  expect(exitCode).toBe(0);
  expect(names.filter((name) => name !== 'help')).toEqual(Object.keys(verbs));
});

describe.each(Object.entries(verbs))('%s', (verb, flags) => {
  test('takes these flags, and its help has an example', async () => {
    const { exitCode, stdout } = await verityHere([verb, '--help']);
    const options = stdout.slice(stdout.indexOf('Options:'), stdout.indexOf('The master key'));
    const long = [...options.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, flag]) => flag);
    expect(exitCode).toBe(0);
    expect(long.toSorted()).toEqual([...common, ...flags].toSorted());
    expect(stdout).toMatch(new RegExp(`Example:\\n  \\$ verity ${verb} `));
    expect(stdout).toMatch(/VERITY_MASTER_KEY[^]*VERITY_PASSPHRASE/);
    expect(stdout).toContain('0 done, 1 failed, 2 wrong usage, 3 integrity failure');
  });

  test('without its arguments is wrong usage: exit code 2 and one line', async () => {
    const { exitCode, stdout, stderr } = await verityHere([verb]);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(
      /^error: .*(?:DIR|--tenant).* Try `verity \w+ --help`\. \[INVALID_ARGUMENT\]\n$/,
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
