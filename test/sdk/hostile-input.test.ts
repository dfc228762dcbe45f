/** Input that is meant to break things: names, objects with behaviour, sizes, and calls within calls. */
import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Disk } from '../../src/base/index.ts';
import {
  limits,
  type Row,
  type SqlParameter,
  type TenantHandle,
  type Verity,
} from '../../src/database/index.ts';
import { collect, newDisk, openOn, refusal, refused } from './support.ts';

let disk: Disk;
let db: Verity;
let tenant: TenantHandle;

beforeEach(async () => {
  disk = newDisk();
  db = await openOn(disk);
  tenant = await db.createTenant('clinic');
  await tenant.execute('CREATE TABLE t (id integer PRIMARY KEY, v text, j jsonb, b bytea)');
});

afterEach(async () => {
  // Whatever was tried: the handle serves, the log is whole, a restart brings the same state.
  expect(db.status().poisoned).toBe(false);
  expect((await db.verify()).findings).toEqual([]);
  const before = await contents();
  await db.close();
  db = await openOn(disk);
  expect(isDeepStrictEqual(await contents(), before)).toBe(true);
  await db.close();
  // Nothing was put on the prototypes that everything inherits from.
  expect(Object.keys(Object.prototype)).toEqual([]);
  expect(({} as Row)['polluted']).toBeUndefined();
});

async function contents(): Promise<unknown> {
  const all: unknown[] = [];
  for (const name of db.tenants()) {
    const handle = db.tenant(name);
    for (const table of await handle.tables()) {
      const { rows } = await handle.query(`SELECT * FROM "${table.name.replaceAll('"', '""')}"`);
      all.push([name, table, rows]);
    }
  }
  return all;
}

const insert = (parameters: readonly SqlParameter[]): Promise<unknown> =>
  tenant.execute('INSERT INTO t VALUES ($1, $2, $3, $4)', parameters);

const names = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'toJSON',
  'then',
  '__defineGetter__',
  'length',
  'a"b',
  "a'b",
  'a;b',
  'a--b',
  ' ',
  '\u{1f989}',
  '\u202e',
  'Ä',
  'null',
  '%s',
  '${x}',
  '../x',
  '$1',
];

describe.each(names)('the name %j', (name) => {
  const quoted = `"${name.replaceAll('"', '""')}"`;

  test('works for tenants, tables, columns, aliases and streams', async () => {
    const other = await db.createTenant(name);
    expect(db.tenants()).toContain(name);
    const same = db.tenant(name);
    expect(same.name).toBe(name);
    await other.execute(
      `CREATE TABLE ${quoted} (${quoted} integer PRIMARY KEY, polluted text UNIQUE)`,
    );
    await other.execute(
      `INSERT INTO ${quoted} (${quoted}, polluted) VALUES ($1, 'x') RETURNING ${quoted}`,
      [1],
    );
    const { rows, columns } = await same.query(
      `SELECT * FROM ${quoted} WHERE ${quoted} = 1 ORDER BY ${quoted}`,
    );
    expect(rows.map((row) => Object.entries(row))).toEqual([
      [
        [name, 1],
        ['polluted', 'x'],
      ],
    ]);
    expect(Object.getPrototypeOf(rows[0])).toBe(Object.prototype);
    expect(columns.map((column) => column.name)).toEqual([name, 'polluted']);
    const aliased = await same.query(`SELECT 7 AS ${quoted}`);
    expect(Object.entries(aliased.rows[0] as Row)).toEqual([[name, 7]]);
    const [change] = await same.history(name, [1]);
    expect(Object.entries(change?.key as Row)).toEqual([[name, 1]]);
    expect(Object.entries(change?.after as Row)).toEqual([
      [name, 1],
      ['polluted', 'x'],
    ]);
    expect(await same.tables()).toMatchObject([{ name, primaryKey: [name], rowCount: 1 }]);
    await other.append(name, [{ [name]: 1 }]);
    expect((await collect(same.read(name))).map((event) => [event.stream, event.data])).toEqual([
      [name, { [name]: 1 }],
    ]);
    expect((await collect(same.changes())).at(-1)).toMatchObject({ kind: 'append', table: name });
  });

  test('is refused as unknown where nothing has it', async () => {
    await refused('UNKNOWN_TENANT', () => db.tenant(name));
    await refused('UNDEFINED_TABLE', () => tenant.query(`SELECT * FROM ${quoted}`));
    await refused('UNDEFINED_COLUMN', () => tenant.query(`SELECT ${quoted} FROM t`));
    await refused('UNDEFINED_TABLE', () => tenant.history(name, [1]));
    expect((await refusal(() => tenant.query(`SELECT ${quoted}(1)`))).code).toMatch(
      /^(UNSUPPORTED_SQL|UNDEFINED_FUNCTION)$/,
    );
    expect((await refusal(() => tenant.execute(`CREATE TABLE x (a ${quoted})`))).code).toMatch(
      /^(UNSUPPORTED_SQL|UNDEFINED_OBJECT)$/,
    );
    expect(await collect(tenant.read(name))).toEqual([]);
  });
});

