/** Handles of a database: the owner, those that follow it, verify, status, and the end of each. */
import { rmSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type ErrorCode,
  keys,
  type Progress,
  type TenantHandle,
  Verity,
} from '../../src/database/index.ts';
import { collect, Folder, newDisk, openOn, refused } from './support.ts';

let folder: Folder;
const masterKey = keys.fromEnv('VERITY_TEST_KEY');

beforeEach(() => {
  folder = new Folder();
});

afterEach(() => folder.remove());

const open = (options: object = {}): Promise<Verity> =>
  Verity.open(folder.at('data'), { masterKey, ...options });
const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));
const idsOf = async (tenant: TenantHandle): Promise<unknown[]> =>
  (await tenant.query('SELECT id FROM t ORDER BY id')).rows.map((row) => row['id']);

/** Waits for what a follower sees a moment later: when a later frame tells it that a commit is durable. */
async function eventually<T>(look: () => T | Promise<T>, expected: T): Promise<void> {
  for (let wait = 0; wait < 200; wait++) {
    if (isDeepStrictEqual(await look(), expected)) return;
    await pause(20);
  }
  expect(await look()).toEqual(expected);
}

async function withTable(db: Verity): Promise<TenantHandle> {
  const tenant = await db.createTenant('clinic');
  await tenant.execute('CREATE TABLE t (id integer PRIMARY KEY, v text UNIQUE)');
  return tenant;
}

describe('a second owner', () => {
  test('is refused while the first is open, and let in when it has closed', async () => {
    const first = await open();
    const error = await refused('DATABASE_LOCKED', open);
    expect(error.retryable).toBe(true);
    await first.close();
    await (await open()).close();
  });

  test('is let in after an open that failed', async () => {
    await (await open()).close();
    await refused('WRONG_KEY', () =>
      Verity.open(folder.at('data'), { masterKey: keys.fromPassphrase('wrong') }),
    );
    await (await open()).close();
  });
});

