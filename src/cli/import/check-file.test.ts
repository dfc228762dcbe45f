import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { TableInfo } from '../../database/index.ts';
import { type CheckedFile, checkFile } from './check-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'verity-check-'));
afterAll(() => rmSync(directory, { recursive: true }));

interface Options {
  readonly existing?: TableInfo;
  readonly primaryKey?: string;
}

async function check(content: string, options: Options = {}): Promise<CheckedFile> {
  const path = join(directory, 'file.csv');
  writeFileSync(path, content);
  return checkFile({
    path,
    table: 'file',
    existing: options.existing,
    primaryKey: options.primaryKey,
  });
}

async function problem(content: string, options: Options = {}): Promise<Record<string, unknown>> {
  const error: unknown = await check(content, options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const { code, details } = error as { code: string; details: Record<string, unknown> };
  const { line, column, name } = details;
  return { code, line, column, name };
}

const people: TableInfo = {
  name: 'people',
  columns: [
    { name: 'id', type: 'integer' },
    { name: 'zip', type: 'varchar(5)' },
    { name: 'seen', type: 'timestamptz' },
  ],
  primaryKey: ['id'],
  rowCount: 0,
};

test('types come from the whole file and the column id becomes the key', async () => {
  const checked = await check('\ufeffId,ZIP,Cost\n1,02138,1\n2,,1.50\n');
  expect(checked.columns).toEqual([
    { name: 'id', type: 'integer' },
    { name: 'zip', type: 'text' },
    { name: 'cost', type: 'numeric' },
  ]);
  expect(checked).toMatchObject({ primaryKey: ['id'], rowCount: 2 });
});

test('a column id that repeats or has gaps is an ordinary column', async () => {
  expect(await check('id,x\n1,a\n1,b\n')).toMatchObject({ primaryKey: [], rowCount: 2 });
  expect(await check('id,x\n1,a\n,b\n')).toMatchObject({ primaryKey: [] });
});

test('keys are compared by the type of their column, not by looks', async () => {
  expect(await check('id\n1.0\n1.00\n')).toMatchObject({ primaryKey: [] });
  expect(await check('id\n1.0\n1.00\nx\n')).toMatchObject({ primaryKey: ['id'] });
  expect(await check('id\nABC\nabc\n')).toMatchObject({ primaryKey: ['id'] });
  const uuid = '3edac2e3-d223-6fae-d515-daf96ef6bc76';
  expect(await check(`id\n${uuid}\n${uuid.toUpperCase()}\n`)).toMatchObject({ primaryKey: [] });
  expect(await check('id\n2024-01-01T00:00:00Z\n2024-01-01T01:00:00+01:00\n')).toMatchObject({
    primaryKey: [],
  });
});

test('an asked-for key that repeats or is empty is refused with its place', async () => {
  expect(await problem('a,B\n1,x\n2,y\n3,x\n', { primaryKey: 'b' })).toEqual({
    code: 'IMPORT_INVALID',
    line: 4,
    column: 2,
    name: 'b',
  });
  expect(await problem('a,b\n1,x\n2,\n', { primaryKey: 'B' })).toEqual({
    code: 'IMPORT_INVALID',
    line: 3,
    column: 2,
    name: 'b',
  });
  expect(await problem('a\n1\n', { primaryKey: 'nope' })).toMatchObject({
    code: 'IMPORT_INVALID',
    line: 1,
  });
});

test('ragged rows are refused with the place where they break off', async () => {
  expect(await problem('a,b,c\n1,2,3\n"x\ny",2\n')).toEqual({
    code: 'IMPORT_INVALID',
    line: 4,
    column: 3,
    name: 'c',
  });
  expect(await problem('a,b\n1,2,3\n')).toEqual({
    code: 'IMPORT_INVALID',
    line: 2,
    column: 3,
    name: undefined,
  });
});

test('a header with empty, repeated or overlong names is refused', async () => {
  expect(await problem('a,,c\n')).toMatchObject({ code: 'IMPORT_INVALID', line: 1, column: 2 });
  expect(await problem('a,b,A\n')).toMatchObject({ code: 'IMPORT_INVALID', line: 1, column: 3 });
  expect(await problem(`${'x'.repeat(64)}\n`)).toMatchObject({
    code: 'IMPORT_INVALID',
    line: 1,
    column: 1,
  });
  expect(await problem('')).toMatchObject({ code: 'IMPORT_INVALID', line: 1 });
});

test('a value that no column holds is refused: NUL, and more than 64 megabytes', async () => {
  expect(await problem('a,b\n1,x\0y\n')).toMatchObject({
    code: 'IMPORT_INVALID',
    line: 2,
    column: 2,
  });
  expect(await problem(`a,b\n1,${'é'.repeat(34_000_000)}\n`)).toMatchObject({
    code: 'IMPORT_INVALID',
    line: 2,
    column: 2,
  });
});

test('a file for a table that exists must fit its columns, types and key', async () => {
  const options = { existing: people };
  expect(await check('ID,zip\n1,02138\n', options)).toMatchObject({
    columns: [{ type: 'integer' }, { type: 'varchar(5)' }],
  });
  expect(await problem('id,city\n1,x\n', options)).toMatchObject({
    code: 'IMPORT_INVALID',
    line: 1,
    column: 2,
  });
  expect(await problem('id,zip\n1,021389\n', options)).toMatchObject({
    code: 'IMPORT_INVALID',
    line: 2,
    column: 2,
  });
  expect(await problem('id,zip\n1,a\n01,b\n', options)).toMatchObject({
    code: 'IMPORT_INVALID',
    line: 3,
    column: 1,
  });
  expect(await problem('id,zip\n,a\n', options)).toMatchObject({
    code: 'IMPORT_INVALID',
    line: 2,
    column: 1,
  });
  expect(await problem('id\n1\n', { ...options, primaryKey: 'zip' })).toMatchObject({
    code: 'IMPORT_INVALID',
  });
  expect(await problem('id,zip\n1,2\n', { ...options, primaryKey: 'zip' })).toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});

test('messages never repeat a value of the file', async () => {
  const secret = '999-17-5017';
  const failed = await check(`id,zip\n1,${secret}\n`, { existing: people }).catch(
    (error: Error) => error.message,
  );
  expect(failed).toMatch(/file\.csv, line 2, column 2 \(zip\)/);
  expect(failed).not.toContain(secret);
});