describe('jsonb', () => {
  test('keeps members whose names objects inherit as what they are: names', async () => {
    const text =
      '{"__proto__": {"polluted": 1}, "constructor": {"prototype": {"polluted": 2}}, "toString": null}';
    await insert([1, null, text, null]);
    await insert([2, null, JSON.parse(text) as SqlParameter, null]);
    const { rows } = await tenant.query('SELECT j FROM t');
    for (const row of rows) {
      expect(Object.keys(row['j'] as object).toSorted()).toEqual([
        '__proto__',
        'constructor',
        'toString',
      ]);
      expect(JSON.stringify(row['j'])).toContain('"__proto__":{"polluted":1}');
    }
    const inside = await tenant.query(
      "SELECT j -> '__proto__' AS a, j ->> 'valueOf' AS b FROM t WHERE id = 1",
    );
    expect(inside.rows).toEqual([{ a: { polluted: 1 }, b: null }]);
  });

  test('nests as deep as documented and no deeper', async () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    await insert([1, null, nested(500), null]);
    for (const depth of [501, 10_000, 400_000]) {
      const given: unknown = depth < 5_000 ? JSON.parse(nested(depth)) : nested(depth);
      const error = await refusal(() => insert([2, null, given as SqlParameter, null]));
      expect(['STATEMENT_TOO_COMPLEX', 'VALUE_TOO_LARGE']).toContain(error.code);
    }
    let value: unknown = 1;
    for (let depth = 0; depth < 100_000; depth++) value = { a: value };
    expect((await refusal(() => insert([3, null, value as SqlParameter, null]))).code).toMatch(
      /INVALID_TEXT|STATEMENT_TOO_COMPLEX/,
    );
    expect((await tenant.query('SELECT id FROM t')).rows).toEqual([{ id: 1 }]);
  });

  test('of many members takes time in proportion', async () => {
    const members = Object.fromEntries(
      Array.from({ length: 50_000 }, (_, index) => [`k${index}`, index]),
    );
    await insert([1, null, members, null]);
    const { rows } = await tenant.query('SELECT j FROM t');
    expect(Object.keys(rows[0]?.['j'] as object)).toHaveLength(50_000);
  });
});

