/** tenant.changes and tenant.history: the log as a feed, and the life of one row. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Change, SqlParameter, TenantHandle, Verity } from '../../src/database/index.ts';
import { collect, newDisk, openOn, refused, StandingClock } from './support.ts';

let db: Verity;
let tenant: TenantHandle;
let clock: StandingClock;

beforeEach(async () => {
  clock = new StandingClock();
  db = await openOn(newDisk(), { clock });
  tenant = await db.createTenant('clinic');
  await tenant.execute('CREATE TABLE t (id integer PRIMARY KEY, v text, "__proto__" jsonb)');
});

afterEach(() => db.close());

const brief = (changes: readonly Change[]): unknown[] =>
  changes.map(({ kind, table, key, before, after }) => ({ kind, table, key, before, after }));
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

describe('changes', () => {
  test('are every event in order with what was before and after', async () => {
    const { position: inserted } = await tenant.execute(
      "INSERT INTO t VALUES (1, 'a', '{\"n\": 1}'), (2, 'b', NULL)",
      [],
      { actor: 'x', reason: 'y' },
    );
    clock.advance(1000);
    await tenant.execute("UPDATE t SET v = 'c' WHERE id = 1");
    await tenant.execute('UPDATE t SET id = 3 WHERE id = 2');
    await tenant.execute('DELETE FROM t WHERE id = 1');
    await tenant.append('s', [{ e: 1 }]);
    const changes = await collect(tenant.changes());
    const row = (id: number, v: string, json: unknown): object =>
      Object.fromEntries([
        ['id', id],
        ['v', v],
        ['__proto__', json],
      ]);
    expect(brief(changes)).toEqual([
      { kind: 'createTable', table: 't', key: {}, before: undefined, after: undefined },
      {
        kind: 'insert',
        table: 't',
        key: { id: 1 },
        before: undefined,
        after: row(1, 'a', { n: 1 }),
      },
      { kind: 'insert', table: 't', key: { id: 2 }, before: undefined, after: row(2, 'b', null) },
      {
        kind: 'update',
        table: 't',
        key: { id: 1 },
        before: row(1, 'a', { n: 1 }),
        after: row(1, 'c', { n: 1 }),
      },
      { kind: 'delete', table: 't', key: { id: 2 }, before: row(2, 'b', null), after: undefined },
      { kind: 'insert', table: 't', key: { id: 3 }, before: undefined, after: row(3, 'b', null) },
      {
        kind: 'delete',
        table: 't',
        key: { id: 1 },
        before: row(1, 'c', { n: 1 }),
        after: undefined,
      },
      {
        kind: 'append',
        table: 's',
        key: { version: 1n },
        before: undefined,
        after: { data: { e: 1 } },
      },
    ]);
    expect(changes[1]).toMatchObject({
      position: inserted,
      actor: 'x',
      reason: 'y',
      time: new Date(Date.UTC(2026, 0, 31, 12)),
    });
    expect(changes[3]).toMatchObject({
      actor: undefined,
      time: new Date(Date.UTC(2026, 0, 31, 12, 0, 1)),
    });
  });

  test('carry the statement with $n in place of every literal', async () => {
    await tenant.execute("INSERT INTO t (id, v) VALUES (1, 'PRIVATE'), ($1, $2) /* PRIVATE */", [
      2,
      'PRIVATE',
    ]);
    await tenant.transaction(async (tx) => {
      await tx.execute("UPDATE t SET v = 'PRIVATE' WHERE id = 1");
      await tx.execute('DELETE FROM t WHERE id = 2');
    });
    const statements = (await collect(tenant.changes())).map((change) => change.statement);
    expect(statements.slice(1)).toEqual([
      'INSERT INTO t (id, v) VALUES ($3, $4), ($1, $2)',
      'INSERT INTO t (id, v) VALUES ($3, $4), ($1, $2)',
      'UPDATE t SET v = $1 WHERE id = $2; DELETE FROM t WHERE id = $1',
      'UPDATE t SET v = $1 WHERE id = $2; DELETE FROM t WHERE id = $1',
    ]);
  });

  test('from a position on include that position', async () => {
    await tenant.execute("INSERT INTO t VALUES (1, 'a')");
    const { position } = await tenant.execute("INSERT INTO t VALUES (2, 'b')");
    const keysFrom = async (from: bigint): Promise<unknown[]> =>
      (await collect(tenant.changes({ from }))).map((change) => change.key);
    expect(await keysFrom(position)).toEqual([{ id: 2 }]);
    expect(await keysFrom(position + 1n)).toEqual([]);
    expect(await keysFrom(10_000n)).toEqual([]);
    expect(await keysFrom(0n)).toHaveLength(3);
    for (const bad of [-1n, 1.5, 'x', null, 2n ** 70n])
      await refused('INVALID_ARGUMENT', () => keysFrom(bad as bigint));
  });

  test('of one tenant are not those of another', async () => {
    const other = await db.createTenant('other');
    await other.execute('CREATE TABLE t (id integer)');
    await other.execute('INSERT INTO t VALUES (7)');
    expect((await collect(tenant.changes())).map((change) => change.kind)).toEqual(['createTable']);
    const [, inserted] = await collect(other.changes());
    // Without a primary key a row is named by its hidden id.
    expect(inserted?.key).toEqual({ rowid: 1n });
  });

  test('that are followed come as they are committed, and end with the signal', async () => {
    const controller = new AbortController();
    const seen: unknown[] = [];
    const following = (async () => {
      for await (const change of tenant.changes({ follow: true, signal: controller.signal }))
        seen.push(change.key['id']);
    })();
    for (const id of [1, 2]) await tenant.execute('INSERT INTO t (id) VALUES ($1)', [id]);
    await tenant.transaction(async (tx) => {
      await tx.execute('INSERT INTO t (id) VALUES (3)');
      await tx.execute('INSERT INTO t (id) VALUES (4)');
    });
    await pause(20);
    expect(seen).toEqual([undefined, 1, 2, 3, 4]);
    await refused('UNIQUE_VIOLATION', () => tenant.execute('INSERT INTO t (id) VALUES (1)'));
    await tenant.execute('INSERT INTO t (id) VALUES (5)');
    await pause(20);
    expect(seen.at(-1)).toBe(5);
    controller.abort();
    await following;
    await tenant.execute('INSERT INTO t (id) VALUES (6)');
    await pause(20);
    expect(seen).toHaveLength(6);
  });

  test('that are followed end at once if the signal was aborted before', async () => {
    expect(await collect(tenant.changes({ follow: true, signal: AbortSignal.abort() }))).toEqual(
      [],
    );
  });

  test('that are followed may be left with break, and end with CLOSED when the database is closed', async () => {
    for await (const change of tenant.changes({ follow: true })) {
      expect(change.kind).toBe('createTable');
      break;
    }
    const following = refused('CLOSED', () => collect(tenant.changes({ follow: true })));
    await pause(10);
    await db.close();
    await following;
  });

  test('are followed by many at once', async () => {
    const controllers = Array.from({ length: 20 }, () => new AbortController());
    const followers = controllers.map(({ signal }) =>
      collect(tenant.changes({ from: 3n, follow: true, signal })),
    );
    for (let id = 1; id <= 50; id++) await tenant.execute('INSERT INTO t (id) VALUES ($1)', [id]);
    await pause(30);
    for (const controller of controllers) controller.abort();
    const ids = Array.from({ length: 50 }, (_, index) => index + 1);
    for (const changes of await Promise.all(followers)) {
      expect(changes.flatMap((change) => change.after?.['id'] ?? [])).toEqual(ids);
    }
  });
});

