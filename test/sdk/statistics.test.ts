/** What the planner knows of tables: few reads, kept until the log has grown, told by EXPLAIN. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TenantHandle, Verity } from '../../src/database/index.ts';
import { newDisk, openOn } from './support.ts';

let db: Verity;
let tenant: TenantHandle;
beforeAll(async () => {
  db = await openOn(newDisk());
  tenant = await db.createTenant('main');
  for (const sql of [
    'CREATE TABLE visits (id integer PRIMARY KEY, open boolean, ward integer, code integer, patient integer)',
    'CREATE TABLE wards (id integer PRIMARY KEY, name text)',
    'CREATE INDEX by_open ON visits (open)',
    'CREATE INDEX by_ward ON visits (ward)',
    'CREATE INDEX by_code ON visits (code)',
  ])
    await tenant.execute(sql);
});
afterAll(() => db.close());

const plan = async (sql: string): Promise<string> => {
  const { rows } = await tenant.query<unknown[]>(`EXPLAIN ${sql}`, [], { rowMode: 'array' });
  return rows.flat().join('\n');
};

const byTwo = 'SELECT id FROM visits WHERE open AND ward = 3 AND code = 5';
const joined = 'SELECT w.name, v.id FROM visits v, wards w WHERE w.id = v.ward';

test('plans follow what the tables hold, also of statements that were planned before', async () => {
  // Nothing there: the first index is as good as any.
  expect(await plan(byTwo)).toContain('of 0');
  await tenant.execute(
    'INSERT INTO visits SELECT i, i % 2 = 0, i % 10, i % 400, i FROM generate_series(1, 800) g (i)',
  );
  await tenant.execute("INSERT INTO wards SELECT i, 'w' || i FROM generate_series(0, 9) g (i)");
  const text = await plan(byTwo);
  expect(text).toContain('using by_code');
  expect(text).toContain('Rows: about 1 of 800');
  expect(await plan('SELECT id FROM visits WHERE ward = 3')).toContain('Rows: about 80 of 800');
  expect(await plan('SELECT id FROM visits WHERE open')).toContain('Rows: about 400 of 800');
});

test('the smaller table comes first where each has an index for the other', async () => {
  const text = await plan(joined);
  expect(text.indexOf('on wards w')).toBeGreaterThan(0);
  expect(text.indexOf('on wards w')).toBeLessThan(text.indexOf('on visits v'));
});

test('beyond what is counted it says so, and goes by how often values repeat', async () => {
  await tenant.execute(
    'INSERT INTO visits SELECT i, i % 2 = 0, i % 10, i % 400, i FROM generate_series(801, 4000) g (i)',
  );
  const text = await plan(byTwo);
  expect(text).toContain('using by_code');
  expect(text).toMatch(/Rows: about \d+ of 10000 or more/);
});
