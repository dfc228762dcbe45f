/** tenant.append and tenant.read: streams of events. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { limits, type TenantHandle, type Verity } from '../../src/database/index.ts';
import { collect, newDisk, openOn, refused, StandingClock } from './support.ts';

let db: Verity;
let tenant: TenantHandle;
let clock: StandingClock;

beforeEach(async () => {
  clock = new StandingClock();
  db = await openOn(newDisk(), { clock });
  tenant = await db.createTenant('clinic');
});

afterEach(() => db.close());

const dataOf = async (stream: string): Promise<unknown[]> =>
  (await collect(tenant.read(stream))).map((event) => event.data);

describe('append and read', () => {
  test('number the events of each stream from 1, with position, time, actor and reason', async () => {
    const who = { actor: 'a', reason: 'r' };
    const first = await tenant.append('visits', [{ n: 1 }, { n: 2 }], who);
    clock.advance(1500);
    await tenant.append('other', ['x']);
    const second = await tenant.append('visits', [{ n: 3 }]);
    expect([first.version, second.version]).toEqual([2n, 3n]);
    const time = new Date(Date.UTC(2026, 0, 31, 12));
    expect(await collect(tenant.read('visits'))).toEqual([
      { stream: 'visits', version: 1n, position: first.position, time, ...who, data: { n: 1 } },
      { stream: 'visits', version: 2n, position: first.position, time, ...who, data: { n: 2 } },
      {
        stream: 'visits',
        version: 3n,
        position: second.position,
        time: new Date(time.getTime() + 1500),
        actor: undefined,
        reason: undefined,
        data: { n: 3 },
      },
    ]);
  });

  test('keep every JSON value as it is', async () => {
    const values = [
      null,
      true,
      0,
      -1.5,
      1e300,
      '',
      'Zoë 🦉',
      '\u0000',
      '\ud800',
      [],
      [[1], {}],
      { '': 1, a: { b: [null] } },
      JSON.parse('{"__proto__": 1, "constructor": 2}'),
    ];
    await tenant.append('values', values);
    expect(await dataOf('values')).toEqual(values);
    expect(Object.keys((await dataOf('values')).at(-1) as object)).toEqual([
      '__proto__',
      'constructor',
    ]);
  });

  test('take what JSON.stringify makes of it', async () => {
    await tenant.append('s', [
      new Date(0),
      { a: undefined, b: 1 },
      { toJSON: () => 'short' },
      Number.NaN,
    ]);
    expect(await dataOf('s')).toEqual(['1970-01-01T00:00:00.000Z', { b: 1 }, 'short', null]);
  });

  test('of no events changes nothing and tells the version', async () => {
    await tenant.append('s', [1, 2]);
    const { position } = db.status();
    expect(await tenant.append('s', [])).toEqual({ position, version: 2n });
    expect((await tenant.append('never', [])).version).toBe(0n);
  });

  test('read a part: fromVersion to toVersion, both included', async () => {
    await tenant.append('s', [1, 2, 3, 4]);
    const part = async (options: object): Promise<unknown[]> =>
      (await collect(tenant.read('s', options))).map((event) => event.data);
    expect(await part({ fromVersion: 2 })).toEqual([2, 3, 4]);
    expect(await part({ fromVersion: 2n, toVersion: 3n })).toEqual([2, 3]);
    expect(await part({ toVersion: 1 })).toEqual([1]);
    expect(await part({ fromVersion: 9 })).toEqual([]);
    expect(await part({ fromVersion: 3, toVersion: 2 })).toEqual([]);
    for (const bad of [-1, 1.5, '2', Number.NaN, 2 ** 60]) {
      await refused('INVALID_ARGUMENT', () =>
        collect(tenant.read('s', { fromVersion: bad as number })),
      );
      await refused('INVALID_ARGUMENT', () =>
        collect(tenant.read('s', { toVersion: bad as number })),
      );
    }
  });

  test('do not mix streams whose names begin alike, or those of another tenant', async () => {
    const other = await db.createTenant('other');
    await tenant.append('a', [1]);
    await tenant.append('ab', [2]);
    await tenant.append('a b', [3]);
    await other.append('a', [4]);
    expect([await dataOf('a'), await dataOf('ab'), await dataOf('a b'), await dataOf('b')]).toEqual(
      [[1], [2], [3], []],
    );
    expect((await collect(other.read('a'))).map((event) => event.version)).toEqual([1n]);
  });

  test('read what was there when reading began', async () => {
    await tenant.append('s', [1, 2]);
    const seen: unknown[] = [];
    for await (const event of tenant.read('s')) {
      seen.push(event.data);
      if (seen.length === 1) await tenant.append('s', [3]);
    }
    expect(seen).toEqual([1, 2]);
  });

  test('append to many streams at once, each gaplessly', async () => {
    const work = Array.from({ length: 300 }, (_, index) => tenant.append(`s${index % 3}`, [index]));
    await Promise.all(work);
    for (const stream of ['s0', 's1', 's2']) {
      const versions = (await collect(tenant.read(stream))).map((event) => event.version);
      expect(versions).toEqual(Array.from({ length: 100 }, (_, index) => BigInt(index + 1)));
    }
  });
});

describe('expectedVersion', () => {
  test('lets an append through only if nobody appended meanwhile', async () => {
    expect((await tenant.append('s', [1], { expectedVersion: 0 })).version).toBe(1n);
    expect((await tenant.append('s', [2, 3], { expectedVersion: 1n })).version).toBe(3n);
    const error = await refused('VERSION_CONFLICT', () =>
      tenant.append('s', [4], { expectedVersion: 1 }),
    );
    expect(error.details).toMatchObject({ version: 3, expectedVersion: 1 });
    await refused('VERSION_CONFLICT', () => tenant.append('s', [], { expectedVersion: 2 }));
    await refused('VERSION_CONFLICT', () => tenant.append('new', [1], { expectedVersion: 1 }));
    expect(await dataOf('s')).toEqual([1, 2, 3]);
    expect(await dataOf('new')).toEqual([]);
  });

  test('lets one of many at once through', async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, index) => tenant.append('s', [index], { expectedVersion: 0 })),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await dataOf('s')).toEqual([0]);
  });

  test.each([-1, 1.5, '1', Number.NaN, null, 2n ** 64n, {}])(
    'of %s is refused',
    async (expectedVersion) => {
      await refused('INVALID_ARGUMENT', () =>
        tenant.append('s', [1], { expectedVersion: expectedVersion as number }),
      );
      expect(await dataOf('s')).toEqual([]);
    },
  );
});

describe('what append refuses, it leaves no trace of', () => {
  const cycle: Record<string, unknown> = {};
  cycle['self'] = cycle;
  const deep = (): unknown => {
    let value: unknown = 1;
    for (let depth = 0; depth < 200_000; depth++) value = [value];
    return value;
  };
  const throwing = {
    toJSON(): never {
      throw new Error('PRIVATE');
    },
  };

  test.each<[string, () => unknown[]]>([
    ['undefined', () => [1, undefined]],
    ['a function', () => [() => 1]],
    ['a symbol', () => [Symbol('s')]],
    ['a bigint', () => [{ n: 1n }]],
    ['a cycle', () => [cycle]],
    ['what is nested too deeply for JSON.stringify', () => [deep()]],
    ['a toJSON that throws', () => [throwing]],
    // oxlint-disable-next-line no-sparse-arrays -- a hole is what is tested
    ['a hole', () => [1, , 2]],
  ])('%s', async (_what, events) => {
    const { position } = db.status();
    const error = await refused('INVALID_ARGUMENT', () => tenant.append('s', events()));
    expect(error.message).not.toContain('PRIVATE');
    expect(await dataOf('s')).toEqual([]);
    expect(db.status()).toMatchObject({ position, poisoned: false });
  });

  test('names that are empty, too long, malformed or no text, and events that are no array', async () => {
    for (const name of [
      '',
      'x'.repeat(limits.nameBytesMax + 1),
      'a\0b',
      'a\nb',
      '\ud800',
      5,
      null,
      undefined,
      {},
    ]) {
      await refused('INVALID_ARGUMENT', () => tenant.append(name as string, [1]));
      await refused('INVALID_ARGUMENT', () => collect(tenant.read(name as string)));
    }
    for (const events of [undefined, null, 'text', { length: 1 }, new Set([1])]) {
      await refused('INVALID_ARGUMENT', () => tenant.append('s', events as never));
    }
    expect(await dataOf('s')).toEqual([]);
  });

  test('an event over the limit, and a command over the limit', async () => {
    const largest = 'x'.repeat(limits.valueBytesMax - 2);
    await refused('VALUE_TOO_LARGE', () => tenant.append('s', [1, `${largest}x`]));
    await refused('COMMAND_TOO_LARGE', () =>
      tenant.append(
        's',
        Array.from({ length: 17 }, () => largest),
      ),
    );
    await refused('COMMAND_TOO_LARGE', () =>
      tenant.append('s', new Array(limits.commandEventsMax + 1).fill(1)),
    );
    expect(await dataOf('s')).toEqual([]);
    expect((await tenant.append('s', [largest])).version).toBe(1n);
    expect(await dataOf('s')).toEqual([largest]);
  });
});
