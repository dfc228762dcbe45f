/** Work on cached keys, bounded in time: the whole database in simulated time, with a provider that can be away. */
import { beforeEach, describe, expect, test } from 'vitest';
import { Prng, VerityError } from '../../src/base/index.ts';
import { type MasterKeyProvider, SecretKey, type UnwrapOptions } from '../../src/crypto/index.ts';
import { type OpenOptions, type TenantHandle, Verity } from '../../src/database/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../../src/sim/index.ts';
import { codeOf } from './support.ts';

type Answer = 'yes' | 'no' | 'other key' | 'silence' | 'down' | 'denied';

class MoodyProvider extends HeldKeyProvider {
  answer: Answer = 'yes';
  asked = 0;
  backgroundAsked = 0;

  constructor() {
    super('moody', 'moody', () => new SecretKey(new Uint8Array(32).fill(7)));
  }

  override async unwrap(
    slots: Parameters<MasterKeyProvider['unwrap']>[0],
    _binding?: unknown,
    options?: UnwrapOptions,
  ): ReturnType<MasterKeyProvider['unwrap']> {
    this.asked += 1;
    if (options?.background === true) this.backgroundAsked += 1;
    switch (this.answer) {
      case 'yes':
        return super.unwrap(slots);
      case 'no':
        return undefined;
      case 'other key':
        return { root: new SecretKey(new Uint8Array(32).fill(9)), slotId: 1 };
      case 'silence':
        return new Promise(() => undefined);
      case 'down':
        throw new VerityError('KEY_PROVIDER_UNAVAILABLE', 'It is down.');
      case 'denied':
        throw new VerityError('KEY_PROVIDER_DENIED', 'It refuses.');
    }
  }
}

const everyMs = 60_000;
const graceMs = 300_000;

class World {
  readonly clock = new SimClock();
  readonly scheduler = new SimScheduler(this.clock);
  readonly provider = new MoodyProvider();
  readonly warnings: string[] = [];
  readonly disk = new SimDisk();

  async open(options: OpenOptions): Promise<Verity> {
    const { clock, scheduler, disk, provider } = this;
    const host = { clock, scheduler, disk, entropy: new Prng(5) };
    return this.scheduler.settle(
      Verity.openOn(host, {
        masterKey: provider,
        onWarning: (warning) => this.warnings.push(warning),
        ...options,
      }),
    );
  }

  async pass(milliseconds: number): Promise<void> {
    await this.scheduler.settle(
      new Promise<void>((resolve) => this.scheduler.delay(milliseconds, resolve)),
    );
  }

  do<T>(work: Promise<T>): Promise<T> {
    return this.scheduler.settle(work);
  }
}