describe('a handle that only reads', () => {
  test('sees what the owner has committed: tables, rows, tenants, streams, the past', async () => {
    await using owner = await open();
    const writer = await withTable(owner);
    await using follower = await open({ readOnly: true });
    const reader = follower.tenant('clinic');
    await eventually(() => follower.status().position, owner.status().position);
    expect(follower.status()).toMatchObject({
      readOnly: true,
      poisoned: false,
      logId: owner.status().logId,
    });
    for (const id of [1, 2, 3]) {
      const { position } = await writer.execute("INSERT INTO t VALUES ($1, 'v' || $1)", [id]);
      await eventually(async () => (await idsOf(reader)).at(-1), id);
      expect((await reader.queryAt('SELECT count(*) FROM t', [], position - 1n)).rows).toEqual([
        { count: BigInt(id - 1) },
      ]);
      expect((await reader.query('SELECT id FROM t WHERE v = $1', [`v${id}`])).rows).toEqual([
        { id },
      ]);
    }
    await writer.append('s', [{ e: 1 }]);
    await eventually(
      async () => (await collect(reader.read('s'))).map((event) => event.data),
      [{ e: 1 }],
    );
    expect(await reader.history('t', [2])).toEqual(await writer.history('t', [2]));
    expect(await collect(reader.changes())).toEqual(await collect(writer.changes()));
    expect(await collect(reader.stream('SELECT * FROM t'))).toEqual(
      await collect(writer.stream('SELECT * FROM t')),
    );
    expect(await reader.tables()).toEqual(await writer.tables());
    const made = await owner.createTenant('another');
    await made.execute('CREATE TABLE t (id integer PRIMARY KEY)');
    await eventually(() => follower.tenants(), ['another', 'clinic']);
    await eventually(() => follower.tenant('another').tables(), await made.tables());
    expect(await idsOf(follower.tenant('another'))).toEqual([]);
    expect((await follower.verify()).findings).toEqual([]);
  });

  test('is told of changes as they come', async () => {
    await using owner = await open();
    const writer = await withTable(owner);
    await using follower = await open({ readOnly: true });
    const controller = new AbortController();
    const seen: unknown[] = [];
    const following = (async () => {
      for await (const change of follower
        .tenant('clinic')
        .changes({ follow: true, signal: controller.signal }))
        seen.push(change.key['id']);
    })();
    for (const id of [1, 2]) {
      await writer.execute('INSERT INTO t VALUES ($1, NULL)', [id]);
      await eventually(() => seen.at(-1), id);
    }
    expect(seen).toEqual([undefined, 1, 2]);
    controller.abort();
    await following;
  });

  test('follows an owner that closes and opens again', async () => {
    let owner = await open();
    let writer = await withTable(owner);
    await using follower = await open({ readOnly: true });
    const reader = follower.tenant('clinic');
    await writer.execute("INSERT INTO t VALUES (1, 'a')");
    await owner.close();
    await eventually(() => idsOf(reader), [1]);
    owner = await open();
    writer = owner.tenant('clinic');
    await writer.execute("INSERT INTO t VALUES (2, 'b')");
    await eventually(() => idsOf(reader), [1, 2]);
    await owner.close();
  });

  test('refuses every command with READ_ONLY and leaves every file as it is', async () => {
    {
      await using owner = await open();
      const writer = await withTable(owner);
      await writer.execute("INSERT INTO t VALUES (1, 'a')");
    }
    const files = folder.digests('data');
    {
      await using follower = await open({ readOnly: true });
      const reader = follower.tenant('clinic');
      await refused('READ_ONLY', () => reader.execute("INSERT INTO t VALUES (2, 'b')"));
      await refused('READ_ONLY', () => reader.execute('DELETE FROM t WHERE id = 99'));
      await refused('READ_ONLY', () => reader.append('s', [1]));
      await refused('READ_ONLY', () => reader.transaction((tx) => tx.query('SELECT 1')));
      await refused('READ_ONLY', () => follower.createTenant('x'));
      await refused('READ_ONLY', () => follower.addRecoveryCode());
      expect(await idsOf(reader)).toEqual([1]);
      expect((await reader.execute('SELECT id FROM t')).rows).toEqual([{ id: 1 }]);
    }
    expect(folder.digests('data')).toEqual(files);
  });

  test('creates nothing where there is no database', async () => {
    await refused('NO_DATABASE', () => open({ readOnly: true }));
    await refused('NO_DATABASE', () => open({ create: false }));
    expect(() => folder.digests('data')).toThrow(/ENOENT/);
  });
});

test('everything is there after a restart, again and again', async () => {
  let position = 0n;
  for (let round = 0; round < 5; round++) {
    await using db = await open();
    const tenant = round === 0 ? await withTable(db) : db.tenant('clinic');
    expect(await idsOf(tenant)).toEqual(Array.from({ length: round }, (_, index) => index));
    expect(db.status().recovery).toEqual({ cleanShutdown: true, cut: [] });
    expect(db.status().position).toBeGreaterThanOrEqual(position);
    await tenant.execute('INSERT INTO t VALUES ($1, $2)', [round, `v${round}`]);
    await refused('UNIQUE_VIOLATION', () => tenant.execute("INSERT INTO t VALUES (99, 'v0')"));
    await tenant.append('s', [round], { expectedVersion: round });
    ({ position } = db.status());
    expect((await db.verify()).findings).toEqual([]);
  }
});