describe('parameters', () => {
  test('may be changed by the caller once the call was made', async () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const json = { list: [1] };
    const parameters: SqlParameter[] = [1, 'before', json, bytes];
    const inserted = tenant.execute(
      'INSERT INTO t VALUES ($1, $2, $3, $4) RETURNING b',
      parameters,
    );
    parameters[1] = 'after';
    parameters.length = 1;
    json.list.push(2);
    bytes.fill(9);
    expect((await inserted).rows).toEqual([{ b: Uint8Array.of(1, 2, 3) }]);
    const events = [{ n: 1 }];
    const appended = tenant.append('s', events);
    events[0] = { n: 2 };
    await appended;
    const key: SqlParameter[] = [1];
    const queried = tenant.query('SELECT id, v, j, b FROM t WHERE id = $1', key);
    const streamed = tenant.stream('SELECT v FROM t WHERE id = $1', key);
    const history = tenant.history('t', key);
    key[0] = 99;
    expect((await queried).rows).toEqual([
      { id: 1, v: 'before', j: { list: [1] }, b: Uint8Array.of(1, 2, 3) },
    ]);
    expect(await collect(streamed)).toEqual([{ v: 'before' }]);
    expect(await history).toHaveLength(1);
    expect((await collect(tenant.read('s'))).map((event) => event.data)).toEqual([{ n: 1 }]);
  });

  test('in a transaction, too', async () => {
    await tenant.transaction(async (tx) => {
      const parameters: SqlParameter[] = [1, 'before', null, Uint8Array.of(1)];
      const work = tx.execute('INSERT INTO t VALUES ($1, $2, $3, $4)', parameters);
      (parameters[3] as Uint8Array).fill(9);
      parameters[1] = 'after';
      await work;
    });
    expect((await tenant.query('SELECT v, b FROM t')).rows).toEqual([
      { v: 'before', b: Uint8Array.of(1) },
    ]);
  });

  test('that are no array, or as many as the statement does not take, are refused', async () => {
    for (const given of [
      null,
      'x',
      5,
      {},
      { length: 4, 0: 1 },
      new Set([1]),
      new Map(),
      Uint8Array.of(1, 2, 3, 4),
      () => [1],
    ]) {
      const bad = given as never;
      await refused('INVALID_ARGUMENT', () => insert(bad));
      await refused('INVALID_ARGUMENT', () => tenant.query('SELECT $1::integer', bad));
      await refused('INVALID_ARGUMENT', () => tenant.queryAt('SELECT $1::integer', bad, 1n));
      await refused('INVALID_ARGUMENT', () => tenant.stream('SELECT $1::integer', bad).next());
      await refused('INVALID_ARGUMENT', () =>
        tenant.transaction((tx) => tx.execute('DELETE FROM t WHERE id = $1', bad)),
      );
      await refused('INVALID_ARGUMENT', () =>
        tenant.transaction((tx) => tx.query('SELECT $1::integer', bad)),
      );
    }
    for (const count of [0, 3, 5, 65_536, 5_000_000])
      await refused('UNDEFINED_PARAMETER', () => insert(new Array<SqlParameter>(count)));
    // Holes are undefined, and undefined is NULL.
    const holes = new Array<SqlParameter>(4);
    holes[0] = 1;
    await insert(holes);
    expect((await tenant.query('SELECT v, j, b FROM t')).rows).toEqual([
      { v: null, j: null, b: null },
    ]);
  });

  test('may be as many as the limit says', async () => {
    const numbers = Array.from({ length: limits.parametersMax }, (_, index) => index);
    await tenant.execute('INSERT INTO t (id) VALUES (0), (7), (65534), (65535)');
    const list = numbers.map((index) => `$${index + 1}`).join(', ');
    const { rows } = await tenant.query(
      `SELECT id FROM t WHERE id IN (${list}) ORDER BY id`,
      numbers,
    );
    expect(rows).toEqual([{ id: 0 }, { id: 7 }, { id: 65_534 }]);
    await refused('UNDEFINED_PARAMETER', () =>
      tenant.query(`SELECT id FROM t WHERE id IN (${list}, $65536)`, [...numbers, 1]),
    );
  });

  test('with behaviour of their own are not called for it, or only once', async () => {
    let calls = 0;
    const loud = {
      valueOf: () => ++calls,
      toString: () => String(++calls),
      [Symbol.toPrimitive]: () => ++calls,
    };
    for (const [sql, given] of [
      ['SELECT $1::integer', loud],
      ['SELECT $1::text', loud],
      ['SELECT $1::timestamptz', loud],
      ['SELECT $1::integer', Object(5)],
      ['SELECT $1::text', Object('x')],
      ['SELECT $1::boolean', Object(true)],
    ] as [string, SqlParameter][]) {
      await refused('TYPE_MISMATCH', () => tenant.query(sql, [given]));
    }
    expect(calls).toBe(0);
    const counting = { toJSON: () => ({ calls: ++calls }) };
    await insert([1, null, counting, null]);
    expect(calls).toBe(1);
    expect((await tenant.query('SELECT j FROM t')).rows).toEqual([{ j: { calls: 1 } }]);
  });

  test('that throw when looked at: nothing stays, and the error shows nothing', async () => {
    const throwing = {
      toJSON: (): never => {
        throw new Error('PRIVATE');
      },
    };
    const getter = Object.defineProperty({}, 'a', {
      enumerable: true,
      get: () => {
        throw new Error('PRIVATE');
      },
    });
    const cycle: Record<string, unknown> = {};
    cycle['self'] = cycle;
    for (const given of [throwing, getter, cycle, { n: 1n }]) {
      const error = await refused('INVALID_TEXT', () => insert([1, null, given, null]));
      expect(error.message).not.toContain('PRIVATE');
    }
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    class Moody extends Date {
      override getTime(): never {
        throw new Error('PRIVATE');
      }
    }
    for (const [sql, given] of [
      ['SELECT $1::jsonb', revoked.proxy],
      ['SELECT $1::bytea', revoked.proxy],
      ['SELECT $1::timestamptz', new Moody()],
    ] as const) {
      const error = await refused('INVALID_ARGUMENT', () => tenant.query(sql, [given]));
      expect(error.message).not.toContain('PRIVATE');
    }
    expect((await tenant.query('SELECT count(*) FROM t')).rows).toEqual([{ count: 0n }]);
  });

  test('behind a Proxy or a subclass are read like others', async () => {
    const read: PropertyKey[] = [];
    const parameters = new Proxy([1, 'proxied', { a: 1 }, null] as SqlParameter[], {
      get: (target, name, receiver) => {
        read.push(name);
        return Reflect.get(target, name, receiver) as unknown;
      },
    });
    await insert(parameters);
    expect(read.filter((name) => name === '1')).toHaveLength(1);
    class Mine extends Array<SqlParameter> {}
    await insert(Mine.from([2, 'subclass', new Proxy({ b: 2 }, {}), Buffer.from('x')]));
    expect((await tenant.query('SELECT id, v, j FROM t')).rows).toEqual([
      { id: 1, v: 'proxied', j: { a: 1 } },
      { id: 2, v: 'subclass', j: { b: 2 } },
    ]);
  });

  test('that run commands while they are looked at do not mix them up', async () => {
    const inner: Promise<unknown>[] = [];
    const meddling = (id: number): SqlParameter => ({
      toJSON: () => {
        inner.push(insert([id, 'inner', null, null]));
        return { outer: true };
      },
    });
    const outer = insert([1, 'outer', meddling(2), null]);
    const taken = insert([3, 'outer', meddling(3), null]);
    await outer;
    await refused('UNIQUE_VIOLATION', () => taken);
    await Promise.all(inner);
    const { rows } = await tenant.query('SELECT id, v FROM t ORDER BY id');
    expect(rows).toEqual([
      { id: 1, v: 'outer' },
      { id: 2, v: 'inner' },
      { id: 3, v: 'inner' },
    ]);
    const times = (await collect(tenant.changes())).map((change) => change.time.getTime());
    expect(times).toEqual(times.toSorted((left, right) => left - right));
  });

  test('that create the table or close the database meanwhile do no harm', async () => {
    let created: Promise<unknown> | undefined;
    const creating = {
      toJSON: (): number => {
        created = tenant.execute('CREATE TABLE late (n integer)');
        return 1;
      },
    };
    await insert([1, null, creating, null]);
    await created;
    const other = await openOn(newDisk());
    const handle = await other.createTenant('x');
    await handle.execute('CREATE TABLE t (j jsonb)');
    let closed: Promise<void> | undefined;
    const closing = {
      toJSON: (): number => {
        closed = other.close();
        return 1;
      },
    };
    await refused('CLOSED', () => handle.execute('INSERT INTO t VALUES ($1)', [closing]));
    await closed;
    expect((await tenant.tables()).map((table) => table.name)).toEqual(['late', 't']);
  });

  test('of exactly 1 MiB are in their row, those of one byte more in a file, and neither is cut', async () => {
    const most = limits.valueBytesMax;
    const largest: [column: string, largest: SqlParameter, over: SqlParameter][] = [
      ['v', 'x'.repeat(most), 'x'.repeat(most + 1)],
      ['v', 'é'.repeat(most / 2), `${'é'.repeat(most / 2)}x`],
      ['v', '🦉'.repeat(most / 4), `${'🦉'.repeat(most / 4)}x`],
      ['b', new Uint8Array(most).fill(1), new Uint8Array(most + 1)],
      ['j', `"${'x'.repeat(most - 2)}"`, `"${'x'.repeat(most - 1)}"`],
    ];
    for (const [id, [column, value, over]] of largest.entries()) {
      const isKept = async (kept: SqlParameter): Promise<boolean> => {
        const { rows } = await tenant.query(`SELECT ${column} AS value FROM t WHERE id = $1`, [id]);
        const expected: unknown = column === 'j' ? JSON.parse(kept as string) : kept;
        return isDeepStrictEqual(rows[0]?.['value'], expected);
      };
      await tenant.execute(`INSERT INTO t (id, ${column}) VALUES ($1, $2)`, [id, value]);
      expect(await isKept(value)).toBe(true);
      await tenant.execute(`UPDATE t SET ${column} = $2 WHERE id = $1`, [id, over]);
      expect(await isKept(over)).toBe(true);
    }
  });

  test('of a row that are each within the limit and together over it are kept whole', async () => {
    const [text, bytes] = ['é'.repeat(400_000), new Uint8Array(900_000).fill(7)];
    await insert([1, text, `"${'j'.repeat(700_000)}"`, bytes]);
    await insert([2, 'next', null, null]);
    await tenant.execute("UPDATE t SET j = '1' WHERE id = 1");
    const { rows } = await tenant.query('SELECT * FROM t ORDER BY id');
    expect(
      isDeepStrictEqual(rows, [
        { id: 1, v: text, j: 1, b: bytes },
        { id: 2, v: 'next', j: null, b: null },
      ]),
    ).toBe(true);
  });
});