describe('history', () => {
  test('is the life of a row: made, changed, deleted, made again', async () => {
    const who = { actor: 'a', reason: 'r' };
    await tenant.execute("INSERT INTO t VALUES (1, 'one'), (2, 'other')", [], who);
    await tenant.execute("UPDATE t SET v = 'two'");
    await tenant.execute('DELETE FROM t WHERE id = 1', [], who);
    await tenant.execute("INSERT INTO t VALUES (1, 'three')");
    const changes = await tenant.history('t', [1]);
    expect(
      changes.map(({ kind, before, after, actor }) => [kind, before?.['v'], after?.['v'], actor]),
    ).toEqual([
      ['insert', undefined, 'one', 'a'],
      ['update', 'one', 'two', undefined],
      ['delete', 'two', undefined, 'a'],
      ['insert', undefined, 'three', undefined],
    ]);
    const positions = changes.map((change) => change.position);
    expect(positions).toEqual(positions.toSorted((left, right) => Number(left - right)));
  });

  test('of a row that never was is empty', async () => {
    expect(await tenant.history('t', [99])).toEqual([]);
  });

  test('finds a row by any form of its key, of any type', async () => {
    await tenant.execute(
      'CREATE TABLE keyed (u uuid, at timestamptz, n numeric, j jsonb, PRIMARY KEY (n, u, at, j))',
    );
    const uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
    await tenant.execute('INSERT INTO keyed VALUES ($1, $2, 1.50, \'{"a": 1.0}\')', [
      uuid,
      new Date(0),
    ]);
    const forms: SqlParameter[][] = [
      ['1.5', uuid, new Date(0), { a: 1 }],
      [1.5, uuid.toUpperCase(), 0n, '{ "a" : 1 }'],
      ['1.500', `{${uuid}}`, '1970-01-01T02:00+02:00', { a: 1 }],
    ];
    for (const key of forms) expect(await tenant.history('keyed', key)).toHaveLength(1);
    const [change] = await tenant.history('keyed', forms[0] as SqlParameter[]);
    expect(change?.key).toEqual({ n: '1.5', u: uuid, at: new Date(0), j: { a: 1 } });
    expect(change?.after).toEqual({ n: '1.50', u: uuid, at: new Date(0), j: { a: 1 } });
  });

  test('sees each change of a row that one transaction changes twice', async () => {
    await tenant.execute("INSERT INTO t VALUES (1, 'a')");
    await tenant.transaction(async (tx) => {
      await tx.execute("UPDATE t SET v = 'b' WHERE id = 1");
      await tx.execute("UPDATE t SET v = 'c' WHERE id = 1");
    });
    const changes = await tenant.history('t', [1]);
    expect(changes.map((change) => change.after?.['v'])).toEqual(['a', 'b', 'c']);
    expect(changes.map((change) => change.before?.['v'])).toEqual([undefined, 'a', 'b']);
  });

  test('refuses an unknown table, one without a key, and a key of another form', async () => {
    await tenant.execute('CREATE TABLE bare (n integer)');
    await refused('UNDEFINED_TABLE', () => tenant.history('nowhere', [1]));
    for (const name of [5, null, undefined, {}, '__proto__', 'constructor'])
      await refused('UNDEFINED_TABLE', () => tenant.history(name as string, [1]));
    await refused('INVALID_ARGUMENT', () => tenant.history('bare', [1]));
    for (const key of [[], [1, 2], null, undefined, 1, '1', { 0: 1, length: 1 }]) {
      await refused('INVALID_ARGUMENT', () => tenant.history('t', key as SqlParameter[]));
    }
    await refused('INVALID_TEXT', () => tenant.history('t', ['PRIVATE']));
    await refused('NUMERIC_OUT_OF_RANGE', () => tenant.history('t', [2n ** 40n]));
    expect(await tenant.history('t', [null])).toEqual([]);
  });
});
