/** Who, why, and how long: the options of commands. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { limits, type TenantHandle, type Verity } from '../../src/database/index.ts';
import { collect, newDisk, openOn, refused } from './support.ts';

let db: Verity;
let tenant: TenantHandle;

beforeEach(async () => {
  db = await openOn(newDisk());
  tenant = await db.createTenant('clinic');
  await tenant.execute('CREATE TABLE t (n integer PRIMARY KEY)');
});

afterEach(() => db.close());

const count = async (): Promise<unknown> =>
  (await tenant.query('SELECT count(*) FROM t')).rows[0]?.['count'];

describe('actor and reason', () => {
  test('are recorded with every kind of command and shown by changes, history and read', async () => {
    const who = { actor: 'dr.berger 🩺', reason: 'Übertrag' };
    await tenant.execute('INSERT INTO t VALUES (1)', [], who);
    await tenant.transaction((tx) => tx.execute('UPDATE t SET n = 2'), who);
    await tenant.append('s', [1], who);
    const changes = await collect(tenant.changes());
    expect(changes.slice(1).map(({ actor, reason }) => ({ actor, reason }))).toEqual([
      who,
      who,
      who,
      who,
    ]);
    expect(await tenant.history('t', [2])).toMatchObject([who]);
    expect(await collect(tenant.read('s'))).toMatchObject([who]);
  });

  test('are undefined when not given', async () => {
    await tenant.execute('INSERT INTO t VALUES (1)');
    const [change] = await tenant.history('t', [1]);
    expect(change).toMatchObject({ actor: undefined, reason: undefined });
  });

  test.each([
    ['actor', { actor: 'x'.repeat(limits.actorBytesMax + 1) }],
    ['actor', { actor: 'é'.repeat(limits.actorBytesMax / 2 + 1) }],
    ['reason', { reason: 'x'.repeat(limits.reasonBytesMax + 1) }],
    ['requestId', { requestId: 'x'.repeat(limits.requestIdBytesMax + 1) }],
    ['requestId', { requestId: '' }],
    ['actor', { actor: 'half \ud83d of a pair' }],
    ['actor', { actor: 5 }],
    ['reason', { reason: { toString: (): string => 'x' } }],
    ['requestId', { requestId: 7n }],
  ])(
    '%s that is too long, no text or malformed is refused, whatever the command',
    async (what, options) => {
      const bad = options as object;
      const commands = [
        () => tenant.execute('INSERT INTO t VALUES (1)', [], bad),
        () => tenant.transaction((tx) => tx.execute('INSERT INTO t VALUES (1)'), bad),
        () => tenant.append('s', [1], bad),
        () => db.createTenant('other', bad),
      ];
      for (const command of commands) {
        const error = await refused('INVALID_ARGUMENT', command);
        expect(error.message).toContain(what);
      }
      expect(await count()).toBe(0n);
      expect(db.status()).toMatchObject({ poisoned: false, tenants: ['clinic'] });
    },
  );

  test('may be as long as the limits say', async () => {
    const options = {
      actor: 'a'.repeat(limits.actorBytesMax),
      reason: 'é'.repeat(limits.reasonBytesMax / 2),
      requestId: 'r'.repeat(limits.requestIdBytesMax),
    };
    await tenant.execute('INSERT INTO t VALUES (1)', [], options);
    const [change] = await tenant.history('t', [1]);
    expect(change).toMatchObject({ actor: options.actor, reason: options.reason });
  });
});

describe('signal', () => {
  test.each([
    [
      'execute',
      (signal: AbortSignal) => tenant.execute('INSERT INTO t VALUES (1)', [], { signal }),
    ],
    ['query', (signal: AbortSignal) => tenant.query('SELECT * FROM t', [], { signal })],
    ['queryAt', (signal: AbortSignal) => tenant.queryAt('SELECT * FROM t', [], 1n, { signal })],
    ['stream', (signal: AbortSignal) => collect(tenant.stream('SELECT * FROM t', [], { signal }))],
    ['append', (signal: AbortSignal) => tenant.append('s', [1], { signal })],
    [
      'transaction',
      (signal: AbortSignal) =>
        tenant.transaction((tx) => tx.execute('INSERT INTO t VALUES (1)'), { signal }),
    ],
    ['createTenant', (signal: AbortSignal) => db.createTenant('other', { signal })],
  ])('aborted before %s: ABORTED, and nothing is done', async (_name, call) => {
    const { position } = db.status();
    const error = await refused('ABORTED', () => call(AbortSignal.abort('enough')));
    expect(error.cause).toBe('enough');
    expect(db.status()).toMatchObject({ position, tenants: ['clinic'] });
  });

  test('aborted while a command is on its way: COMMIT_UNKNOWN, since it may become durable', async () => {
    const controller = new AbortController();
    const work = tenant.execute('INSERT INTO t VALUES (1)', [], { signal: controller.signal });
    controller.abort();
    await refused('COMMIT_UNKNOWN', () => work);
    await tenant.execute('INSERT INTO t VALUES (2)');
    expect(await count()).toBe(2n);
  });

  test('aborted after the answer changes nothing', async () => {
    const controller = new AbortController();
    await tenant.execute('INSERT INTO t VALUES (1)', [], { signal: controller.signal });
    controller.abort();
    expect(await count()).toBe(1n);
  });

  test('aborted within a transaction: ABORTED, nothing is committed, its handle is dead', async () => {
    const controller = new AbortController();
    let late: Promise<unknown> | undefined;
    await refused('ABORTED', () =>
      tenant.transaction(
        async (tx) => {
          await tx.execute('INSERT INTO t VALUES (1)');
          controller.abort();
          late = refused('TRANSACTION_ENDED', () => tx.execute('INSERT INTO t VALUES (2)'));
          await late;
        },
        { signal: controller.signal },
      ),
    );
    await late;
    await tenant.execute('INSERT INTO t VALUES (3)');
    expect(await count()).toBe(1n);
  });

  test('aborted while rows are streamed: ABORTED at the next row', async () => {
    for (const n of [1, 2, 3]) await tenant.execute('INSERT INTO t VALUES ($1)', [n]);
    const controller = new AbortController();
    const seen: unknown[] = [];
    await refused('ABORTED', async () => {
      for await (const row of tenant.stream('SELECT n FROM t', [], { signal: controller.signal })) {
        seen.push(row['n']);
        controller.abort();
      }
    });
    expect(seen).toEqual([1]);
  });

  test.each([null, {}, 'now', new AbortController()])(
    'that is no AbortSignal (%s) is refused before anything is done',
    async (signal) => {
      await refused('INVALID_ARGUMENT', () =>
        tenant.execute('INSERT INTO t VALUES (1)', [], { signal: signal as never }),
      );
      expect(await count()).toBe(0n);
    },
  );

  test('leaves no listeners behind', async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const [add, remove] = [
      signal.addEventListener.bind(signal),
      signal.removeEventListener.bind(signal),
    ];
    signal.addEventListener = (...args: Parameters<typeof add>): void => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>): void => {
      listeners -= 1;
      remove(...args);
    };
    for (const n of [1, 2, 3]) await tenant.execute('INSERT INTO t VALUES ($1)', [n], { signal });
    await tenant.transaction((tx) => tx.query('SELECT 1'), { signal });
    await refused('UNIQUE_VIOLATION', () =>
      tenant.execute('INSERT INTO t VALUES (1)', [], { signal }),
    );
    expect(listeners).toBe(0);
  });
});

describe('timeoutMs', () => {
  test.each([0, -1, Number.NaN, '5', 5n, null, {}])(
    'of %s is refused before anything is done',
    async (timeoutMs) => {
      const options = { timeoutMs: timeoutMs as number };
      await refused('INVALID_ARGUMENT', () =>
        tenant.execute('INSERT INTO t VALUES (1)', [], options),
      );
      await refused('INVALID_ARGUMENT', () => tenant.query('SELECT 1', [], options));
      await refused('INVALID_ARGUMENT', () =>
        tenant.transaction((tx) => tx.execute('INSERT INTO t VALUES (1)'), options),
      );
      await refused('INVALID_ARGUMENT', () => tenant.append('s', [1], options));
      expect(await count()).toBe(0n);
    },
  );

  test.each([Infinity, 2 ** 31, Number.MAX_VALUE])('of %s never runs out', async (timeoutMs) => {
    await tenant.transaction(
      async (tx) => {
        await tx.execute('INSERT INTO t VALUES (1)');
        await new Promise((resolve) => setTimeout(resolve, 20));
      },
      { timeoutMs },
    );
    expect(await count()).toBe(1n);
  });

  test('that runs out within a transaction: TIMEOUT, retryable, nothing is committed', async () => {
    let finish: () => void = () => undefined;
    const error = await refused('TIMEOUT', () =>
      tenant.transaction(
        async (tx) => {
          await tx.execute('INSERT INTO t VALUES (1)');
          await new Promise<void>((resolve) => {
            finish = resolve;
          });
        },
        { timeoutMs: 20 },
      ),
    );
    expect(error.retryable).toBe(true);
    // The body goes on after its caller was answered; what it did must not be committed now.
    finish();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await tenant.execute('INSERT INTO t VALUES (2)');
    expect((await tenant.query('SELECT n FROM t')).rows).toEqual([{ n: 2 }]);
  });

  test('counts for all attempts of a transaction together', async () => {
    await tenant.execute('INSERT INTO t VALUES (1)');
    let attempts = 0;
    const begun = performance.now();
    await refused('TIMEOUT', () =>
      tenant.transaction(
        async (tx) => {
          attempts += 1;
          await tx.query('SELECT * FROM t');
          await tx.execute('INSERT INTO t VALUES ($1)', [-attempts]);
          // Somebody else changes what was read, each time.
          await tenant.execute('UPDATE t SET n = n + 1 WHERE n > 0');
          await new Promise((resolve) => setTimeout(resolve, 40));
        },
        { timeoutMs: 100 },
      ),
    );
    expect(attempts).toBeGreaterThan(1);
    expect(performance.now() - begun).toBeLessThan(390);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await count()).toBe(1n);
  });
});

test.each([null, 5, 'x', true])('options that are no object (%s) are refused', async (options) => {
  const bad = options as never;
  await refused('INVALID_ARGUMENT', () => tenant.execute('INSERT INTO t VALUES (1)', [], bad));
  await refused('INVALID_ARGUMENT', () => tenant.query('SELECT 1', [], bad));
  await refused('INVALID_ARGUMENT', () => tenant.append('s', [1], bad));
  await refused('INVALID_ARGUMENT', () => tenant.transaction((tx) => tx.query('SELECT 1'), bad));
  await refused('INVALID_ARGUMENT', () => db.createTenant('other', bad));
  expect(await count()).toBe(0n);
});
