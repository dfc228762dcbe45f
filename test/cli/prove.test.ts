import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyReceipt } from '../../src/receipt/index.ts';
import { verityHere as verity } from './verity-command.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-prove-cli-'));
const directory = join(folder, 'data');
let vkey: string;
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  await verity(['init', directory]);
  const setup =
    'CREATE TABLE "Odd ""name" (day date, id integer, note text, PRIMARY KEY (id, day));' +
    `INSERT INTO "Odd ""name" VALUES ('2026-01-02', 7, 'there')`;
  expect((await verity(['sql', directory, '--tenant', 'acme', '-c', setup])).exitCode).toBe(0);
  const { stdout } = await verity(['keys', 'export-public', directory, '--json']);
  ({ vkey } = JSON.parse(stdout) as { vkey: string });
});

const prove = (...args: string[]): ReturnType<typeof verity> =>
  verity(['prove', directory, '--tenant', 'acme', ...args]);

function shown(receipt: string): unknown {
  const result = verifyReceipt(receipt, { keys: [vkey] });
  return result.ok ? result.receipt.state?.map(({ row }) => row ?? null) : result;
}

test('prints the receipt of a row by its key, or that there is none', async () => {
  const row = ['--table', '"Odd ""name"', '--key', '7', '--key', '2026-01-02'];
  const there = await prove(...row);
  expect([there.exitCode, there.stderr]).toEqual([0, '']);
  expect(shown(there.stdout)).toEqual([{ day: '2026-01-02', id: 7, note: 'there' }]);
  const gone = await prove(...row.slice(0, 3), '8', ...row.slice(4));
  expect(shown(gone.stdout)).toEqual([null]);
});

test('prints that of a query by primary key, and signs nothing where the newest checkpoint will do', async () => {
  const sql = `SELECT note FROM "Odd ""name" WHERE day = '2026-01-02' AND id IN (7, 9)`;
  const first = await prove('-c', sql);
  const second = await prove('-c', sql);
  expect(shown(first.stdout)).toEqual([{ day: '2026-01-02', id: 7, note: 'there' }, null]);
  expect(second.stdout).toBe(first.stdout);
});

test('says what it takes', async () => {
  for (const args of [
    [],
    ['--table', 't'],
    ['--key', '7'],
    ['--table', 't', '--key', '7', '-c', 'SELECT 1'],
  ]) {
    const { exitCode, stderr } = await prove(...args);
    expect([exitCode, stderr]).toEqual([
      2,
      expect.stringContaining('Give --table with --key, or -c'),
    ]);
  }
  const other = await prove('-c', 'SELECT 1', '--json');
  expect(other.exitCode).toBe(1);
  expect(JSON.parse(other.stderr)).toMatchObject({ error: { code: 'UNSUPPORTED_SQL' } });
});