describe('verify', () => {
  test('reads every byte and tells how far it is, also without a handle', async () => {
    const db = await open();
    const tenant = await withTable(db);
    await tenant.execute("INSERT INTO t VALUES (1, 'a')");
    const steps: Progress[] = [];
    const report = await db.verify({ onProgress: (step) => steps.push(step) });
    expect(report).toMatchObject({
      ok: true,
      findings: [],
      tornTail: undefined,
      position: db.status().position,
      chainHash: db.status().chainHash,
    });
    expect(report.events).toBe(db.status().events);
    expect(steps.length).toBeGreaterThan(0);
    expect(
      steps.every(
        ({ phase, done, total }, index) =>
          phase === 'verify' && done <= total && done >= (steps[index - 1]?.done ?? 0),
      ),
    ).toBe(true);
    const { bytesRead, filesRead, ...beside } = await Verity.verify(folder.at('data'), {
      masterKey,
    });
    expect(beside).toMatchObject({ ok: true, position: report.position });
    expect(filesRead).toBe(report.filesRead);
    expect(bytesRead).toBeGreaterThanOrEqual(report.bytesRead);
    await db.close();
  });

  test('passes on what onProgress throws and leaves the handle usable', async () => {
    const db = await openOn(newDisk());
    const tenant = await withTable(db);
    const stop = (): never => {
      throw new RangeError('enough');
    };
    await expect(db.verify({ onProgress: stop })).rejects.toThrow('enough');
    await tenant.execute("INSERT INTO t VALUES (1, 'a')");
    expect((await db.verify()).ok).toBe(true);
    await db.close();
  });

  test('without a database, or with a wrong key, is refused', async () => {
    await refused('NO_DATABASE', () => Verity.verify(folder.at('nowhere'), { masterKey }));
    await (await open()).close();
    await refused('WRONG_KEY', () =>
      Verity.verify(folder.at('data'), { masterKey: keys.fromPassphrase('wrong') }),
    );
    await refused('KEY_MISSING', () => Verity.verify(folder.at('data'), {}));
  });
});

test('status tells what the handle is and where it stands', async () => {
  await using db = await open();
  const before = db.status();
  expect(before).toMatchObject({
    path: folder.at('data'),
    formatRevision: 1,
    readOnly: false,
    poisoned: false,
    tenants: [],
    segments: 1,
    keySlots: [{ id: 1, kind: 'master-key' }],
    recovery: { cut: [], cleanShutdown: true },
  });
  expect(before.logId).toMatch(/^[0-9a-f]{32}$/);
  expect(before.chainHash).toMatch(/^[0-9a-f]{64}$/);
  const tenant = await withTable(db);
  await db.createTenant('Äther');
  await tenant.execute("INSERT INTO t VALUES (1, 'a')");
  await db.addRecoveryCode();
  const after = db.status();
  expect(after.tenants).toEqual(['clinic', 'Äther']);
  expect(after.position).toBeGreaterThan(before.position);
  expect(after.chainHash).not.toBe(before.chainHash);
  expect(after.logId).toBe(before.logId);
  expect(after.keySlots).toEqual([
    { id: 1, kind: 'master-key' },
    { id: 2, kind: 'recovery' },
  ]);
  expect(
    JSON.stringify(after, (_key, value: unknown) =>
      typeof value === 'bigint' ? Number(value) : value,
    ),
  ).not.toContain('5a5a5a');
});

test('tables tells names, columns, keys and row counts', async () => {
  await using db = await openOn(newDisk());
  const tenant = await withTable(db);
  expect(await (await db.createTenant('empty')).tables()).toEqual([]);
  await tenant.execute(
    'CREATE TABLE "A b" (x numeric(12, 2), "__proto__" varchar(3), PRIMARY KEY ("__proto__", x))',
  );
  await tenant.execute(`INSERT INTO "A b" VALUES (1, 'a'), (2, 'a')`);
  expect(await tenant.tables()).toEqual([
    {
      name: 'A b',
      columns: [
        { name: 'x', type: 'numeric(12,2)' },
        { name: '__proto__', type: 'varchar(3)' },
      ],
      primaryKey: ['__proto__', 'x'],
      rowCount: 2,
    },
    {
      name: 't',
      columns: [
        { name: 'id', type: 'integer' },
        { name: 'v', type: 'text' },
      ],
      primaryKey: ['id'],
      rowCount: 0,
    },
  ]);
});