describe('identifiers', () => {
  test('as long as PostgreSQL takes them are kept whole; longer ones are cut as PostgreSQL cuts them, or refused', async () => {
    const longest = 'n'.repeat(63);
    await tenant.execute(`CREATE TABLE ${longest} (${longest} integer)`);
    expect((await tenant.query(`SELECT ${longest} FROM ${longest}`)).columns).toEqual([
      { name: longest, type: 'integer' },
    ]);
    // Two names that differ only behind the cut are the same name.
    await refused('DUPLICATE_TABLE', () => tenant.execute(`CREATE TABLE ${longest}a (b integer)`));
    await refused('DUPLICATE_COLUMN', () =>
      tenant.execute(`CREATE TABLE cut (${longest}a integer, ${longest}b integer)`),
    );
    // A cut never leaves half a character.
    await tenant.execute(`CREATE TABLE "${'é'.repeat(40)}" (a integer)`);
    expect((await tenant.tables()).map((table) => table.name)).toContain('é'.repeat(31));
    await tenant.execute(`CREATE TABLE "${'🦉'.repeat(20)}" (a integer)`);
    expect((await tenant.tables()).map((table) => table.name)).toContain('🦉'.repeat(15));
  });

  test('of a megabyte are no trouble', async () => {
    const long = 'x'.repeat(500_000);
    for (const sql of [
      `SELECT ${long}`,
      `SELECT * FROM "${long}"`,
      `SELECT 1 AS ${long}`,
      `SELECT ${long}(1)`,
      `SELECT 1::${long}`,
      `${long}`,
    ]) {
      const outcome = await tenant.query(sql).catch((error: unknown) => error as Error);
      if (outcome instanceof Error) {
        expect((outcome as { code?: string }).code).toMatch(/^(UNDEFINED_|UNSUPPORTED_|SYNTAX_)/);
        expect(outcome.message.length).toBeLessThan(1_000);
      }
    }
  });

  test('of a thousand columns work, a thousand and one are refused', async () => {
    const columns = (count: number): string =>
      Array.from({ length: count }, (_, index) => `c${index} integer DEFAULT ${index}`).join(', ');
    await refused('INVALID_TABLE_DEFINITION', () =>
      tenant.execute(`CREATE TABLE wide (${columns(limits.columnsMax + 1)})`),
    );
    await tenant.execute(`CREATE TABLE wide (${columns(limits.columnsMax)})`);
    await tenant.execute('INSERT INTO wide DEFAULT VALUES');
    const { rows } = await tenant.query('SELECT * FROM wide');
    expect(Object.values(rows[0] as Row).every((value, index) => value === index)).toBe(true);
  });
});

