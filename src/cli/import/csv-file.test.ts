import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { type CsvRow, readCsvFile } from './csv-file.ts';

const directory = mkdtempSync(join(tmpdir(), 'verity-csv-'));
afterAll(() => rmSync(directory, { recursive: true }));

async function read(content: string | Buffer): Promise<CsvRow[]> {
  const path = join(directory, 'file.csv');
  writeFileSync(path, content);
  const rows: CsvRow[] = [];
  for await (const group of readCsvFile(path)) rows.push(...group);
  return rows;
}

async function problem(
  content: string | Buffer,
): Promise<{ line: number; column: number; message: string }> {
  const error: unknown = await read(content).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: 'IMPORT_INVALID' });
  const { message, details } = error as {
    message: string;
    details: { line: number; column: number };
  };
  return { line: details.line, column: details.column, message };
}

test('quotes, doubled quotes, commas and line breaks inside fields are kept', async () => {
  expect(await read('a,b\n"x, ""y""","1\r\n2"\n')).toEqual([
    { line: 1, fields: ['a', 'b'] },
    { line: 2, fields: ['x, "y"', '1\r\n2'] },
  ]);
});

test('LF, CRLF, CR and a missing last line break all end a row', async () => {
  const rows = [
    { line: 1, fields: ['a', 'b'] },
    { line: 2, fields: ['1', '2'] },
  ];
  for (const text of ['a,b\n1,2', 'a,b\r\n1,2\r\n', 'a,b\r1,2\r', 'a,b\r\n1,2\n']) {
    expect(await read(text)).toEqual(rows);
  }
});

test('a byte order mark is not part of the first name', async () => {
  expect(await read('\ufeffid,x\n1,2\n')).toMatchObject([
    { fields: ['id', 'x'] },
    { fields: ['1', '2'] },
  ]);
  expect(await read('\ufeff"id",x\n')).toMatchObject([{ fields: ['id', 'x'] }]);
});

test('line numbers count blank lines and line breaks within fields', async () => {
  const rows = await read('a,b\n\n"1\n2\r\n3",x\n\r\n\ny,z\n');
  expect(rows.map((row) => row.line)).toEqual([1, 3, 8]);
});

test('bad quoting is refused with line and column', async () => {
  expect(await problem('a,b\n"1\n2",3\nx,y"z\n')).toMatchObject({ line: 4, column: 2 });
  expect(await problem('a,b\n1,"2"3\n')).toMatchObject({ line: 2, column: 2 });
  expect(await problem('a,b\n1,2\n\n3,"4\n5,6\n')).toMatchObject({ line: 4, column: 2 });
});

test('bytes that are not UTF-8 are refused with line and column', async () => {
  const bytes = (...parts: (string | number)[]): Buffer =>
    Buffer.concat(
      parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part))),
    );
  expect(await problem(bytes('a,b\n1,2\nx,caf', 0xe9, '\n'))).toMatchObject({ line: 3, column: 2 });
  expect(await problem(bytes('a,b\n"1\n', 0xff, '",2\n'))).toMatchObject({ line: 2, column: 1 });
  expect(await problem(bytes('a,b\n1,"2"', 0xc3))).toMatchObject({ line: 2, column: 2 });
  expect(await problem(bytes(0xff, 0xfe, 'a'))).toMatchObject({ line: 1, column: 1 });
});

test('characters that straddle the pieces read from disk survive', async () => {
  const value = 'é€😀'.repeat(60_000);
  expect(await read(`x${'y'.repeat(1)}\n${value}\n"${value}"\n`)).toMatchObject([
    { fields: ['xy'] },
    { fields: [value] },
    { fields: [value] },
  ]);
});

test('a file that is not there is an IO_ERROR that names it', async () => {
  const rows = readCsvFile(join(directory, 'absent.csv'));
  await expect(rows.next()).rejects.toMatchObject({ code: 'IO_ERROR' });
});