describe('a closed database', () => {
  const calls: [name: string, call: (db: Verity, tenant: TenantHandle) => unknown][] = [
    ['createTenant', (db) => db.createTenant('x')],
    ['tenant', (db) => db.tenant('clinic')],
    ['tenants', (db) => db.tenants()],
    ['verify', (db) => db.verify()],
    ['status', (db) => db.status()],
    ['addRecoveryCode', (db) => db.addRecoveryCode()],
    ['execute', (_db, tenant) => tenant.execute("INSERT INTO t VALUES (9, 'z')")],
    ['execute of a SELECT', (_db, tenant) => tenant.execute('SELECT 1')],
    ['query', (_db, tenant) => tenant.query('SELECT 1')],
    ['queryAt', (_db, tenant) => tenant.queryAt('SELECT 1', [], 1n)],
    ['stream', (_db, tenant) => collect(tenant.stream('SELECT 1'))],
    ['transaction', (_db, tenant) => tenant.transaction((tx) => tx.query('SELECT 1'))],
    ['append', (_db, tenant) => tenant.append('s', [1])],
    ['read', (_db, tenant) => collect(tenant.read('s'))],
    ['changes', (_db, tenant) => collect(tenant.changes())],
    ['history', (_db, tenant) => tenant.history('t', [1])],
    ['tables', (_db, tenant) => tenant.tables()],
  ];

  test.each(calls)('answers %s with CLOSED', async (_name, call) => {
    const db = await openOn(newDisk());
    const tenant = await withTable(db);
    await db.close();
    await refused('CLOSED' satisfies ErrorCode, () => call(db, tenant));
  });

  test('can be closed again, at once and later, and disposed of', async () => {
    const db = await openOn(newDisk());
    await withTable(db);
    await Promise.all([db.close(), db.close(), db[Symbol.asyncDispose]()]);
    await db.close();
  });

  test('has answered every command that was sent before', async () => {
    const disk = newDisk();
    const db = await openOn(disk);
    const tenant = await withTable(db);
    const answered: number[] = [];
    const sent = Array.from({ length: 100 }, (_, id) =>
      tenant.execute('INSERT INTO t VALUES ($1, NULL)', [id]).then(() => answered.push(id)),
    );
    await db.close();
    expect(answered).toHaveLength(100);
    await Promise.all(sent);
    const again = await openOn(disk);
    expect(await idsOf(again.tenant('clinic'))).toHaveLength(100);
    expect(again.status().recovery.cleanShutdown).toBe(true);
    await again.close();
  });

  test('ends a transaction and a stream that were open', async () => {
    const disk = newDisk();
    const db = await openOn(disk);
    const tenant = await withTable(db);
    await tenant.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    const rows = tenant.stream('SELECT id FROM t');
    expect((await rows.next()).value).toEqual({ id: 1 });
    await refused('CLOSED', () =>
      tenant.transaction(async (tx) => {
        await tx.execute('DELETE FROM t');
        await db.close();
      }),
    );
    await refused('CLOSED', () => rows.next());
    const again = await openOn(disk);
    expect(await idsOf(again.tenant('clinic'))).toEqual([1, 2]);
    await again.close();
  });

  test('gives its lock back even when its directory is gone', async () => {
    const db = await open();
    await withTable(db);
    rmSync(folder.at('data'), { recursive: true });
    await db.close().catch(() => undefined);
    await (await open()).close();
  });
});

test('10,000 commands at once are each answered for themselves', async () => {
  const db = await openOn(newDisk());
  const tenant = await withTable(db);
  const before = db.status();
  const results = await Promise.allSettled(
    Array.from({ length: 10_000 }, (_, index) =>
      tenant.execute('INSERT INTO t VALUES ($1, $2) RETURNING id', [index % 9_000, null]),
    ),
  );
  const codes = results.map((result) =>
    result.status === 'fulfilled' ? 'done' : (result.reason as { code: string }).code,
  );
  expect(codes.slice(0, 9_000).every((code) => code === 'done')).toBe(true);
  expect(codes.slice(9_000).every((code) => code === 'UNIQUE_VIOLATION')).toBe(true);
  const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  expect(done.every(({ rows }, index) => rows[0]?.['id'] === index)).toBe(true);
  expect(new Set(done.map(({ position }) => position)).size).toBe(9_000);
  const after = db.status();
  expect(after.position).toBe(before.position + 9_000n);
  // They shared frames, or each would have waited for a flush of its own.
  expect(after.frames - before.frames).toBeLessThan(100);
  expect((await db.verify()).findings).toEqual([]);
  await db.close();
});
