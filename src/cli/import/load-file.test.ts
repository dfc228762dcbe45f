import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { VerityError } from '../../base/index.ts';
import type { SqlParameter, TableInfo, TenantHandle } from '../../database/index.ts';
import { checkFile, type CheckedFile } from './check-file.ts';
import { createTable, loadFile } from './load-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'verity-load-'));
afterAll(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'file.csv');

async function checked(content: string, existing?: TableInfo): Promise<CheckedFile> {
  writeFileSync(path, content);
  return checkFile({ path, table: 'file', existing, primaryKey: undefined });
}

interface Call {
  readonly sql: string;
  readonly parameters: readonly SqlParameter[];
}

/** A tenant that records INSERTs, refuses those with the text `bad`, and drops what a failed transaction wrote. */
function fakeTenant(failsAtCall?: number): {
  tenant: TenantHandle;
  calls: Call[];
  rehearsed: Call[];
} {
  const calls: Call[] = [];
  const rehearsed: Call[] = [];
  const refuse = (parameters: readonly SqlParameter[]): void => {
    if (parameters.includes('bad')) {
      throw new VerityError('CHECK_VIOLATION', 'The row breaks the CHECK constraint c.', {
        details: { column: 'b' },
      });
    }
  };
  const tenant = {
    name: 'clinic',
    execute: async (sql: string, parameters: readonly SqlParameter[] = []) => {
      if (calls.length === failsAtCall)
        throw new VerityError('DISK_FULL', 'There is no space left.');
      refuse(parameters);
      calls.push({ sql, parameters });
      return { position: BigInt(calls.length), rowCount: 0, rows: [], columns: [] };
    },
    transaction: async (body: (tx: unknown) => Promise<void>) =>
      body({
        execute: async (sql: string, parameters: readonly SqlParameter[]) => {
          refuse(parameters);
          rehearsed.push({ sql, parameters });
        },
      }),
  };
  return { tenant: tenant as unknown as TenantHandle, calls, rehearsed };
}

test('the table is created with quoted names and its key, then filled in batches of several hundred rows', async () => {
  const rows = Array.from({ length: 1_201 }, (_item, index) => `${index},"x""${index}"\n`).join('');
  const file = await checked(`Id,Order\n${rows}`);
  expect(createTable(file)).toBe(
    'CREATE TABLE "file" ("id" integer, "order" text, PRIMARY KEY ("id"))',
  );
  const { tenant, calls } = fakeTenant();
  let seen = 0;
  const { position } = await loadFile(file, {
    tenant,
    command: {},
    onRows: (count) => (seen += count),
  });
  expect(calls.map((call) => call.parameters.length / 2)).toEqual([0, 500, 500, 201]);
  expect(
    calls[1]?.sql.startsWith('INSERT INTO "file" ("id", "order") VALUES ($1,$2),($3,$4),'),
  ).toBe(true);
  expect(calls[3]?.parameters.slice(-2)).toEqual([1_200, 'x"1200']);
  expect([seen, position]).toEqual([1_201, 4n]);
});

const table: TableInfo = {
  name: 'file',
  columns: [
    { name: 'a', type: 'integer' },
    { name: 'b', type: 'text' },
  ],
  primaryKey: [],
  rowCount: 9,
};

test('a row that a constraint refuses is named by line and column, and nothing is written', async () => {
  const rows = Array.from(
    { length: 900 },
    (_item, index) => `${index},${index === 700 ? 'bad' : '"multi\nline"'}\n`,
  );
  const file = await checked(`a,b\n${rows.join('')}`, table);
  const { tenant, calls } = fakeTenant();
  const error: unknown = await loadFile(file, { tenant, command: {} }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({
    code: 'IMPORT_INVALID',
    details: { line: 2 + 700 * 2, column: 2, name: 'b' },
  });
  expect(calls).toEqual([]);
});

test('rows for an existing table are rehearsed, then loaded', async () => {
  const file = await checked('b,a\nx,1\ny,2\n', table);
  const { tenant, calls, rehearsed } = fakeTenant();
  await loadFile(file, { tenant, command: {} });
  expect(calls).toEqual(rehearsed);
  expect(calls).toMatchObject([{ parameters: ['x', 1, 'y', 2] }]);
});

test('a failure half-way says how many rows are stored', async () => {
  const file = await checked(`x,y\n${'1,2\n'.repeat(1_300)}`);
  const { tenant } = fakeTenant(2);
  await expect(loadFile(file, { tenant, command: {} })).rejects.toMatchObject({
    code: 'DISK_FULL',
    details: { loadedRows: 500 },
    message: expect.stringContaining('500 of 1300 rows'),
  });
});

test('a file that changed after its check is not loaded', async () => {
  const file = await checked('x\n1\n');
  appendFileSync(path, '2\n');
  const { tenant, calls } = fakeTenant();
  await expect(loadFile(file, { tenant, command: {} })).rejects.toMatchObject({
    code: 'IMPORT_INVALID',
  });
  expect(calls).toEqual([]);
});
