/** requestId: done once, answered the same for ever after, refused when it stands for something else. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Disk } from '../../src/base/index.ts';
import { limits } from '../../src/base/index.ts';
import type { TenantHandle, Verity } from '../../src/database/index.ts';
import { collect, newDisk, openOn, refused, StandingClock } from './support.ts';

const clock = new StandingClock();
let disk: Disk;
let db: Verity;
let clinic: TenantHandle;

beforeEach(async () => {
  disk = newDisk();
  db = await openOn(disk, { clock });
  clinic = await db.createTenant('clinic');
  await clinic.execute('CREATE TABLE visit (id integer PRIMARY KEY, seen timestamptz, note jsonb)');
});

afterEach(async () => {
  await db.close();
});

async function reopen(): Promise<void> {
  await db.close();
  db = await openOn(disk, { clock });
  clinic = db.tenant('clinic');
}

const count = async (): Promise<unknown> =>
  (await clinic.query('SELECT count(*) AS n FROM visit')).rows[0]?.['n'];

describe('a repeated command', () => {
  const insert = 'INSERT INTO visit VALUES ($1, now(), $2), (2, NULL, NULL) RETURNING *';
  const note = { b: [1n === 1n, 'x'], a: null };

  test('is done once and answered with the first result, also after a restart', async () => {
    const options = { requestId: 'r1', actor: 'eve' };
    const first = await clinic.execute(insert, [1, note], options);
    clock.advance(5_000);
    expect(await clinic.execute(insert, [1, note], options)).toEqual(first);
    await reopen();
    expect(await clinic.execute(insert, [1, { a: null, b: [true, 'x'] }], options)).toEqual(first);
    expect(first.rows).toHaveLength(2);
    expect(await count()).toBe(2n);
  });

  test('in flight waits for the first', async () => {
    const both = [1, 2].map(() => clinic.execute(insert, [1, note], { requestId: 'r1' }));
    const [first, second] = await Promise.all(both);
    expect(second).toEqual(first);
    expect(await count()).toBe(2n);
  });

  test('that changed nothing changes nothing later either', async () => {
    const remove = () => clinic.execute('DELETE FROM visit', [], { requestId: 'sweep' });
    const first = await remove();
    await clinic.execute(insert, [1, note]);
    expect(await remove()).toEqual(first);
    await reopen();
    expect(await remove()).toEqual(first);
    expect(await count()).toBe(2n);
    expect(await collect(clinic.changes())).toHaveLength(3);
  });

  test('is another one of another actor, in another tenant, and under another id', async () => {
    const one = (tenant: TenantHandle, id: number, options: object) =>
      tenant.execute('INSERT INTO visit (id) VALUES ($1)', [id], options);
    const other = await db.createTenant('other');
    await other.execute('CREATE TABLE visit (id integer PRIMARY KEY)');
    await one(clinic, 1, { requestId: 'r' });
    await one(clinic, 2, { requestId: 'r', actor: 'eve' });
    await one(clinic, 3, { requestId: 'R' });
    await one(other, 4, { requestId: 'r' });
    expect(await count()).toBe(3n);
  });

  test('that was refused may be tried again', async () => {
    const add = () =>
      clinic.execute('INSERT INTO visit (id) VALUES (1)', [], { requestId: 'again' });
    await clinic.execute('INSERT INTO visit (id) VALUES (1)');
    await refused('UNIQUE_VIOLATION', add);
    await clinic.execute('DELETE FROM visit');
    expect((await add()).rowCount).toBe(1);
  });
});

describe('the same id for another command', () => {
  const text = 'INSERT INTO visit (id) VALUES ($1)';
  test.each<[string, () => Promise<unknown>]>([
    ['other parameters', () => clinic.execute(text, [2], { requestId: 'r' })],
    ['a parameter of another type', () => clinic.execute(text, ['1'], { requestId: 'r' })],
    ['another statement', () => clinic.execute('DELETE FROM visit', [], { requestId: 'r' })],
    ['another literal', () => clinic.execute(text.replace('$1', '1'), [], { requestId: 'r' })],
    ['append', () => clinic.append('s', [1], { requestId: 'r' })],
    ['a transaction', () => clinic.transaction(async () => 1, { requestId: 'r' })],
  ])('is refused: %s', async (_what, work) => {
    await clinic.execute(text, [1], { requestId: 'r' });
    await refused('REQUEST_ID_REUSED', work);
    await reopen();
    await refused('REQUEST_ID_REUSED', work);
    expect(await count()).toBe(1n);
  });
});

test('append and createTenant are done once', async () => {
  const append = () => clinic.append('visits', [{ n: 1 }], { requestId: 'a', expectedVersion: 0 });
  expect(await append()).toEqual(await append());
  expect(await collect(clinic.read('visits'))).toHaveLength(1);
  await refused('REQUEST_ID_REUSED', () => clinic.append('visits', [{ n: 1 }], { requestId: 'a' }));
  const create = () => db.createTenant('lab', { requestId: 'c' });
  expect((await create()).name).toBe((await create()).name);
  await reopen();
  expect((await create()).name).toBe('lab');
  await refused('TENANT_EXISTS', () => db.createTenant('lab'));
});

describe('a transaction', () => {
  const answer = { id: 7n, at: new Date(5), bytes: new Uint8Array([1, 2]), $verity: 'mine' };
  let runs = 0;
  const book = () =>
    clinic.transaction(
      async (tx) => {
        runs += 1;
        await tx.execute('INSERT INTO visit (id) VALUES (1)');
        return answer;
      },
      { requestId: 'booking' },
    );

  test('runs once and gives its first result again', async () => {
    runs = 0;
    expect(await book()).toEqual(answer);
    expect(await book()).toEqual(answer);
    await reopen();
    expect(await book()).toEqual(answer);
    expect(runs).toBe(1);
    expect(await count()).toBe(1n);
  });

  test('of two at once one is done, and both get its result', async () => {
    expect(await Promise.all([book(), book(), book()])).toEqual([answer, answer, answer]);
    expect(await count()).toBe(1n);
  });

  test('whose result cannot be kept is not done', async () => {
    for (const result of [() => 1, 'x'.repeat(1 << 16)]) {
      await refused('INVALID_ARGUMENT', () =>
        clinic.transaction(
          async (tx) => {
            await tx.execute('INSERT INTO visit (id) VALUES (1)');
            return result;
          },
          { requestId: 'kept' },
        ),
      );
    }
    expect(await count()).toBe(0n);
  });
});

test('an id older than the window is refused, and never done again', async () => {
  const add = () => clinic.execute('INSERT INTO visit (id) VALUES (1)', [], { requestId: 'old' });
  const { position } = await add();
  await clinic.execute('DELETE FROM visit');
  clock.advance(limits.requestWindowMs);
  expect((await add()).position).toBe(position);
  clock.advance(1);
  const error = await refused('REQUEST_EXPIRED', add);
  expect(error.details).toEqual({ position: Number(position) });
  await reopen();
  await refused('REQUEST_EXPIRED', add);
  expect(await count()).toBe(0n);
});

test('a result too large to be kept is refused before anything is done', async () => {
  const large = 'x'.repeat(600_000);
  await refused('COMMAND_TOO_LARGE', () =>
    clinic.execute(
      'INSERT INTO visit (id, note) VALUES (1, $1), (2, $1) RETURNING note',
      [JSON.stringify(large)],
      { requestId: 'large' },
    ),
  );
  expect(await count()).toBe(0n);
});
