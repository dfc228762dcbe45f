/** Values over 1 MiB through the command: imported, read, verified, copied, and put back from the copy. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { verityJsonHere, Workspace } from './verity-command.ts';

const workspace = new Workspace();
afterAll(() => workspace.remove());
const directory = workspace.database();
const long = 'a "quoted" €, '.repeat(120_000);
const length = long.length;

const query = async (text: string): Promise<unknown> => {
  const { document } = await verityJsonHere(['sql', directory, '--tenant', 'clinic', '-c', text]);
  return document.results?.[0]?.rows ?? document;
};

test('a file with a large value is imported, and SQL makes another', async () => {
  const file = join(directory, '..', 'letters.csv');
  writeFileSync(file, `id,body\n1,"${long.replaceAll('"', '""')}"\n2,short\n`);
  const { exitCode, document } = await verityJsonHere([
    'import',
    directory,
    '--tenant',
    'clinic',
    file,
  ]);
  expect(exitCode, JSON.stringify(document).slice(0, 300)).toBe(0);
  expect(await query('SELECT id, length(body) AS l FROM letters ORDER BY id')).toEqual([
    { id: 1, l: length },
    { id: 2, l: 5 },
  ]);
  await query("INSERT INTO letters VALUES (3, repeat('€', 400000))");
  expect(await query('SELECT length(body) AS l FROM letters WHERE id = 3')).toEqual([
    { l: 400_000 },
  ]);
  expect(readdirSync(join(directory, 'blobs'))).toHaveLength(2);
});

test('verify counts them, names one that is missing, and a repair takes it from a copy', async () => {
  const copy = join(directory, '..', 'copy');
  expect((await verityJsonHere(['log', 'copy', directory, copy])).exitCode).toBe(0);
  expect((await verityJsonHere(['verify', directory])).document).toMatchObject({
    ok: true,
    blobs: { checked: 2, unnamed: [] },
  });
  const [name] = readdirSync(join(directory, 'blobs'));
  const file = `blobs/${name}`;
  rmSync(join(directory, file));
  expect(await verityJsonHere(['verify', directory])).toMatchObject({
    exitCode: 3,
    document: { ok: false, findings: [{ code: 'MISSING_DATA', file, offset: 0 }] },
  });
  const repaired = await verityJsonHere(['repair', directory, '--from', copy]);
  expect(repaired).toMatchObject({ exitCode: 0, document: { restored: [file] } });
  expect((await verityJsonHere(['verify', directory])).exitCode).toBe(0);
});