describe('a handle whose key provider is checked', () => {
  let world: World;
  let db: Verity;
  let clinic: TenantHandle;
  const insert = (id: number): Promise<unknown> =>
    world.do(clinic.execute('INSERT INTO t (id) VALUES ($1)', [id]));
  const count = async (): Promise<unknown> =>
    (await clinic.query('SELECT count(*) AS n FROM t')).rows[0]?.['n'];

  beforeEach(async () => {
    world = new World();
    db = await world.open({ masterKeyCheckEveryMs: everyMs, masterKeyGraceMs: graceMs });
    clinic = await world.do(db.createTenant('clinic'));
    await world.do(clinic.execute('CREATE TABLE t (id integer PRIMARY KEY)'));
  });

  test('asks at the interval, beside the work, and works on', async () => {
    const before = world.provider.asked;
    await world.pass(everyMs * 10 + 1_000);
    expect(world.provider.asked - before).toBe(10);
    expect(world.provider.backgroundAsked).toBe(10);
    await insert(1);
    expect(db.status().keyProvider).toEqual({ lastFailure: undefined, refusing: false });
    expect(world.warnings).toEqual([]);
  });

  const failures: [Answer, string | undefined][] = [
    ['down', 'KEY_PROVIDER_UNAVAILABLE'],
    ['denied', 'KEY_PROVIDER_DENIED'],
    ['no', 'WRONG_KEY'],
    ['other key', 'WRONG_KEY'],
    ['silence', undefined],
  ];
  test.each(failures)(
    'that answers "%s" works on until the grace is over, then refuses commands and reads',
    async (answer, code) => {
      await world.pass(everyMs + 1_000);
      world.provider.answer = answer;
      // The last check that succeeded was one second ago.
      await world.pass(graceMs - 2_000);
      await insert(1);
      expect(await count()).toBe(1n);
      expect(db.status().keyProvider).toEqual({ lastFailure: code, refusing: false });
      const changes = clinic.changes({ follow: true });
      const rows = clinic.stream('SELECT id FROM t');

      await world.pass(2_000);
      const refused = [
        () => insert(2),
        () => count(),
        () => clinic.history('t', [1]),
        () => clinic.tables(),
        () => clinic.append('s', [{}]),
        () => clinic.read('s').next(),
        () => clinic.changes().next(),
        () => clinic.transaction(async (tx) => tx.query('SELECT 1')),
        () => world.do(db.createTenant('other')),
        () => changes.next(),
        () => rows.next(),
      ];
      for (const work of refused) {
        expect(await codeOf(work), String(work)).toBe('KEY_PROVIDER_UNAVAILABLE');
      }
      expect(db.status().keyProvider).toEqual({ lastFailure: code, refusing: true });
      expect(world.warnings).toHaveLength(code === undefined ? 1 : 2);
      expect(world.warnings.at(-1)).toContain('refused');
    },
  );

  test('comes back with the first check that succeeds, with nothing lost', async () => {
    await insert(1);
    world.provider.answer = 'down';
    await world.pass(graceMs * 3);
    expect(await codeOf(() => insert(2))).toBe('KEY_PROVIDER_UNAVAILABLE');
    world.provider.answer = 'yes';
    await world.pass(everyMs);
    await insert(3);
    expect(await count()).toBe(2n);
    expect(db.status().keyProvider).toEqual({ lastFailure: undefined, refusing: false });
    world.provider.answer = 'down';
    await world.pass(graceMs + everyMs);
    expect(await codeOf(() => insert(4))).toBe('KEY_PROVIDER_UNAVAILABLE');
  });

  test('can be rotated to another provider while it refuses, and goes on with that one', async () => {
    world.provider.answer = 'denied';
    await world.pass(graceMs + everyMs);
    expect(await codeOf(() => insert(1))).toBe('KEY_PROVIDER_UNAVAILABLE');
    const other = new HeldKeyProvider(
      'other',
      'other',
      () => new SecretKey(new Uint8Array(32).fill(3)),
    );
    await world.do(db.keys.rotate({ masterKey: other }));
    await world.pass(everyMs);
    await insert(2);
    expect(await count()).toBe(1n);
  });

  test('says nothing of checks that see half a rotation', async () => {
    class SlowProvider extends HeldKeyProvider {
      override async wrap(root: SecretKey): ReturnType<MasterKeyProvider['wrap']> {
        await new Promise<void>((resolve) => world.scheduler.delay(everyMs * 2, resolve));
        return super.wrap(root);
      }
    }
    const other = new SlowProvider('slow', 'slow', () => new SecretKey(new Uint8Array(32).fill(3)));
    world.provider.answer = 'denied';
    await world.do(db.keys.rotate({ masterKey: other }));
    await world.pass(everyMs * 2);
    expect(db.status().keyProvider).toEqual({ lastFailure: undefined, refusing: false });
    expect(world.warnings).toEqual([]);
  });

  test('does not mind a clock that is set', async () => {
    world.clock.advance(graceMs * 1_000 * 10);
    await world.pass(1_000);
    await insert(1);
  });

  test('closes, also while a check is under way or commands are refused, and asks no more', async () => {
    world.provider.answer = 'silence';
    await world.pass(graceMs + everyMs);
    await world.do(db.close());
    const { asked } = world.provider;
    await world.scheduler.run();
    expect(world.provider.asked).toBe(asked);
    expect(world.scheduler.pendingCount).toBe(0);
  });
});

test('without the setting the provider is asked at open only, and never refused for', async () => {
  const world = new World();
  const db = await world.open({});
  const { asked } = world.provider;
  world.provider.answer = 'denied';
  await world.pass(1_000_000_000);
  await world.do(db.createTenant('clinic'));
  expect(world.provider.asked).toBe(asked);
  expect(db.status().keyProvider).toBeUndefined();
});

test('times that make no sense are refused before anything is opened', async () => {
  const world = new World();
  const bad: OpenOptions[] = [
    { masterKeyCheckEveryMs: 0 },
    { masterKeyCheckEveryMs: -1 },
    { masterKeyCheckEveryMs: 1.5 },
    { masterKeyCheckEveryMs: Number.NaN },
    { masterKeyCheckEveryMs: 2 ** 31 },
    { masterKeyCheckEveryMs: 4_000_000 },
    { masterKeyCheckEveryMs: 2_000, masterKeyGraceMs: 1_999 },
    { masterKeyGraceMs: 5_000 },
  ];
  for (const options of bad) {
    expect(await codeOf(() => world.open(options)), JSON.stringify(options)).toBe(
      'INVALID_ARGUMENT',
    );
  }
  expect(world.provider.asked).toBe(0);
});