describe('strings of SQL', () => {
  test.each([
    "'; DROP TABLE t; --",
    "\\'; DELETE FROM t; --",
    '$$; DELETE FROM t; $$',
    '\u2019; DELETE FROM t',
    '%27',
    "'' OR ''1''=''1",
  ])('as a value (%s) are a value', async (text) => {
    await insert([1, text, null, null]);
    await tenant.execute(`INSERT INTO t (id, v) VALUES (2, '${text.replaceAll("'", "''")}')`);
    const { rows } = await tenant.query('SELECT v FROM t WHERE v = $1', [text]);
    expect(rows).toEqual([{ v: text }, { v: text }]);
  });

  test.each([
    ["SELECT 'a' 'b'", 'SYNTAX_ERROR'],
    ["SELECT 'half \ud800 of a pair'", 'SYNTAX_ERROR'],
    ["SELECT 'nul \0'", 'SYNTAX_ERROR'],
    ["SELECT E'\\000'", 'SYNTAX_ERROR'],
    ["SELECT U&'\\D800'", 'SYNTAX_ERROR'],
    ["SELECT E'\\uD800'", 'SYNTAX_ERROR'],
    ["SELECT E'\\xff'", 'SYNTAX_ERROR'],
    ['SELECT $tag$unfinished', 'SYNTAX_ERROR'],
    ['SELECT "unfinished', 'SYNTAX_ERROR'],
    ['SELECT /* unfinished', 'SYNTAX_ERROR'],
  ] as const)('that are malformed (%j) are refused', async (sql, code) => {
    await refused(code, () => tenant.query(sql));
  });
});
