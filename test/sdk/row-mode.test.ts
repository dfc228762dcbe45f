/** Rows as arrays: what columns of one name need. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TenantHandle, Verity } from '../../src/database/index.ts';
import { collect, newDisk, openOn, refused } from './support.ts';

const twice = 'SELECT id, name, id + 1 AS id FROM people ORDER BY 1';
const array = { rowMode: 'array' } as const;

let db: Verity;
let tenant: TenantHandle;
beforeAll(async () => {
  db = await openOn(newDisk());
  tenant = await db.createTenant('main');
  await tenant.execute('CREATE TABLE people (id integer PRIMARY KEY, name text)');
  await tenant.execute("INSERT INTO people VALUES (1, 'Ada'), (2, NULL)");
});
afterAll(() => db.close());

test('an object holds the last of columns of one name', async () => {
  const { rows, columns } = await tenant.query(twice);
  expect(rows).toEqual([
    { id: 2, name: 'Ada' },
    { id: 3, name: null },
  ]);
  expect(columns.map(({ name }) => name)).toEqual(['id', 'name', 'id']);
});

test('an array holds all of them, in the order of the columns', async () => {
  const expected = [
    [1, 'Ada', 2],
    [2, null, 3],
  ];
  const { rows, position } = await tenant.query<unknown[]>(twice, [], array);
  expect(rows).toEqual(expected);
  expect((await tenant.queryAt<unknown[]>(twice, [], position, array)).rows).toEqual(expected);
  expect(await collect(tenant.stream<unknown[]>(twice, [], array))).toEqual(expected);
});

test('a transaction gives arrays, too', async () => {
  const rows = await tenant.transaction(async (tx) => {
    await tx.execute("UPDATE people SET name = 'Bo' WHERE id = 2");
    return (await tx.query<unknown[]>(twice, [], array)).rows;
  });
  expect(rows[1]).toEqual([2, 'Bo', 3]);
});

test('execute gives the rows of RETURNING and of a query as arrays, alone and within a transaction', async () => {
  const returning = 'UPDATE people SET name = name WHERE id = 1 RETURNING id, id + 1 AS id';
  expect((await tenant.execute<unknown[]>(returning, [], array)).rows).toEqual([[1, 2]]);
  expect((await tenant.execute<unknown[]>(twice, [], array)).rows[0]).toEqual([1, 'Ada', 2]);
  const within = await tenant.transaction((tx) => tx.execute<unknown[]>(returning, [], array));
  expect(within.rows).toEqual([[1, 2]]);
});

test('another word is refused', async () => {
  const options = { rowMode: 'arrays' } as unknown as typeof array;
  await refused('INVALID_ARGUMENT', () => tenant.query(twice, [], options));
  await refused('INVALID_ARGUMENT', () => collect(tenant.stream(twice, [], options)));
  const { position } = await tenant.query('SELECT 1');
  await refused('INVALID_ARGUMENT', () => tenant.execute('DELETE FROM people', [], options));
  expect((await tenant.query('SELECT 1')).position).toBe(position);
});
