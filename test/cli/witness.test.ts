/** `verity witness` and `verity timestamp` as a user runs them; the witness in a process of its own. */
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, describe, expect, test } from 'vitest';
import { hasOpenssl, makeAuthority, serveAuthority } from '../support/timestamp-authority.ts';
import { cleanEnvironment, mainScript, verityHere as verity } from './verity-command.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-witness-cli-'));
const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
  rmSync(folder, { recursive: true, force: true });
});
const at = (name: string): string => join(folder, name);

async function json(...args: string[]): Promise<ReturnType<typeof JSON.parse>> {
  const { stdout, stderr, exitCode } = await verity([...args, '--json']);
  if (exitCode !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

const sql = async (directory: string, text: string, ...more: string[]) =>
  verity(['sql', directory, '--tenant', 'acme', '-c', text, ...more]);

async function made(name: string): Promise<string> {
  const directory = at(name);
  await json('init', directory, '--origin', 'acme.example/records');
  await sql(directory, 'CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1)');
  return directory;
}

interface Serving {
  readonly url: string;
  readonly vkey: string;
  readonly logs: readonly string[];
}

/** `verity witness serve` in a process of its own, until the end of the tests. */
async function serving(vkey: string): Promise<Serving & { stop(): Promise<number | null> }> {
  const args = ['witness', 'serve', '--listen', '127.0.0.1:0', '--state', at('w'), '--log', vkey];
  const own = ['--key-file', at('w.key'), '--name', 'witness.example/w', '--json'];
  const child = spawn(process.execPath, [mainScript, ...args, ...own], { env: cleanEnvironment });
  const ended = new Promise<number | null>((resolve) => child.on('exit', resolve));
  closing.push(() => child.kill('SIGKILL'));
  let said = '';
  const facts = await new Promise<Serving>((resolve, reject) => {
    child.stderr.on('data', (text: Buffer) => reject(new Error(String(text))));
    child.stdout.on('data', (text: Buffer) => {
      said += String(text);
      if (said.endsWith('\n')) resolve(JSON.parse(said) as Serving);
    });
  });
  return {
    ...facts,
    stop() {
      child.kill('SIGTERM');
      return ended;
    },
  };
}

test('a witness is served, added, asked, and keeps a rolled-back disk from being opened', async () => {
  const directory = await made('data');
  const { vkey } = await json('keys', 'export-public', directory);
  const witness = await serving(vkey as string);
  expect(witness.logs).toEqual([vkey]);
  expect(statSync(at('w.key')).mode & 0o777).toBe(0o600);

  const added = await json('witness', 'add', directory, witness.url, witness.vkey);
  expect(added).toMatchObject({ policy: { required: 0, strict: false } });
  const policy = await json('witness', 'policy', directory, '--required', '1', '--strict');
  expect(policy).toMatchObject({ policy: { required: 1, strict: true } });
  const asked = await json('witness', 'cosign', directory);
  expect(Object.keys(asked as object)).toEqual([
    'size',
    'note',
    'witnesses',
    'cosigned',
    'required',
  ]);
  expect(asked).toMatchObject({ cosigned: 1, required: 1 });
  const listed = await verity(['witness', 'list', directory]);
  expect(listed.stdout).toMatch(
    /^witness\.example\/w {2}http:\S+ {2}cosigned \d{4}-.*\n1 must cosign/,
  );

  cpSync(directory, at('yesterday'), { recursive: true });
  await sql(directory, 'INSERT INTO t VALUES (2)');
  await json('witness', 'cosign', directory);
  rmSync(directory, { recursive: true });
  renameSync(at('yesterday'), directory);
  const refused = await sql(directory, 'INSERT INTO t VALUES (3)');
  expect([refused.exitCode, refused.stdout]).toEqual([3, '']);
  expect(refused.stderr).toMatch(/cosigned a checkpoint of \d+ events.*\[LOG_ROLLED_BACK\]\n$/s);
  expect((await sql(directory, 'SELECT id FROM t')).exitCode).toBe(0);
  const accepted = await sql(directory, 'INSERT INTO t VALUES (3)', '--accept-rollback');
  expect(accepted.exitCode).toBe(0);
  expect(accepted.stderr).toContain('That was accepted.');
  // It does not get the cosignatures that the policy asks for.
  expect((await verity(['witness', 'cosign', directory])).exitCode).toBe(1);

  expect(await witness.stop()).toBe(0);
  const alone = await sql(directory, 'INSERT INTO t VALUES (4)');
  expect(alone.exitCode).toBe(1);
  expect(alone.stderr).toContain('[WITNESS_UNAVAILABLE]');
});

test('what a witness cannot be is said', async () => {
  const directory = await made('other');
  const { vkey } = await json('keys', 'export-public', directory);
  const serve = ['witness', 'serve', '--state', at('x'), '--key-file', at('none.key')];
  const cases = [
    [2, [...serve, '--log', vkey, '--listen', 'nowhere']],
    [1, [...serve, '--log', vkey]],
    [1, [...serve, '--log', 'no key']],
    [2, serve],
    // A log's key is not a witness's.
    [1, ['witness', 'add', directory, 'http://127.0.0.1:1', vkey]],
    [2, ['witness', 'remove', directory, 'witness.example/w']],
    [2, ['witness', 'policy', directory, '--required', '1']],
    [2, ['witness', 'policy', directory, '--required', 'all']],
    [2, ['timestamp', 'stamp', directory]],
    [2, ['timestamp', 'add', directory, 'http://127.0.0.1:1', '--ca', at('none.pem')]],
  ] as [number, string[]][];
  for (const [exitCode, args] of cases) {
    const ran = await verity(args);
    expect([args.join(' '), ran.exitCode, ran.stdout]).toEqual([args.join(' '), exitCode, '']);
  }
});

describe.skipIf(!hasOpenssl)('time stamps (need openssl)', () => {
  test('are asked for, checked and listed', async () => {
    const directory = await made('stamped');
    const authority = makeAuthority(at('tsa'), { key: 'ec' });
    const server = await serveAuthority(authority);
    closing.push(() => server.close());
    const ca = authority.caFile;
    const added = await json(
      'timestamp',
      'add',
      directory,
      server.url,
      '--ca',
      ca,
      '--every',
      '60',
    );
    expect(added).toEqual({ authority: { url: server.url, everySeconds: 60 }, timestamps: [] });
    const { timestamps } = await json('timestamp', 'stamp', directory);
    expect(timestamps).toEqual([
      expect.objectContaining({ authority: 'O=Example, CN=signer', size: expect.any(Number) }),
    ]);
    expect(await json('timestamp', 'list', directory)).toMatchObject({ timestamps });
    const text = await verity(['timestamp', 'list', directory]);
    expect(text.stdout).toMatch(/\d events {2}O=Example, CN=signer {2}serial 0[0-9a-f]\n$/);
    expect(await json('timestamp', 'remove', directory)).toMatchObject({ authority: null });
  });
});
