/** `verity receipt` and `verity check`: from a database on the disk to a check that has none. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ran, verity as verityProcess, verityHere as verity } from './verity-command.ts';

let directory: string;
let data: string;
let key: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'verity-receipts-'));
  data = join(directory, 'data');
  expect((await verity(['init', data])).exitCode).toBe(0);
  const script =
    "CREATE TABLE patients (id integer PRIMARY KEY, name text) WITH (disclosure = 'field');" +
    "INSERT INTO patients VALUES (1, 'Anna'), (2, 'Ben');" +
    "UPDATE patients SET name = 'Anna Maria' WHERE id = 1";
  const options = ['--actor', 'dr. jones', '--reason', 'admitted'];
  const made = await verity(['sql', data, '--tenant', 'clinic', ...options, '-c', script]);
  expect(made.stderr).toBe('');
  const exported = await verity(['keys', 'export-public', data, '--json']);
  key = (JSON.parse(exported.stdout) as { vkey: string }).vkey;
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function receipt(...options: string[]): Promise<string> {
  const run = await verity(['receipt', data, '--tenant', 'clinic', ...options]);
  expect(run.stderr).toBe('');
  expect(run.exitCode).toBe(0);
  const path = join(directory, `${options.join('')}.json`.replaceAll('/', ''));
  writeFileSync(path, run.stdout);
  return path;
}

const check = (path: string, ...options: string[]): Promise<Ran> =>
  verity(['check', path, '--key', key, ...options]);

test('a row’s history is made, and checked where there is no database', async () => {
  const path = await receipt('--table', 'patients', '--key', '1');
  const run = await check(path);
  expect(run.exitCode).toBe(0);
  for (const part of ['The receipt holds.', 'dr. jones', 'Anna Maria', 'id = 1', '2 changes'])
    expect(run.stdout).toContain(part);
  const json = await check(path, '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({
    ok: true,
    receipt: { kind: 'row', tenant: { name: 'clinic' }, history: { changes: 2, endProved: true } },
  });
  // From standard input, too.
  const piped = await verity(['check', '-', '--key', key], { input: readFileSync(path, 'utf8') });
  expect(piped.exitCode).toBe(0);
});

test('a position shows all of it, or the columns that are named', async () => {
  const history = await receipt('--table', 'patients', '--key', '1');
  const facts = JSON.parse((await check(history, '--json')).stdout) as {
    receipt: { commands: { position: number }[] };
  };
  const position = String(facts.receipt.commands[0]?.position);
  const whole = await check(await receipt('--position', position));
  expect(whole.stdout).toContain('Ben');
  const part = await check(await receipt('--position', position, '--columns', 'id'));
  expect(part.stdout).toContain('(withheld)');
  expect(part.stdout).not.toContain('Ben');
  const range = await check(await receipt('--from', position, '--to', '999'), '--json');
  expect(JSON.parse(range.stdout)).toMatchObject({ receipt: { kind: 'range' } });
});

describe('what does not hold', () => {
  test('has exit code 3 and names its check', async () => {
    const path = await receipt('--table', 'patients', '--key', '2');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.replace('"leaf":', '"leaf": '));
    const run = await check(path);
    expect(run.exitCode).toBe(3);
    expect(run.stderr).toContain('[check: format]');
    expect(run.stdout).toBe('');
    const json = await check(path, '--json');
    expect(json.exitCode).toBe(3);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false, check: 'format' });
    writeFileSync(path, text);
    const name = key.split('+')[0] as string;
    const stranger = await verity(['check', path, '--key', key.replace(name, `${name}x`)]);
    expect(stranger.exitCode).toBe(2);
    expect(stranger.stderr).toContain('INVALID_ARGUMENT');
    const otherLog = await check(path, '--origin', 'other.example');
    expect(otherLog.stderr).toContain('[check: origin]');
  });

  test('wrong usage has exit code 2, a file that cannot be read 1', async () => {
    const path = await receipt('--table', 'patients', '--key', '2');
    expect((await verity(['check', path])).exitCode).toBe(2);
    expect((await verity(['check'])).exitCode).toBe(2);
    expect((await check(path, '--quorum', 'x')).exitCode).toBe(2);
    expect((await check(join(directory, 'none.json'))).exitCode).toBe(1);
    const usage = ['receipt', data, '--tenant', 'clinic'];
    for (const options of [
      [],
      ['--position', 'x'],
      ['--position', '1', '--from', '1'],
      ['--from', '1'],
      ['--table', 'patients'],
    ])
      expect((await verity([...usage, ...options])).exitCode).toBe(2);
    const nothing = await verity([...usage, '--position', '99999']);
    expect(nothing.stderr).toContain('POSITION_UNKNOWN');
    expect(nothing.exitCode).toBe(1);
  });
});

test('other tools get tlog-proofs, a browser the page', async () => {
  const path = await receipt('--table', 'patients', '--key', '2');
  const run = await verity(['check', path, '--tlog-proofs']);
  const proofs = JSON.parse(run.stdout) as { leaf: number; commitment: string; proof: string }[];
  expect(proofs.length).toBeGreaterThan(2);
  expect(proofs[0]?.proof).toMatch(/^c2sp\.org\/tlog-proof@v1\nindex \d+\n/);
  expect(proofs[0]?.commitment).toMatch(/^[0-9a-f]{64}$/);
  // As built: the page is bundled then.
  const page = verityProcess(['check', '--page']);
  expect(page.stdout).toMatch(/^<!doctype html>[\s\S]*Content-Security-Policy[\s\S]*<\/html>\s*$/);
});
