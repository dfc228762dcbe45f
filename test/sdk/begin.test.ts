/** tenant.begin: a transaction that its caller ends, and savepoints within transactions. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { limits } from '../../src/base/index.ts';
import type { TenantHandle, Verity } from '../../src/database/index.ts';
import { newDisk, openOn, refused } from './support.ts';

let db: Verity;
let clinic: TenantHandle;

beforeEach(async () => {
  db = await openOn(newDisk());
  clinic = await db.createTenant('clinic');
  await clinic.execute('CREATE TABLE bed (id integer PRIMARY KEY, patient text UNIQUE)');
});

afterEach(() => db.close());

type Reads = { query(sql: string): Promise<{ rows: Record<string, unknown>[] }> };

const beds = async (from: Reads = clinic): Promise<unknown[]> =>
  (await from.query('SELECT id FROM bed ORDER BY id')).rows.map((row) => row['id']);
const add = (id: number): string => `INSERT INTO bed VALUES (${id}, 'p${id}')`;

test('commits at one position, with who and why', async () => {
  const tx = clinic.begin({ actor: 'eve', reason: 'ward round' });
  await tx.execute(add(1));
  await tx.execute(add(2));
  expect(await beds()).toEqual([]);
  expect(await beds(tx)).toEqual([1, 2]);
  const { position } = await tx.commit();
  expect(await beds()).toEqual([1, 2]);
  const [change] = await clinic.history('bed', [2]);
  expect(change).toMatchObject({ position, actor: 'eve', reason: 'ward round' });
});

test('forgets everything on rollback, and takes nothing more after its end', async () => {
  const tx = clinic.begin();
  await tx.execute(add(1));
  tx.rollback();
  expect(await beds()).toEqual([]);
  await refused('TRANSACTION_ENDED', () => tx.execute(add(1)));
  await refused('TRANSACTION_ENDED', () => tx.query('SELECT 1'));
  await refused('TRANSACTION_ENDED', () => tx.commit());
  const other = clinic.begin();
  await other.commit();
  await refused('TRANSACTION_ENDED', () => other.commit());
});

test('conflicts when what it read has changed, and ends', async () => {
  const tx = clinic.begin();
  expect(await beds(tx)).toEqual([]);
  await tx.execute(add(1));
  await clinic.execute(add(2));
  expect(await beds(tx)).toEqual([1]);
  const error = await refused('TRANSACTION_CONFLICT', () => tx.commit());
  expect(error.retryable).toBe(true);
  await refused('TRANSACTION_ENDED', () => tx.commit());
});

test('that only reads commits whatever changed: it stands at its snapshot', async () => {
  const tx = clinic.begin();
  expect(await beds(tx)).toEqual([]);
  await clinic.execute(add(1));
  expect(await beds(tx)).toEqual([]);
  await tx.commit();
});

test('conflicts when a table is defined meanwhile', async () => {
  const tx = clinic.begin();
  await tx.execute(add(1));
  await clinic.execute('CREATE TABLE ward (id integer)');
  await refused('TRANSACTION_CONFLICT', () => tx.commit());
});

describe('savepoints', () => {
  test('give back what was done since, again and again', async () => {
    const tx = clinic.begin();
    await tx.execute(add(1));
    await tx.execute('SAVEPOINT a');
    for (const id of [2, 3]) {
      await tx.execute(add(id));
      await tx.execute("UPDATE bed SET patient = 'x' WHERE id = 1");
      expect(await beds(tx)).toEqual([1, id]);
      await tx.execute('ROLLBACK TO SAVEPOINT a');
      expect(await beds(tx)).toEqual([1]);
    }
    await tx.execute(add(4));
    await tx.commit();
    expect((await clinic.query('SELECT * FROM bed ORDER BY id')).rows).toEqual([
      { id: 1, patient: 'p1' },
      { id: 4, patient: 'p4' },
    ]);
    const [change] = await clinic.history('bed', [4]);
    expect(change?.statement).not.toContain('UPDATE');
  });

  test('nest: the newest of a name counts, and one given back takes the later ones along', async () => {
    await clinic.transaction(async (tx) => {
      await tx.execute('SAVEPOINT a');
      await tx.execute(add(1));
      await tx.execute('SAVEPOINT a');
      await tx.execute(add(2));
      await tx.execute('ROLLBACK TO a');
      expect(await beds(tx)).toEqual([1]);
      await tx.execute('RELEASE a');
      await tx.execute('SAVEPOINT b');
      await tx.execute('ROLLBACK TO a');
      expect(await beds(tx)).toEqual([]);
      await refused('UNDEFINED_SAVEPOINT', () => tx.execute('ROLLBACK TO b'));
      await tx.execute('RELEASE SAVEPOINT a');
      await refused('UNDEFINED_SAVEPOINT', () => tx.execute('ROLLBACK TO a'));
      await refused('UNDEFINED_SAVEPOINT', () => tx.execute('RELEASE a'));
      await tx.execute(add(7));
    });
    expect(await beds()).toEqual([7]);
  });

  test('do not make unread what was read: the commit still rests on it', async () => {
    const tx = clinic.begin();
    await tx.execute('SAVEPOINT a');
    await tx.query('SELECT count(*) FROM bed');
    await tx.execute('ROLLBACK TO a');
    await tx.execute('INSERT INTO bed (id) VALUES (9)');
    await clinic.execute(add(1));
    await refused('TRANSACTION_CONFLICT', () => tx.commit());
  });

  test('are bounded', async () => {
    const tx = clinic.begin();
    for (let index = 0; index < limits.savepointsMax; index++) await tx.execute('SAVEPOINT a');
    await refused('COMMAND_TOO_LARGE', () => tx.execute('SAVEPOINT a'));
  });

  test('belong to transactions', async () => {
    for (const sql of ['SAVEPOINT a', 'ROLLBACK TO a', 'RELEASE a'])
      await refused('UNSUPPORTED_SQL', () => clinic.execute(sql));
  });
});
