/** queryAt and AS OF: the past by position and by time, as literal and as parameter. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { QueryResult, TenantHandle, Verity } from '../../src/database/index.ts';
import { collect, newDisk, openOn, refused, StandingClock } from './support.ts';

let db: Verity;
let tenant: TenantHandle;
let clock: StandingClock;
/** Positions and times at which the row was inserted, changed and deleted; 10 ms and a half lie between. */
const moments: { position: bigint; micros: bigint }[] = [];

beforeEach(async () => {
  clock = new StandingClock();
  db = await openOn(newDisk(), { clock });
  tenant = await db.createTenant('clinic');
  await tenant.execute('CREATE TABLE t (id integer PRIMARY KEY, v text)');
  moments.length = 0;
  for (const sql of [
    "INSERT INTO t VALUES (1, 'new')",
    "UPDATE t SET v = 'changed'",
    'DELETE FROM t',
  ]) {
    clock.advance(10.5);
    const { position } = await tenant.execute(sql);
    moments.push({ position, micros: BigInt(clock.micros) });
  }
  clock.advance(10.5);
});

afterEach(() => db.close());

const at = (index: number): { position: bigint; micros: bigint } =>
  moments[index] as (typeof moments)[0];
const valuesOf = (result: QueryResult): unknown[] => result.rows.map((row) => row['v']);
const isoOf = (micros: bigint): string => {
  const milliseconds = new Date(Number(micros / 1000n)).toISOString().slice(0, -1);
  return `${milliseconds}${String(micros % 1000n).padStart(3, '0')}Z`;
};
const sql = 'SELECT v FROM t';
const expected = [['new'], ['changed'], []];

describe('a position', () => {
  test.each([0, 1, 2])(
    '%s given to queryAt, as a literal or as a parameter shows the state from it on',
    async (index) => {
      const { position } = at(index);
      const results = [
        await tenant.queryAt(sql, [], position),
        await tenant.query(`${sql} AS OF POSITION ${position}`),
        await tenant.query(`${sql} AS OF POSITION $1`, [position]),
        await tenant.query(`${sql} AS OF POSITION $1`, [Number(position)]),
        await tenant.query(`${sql} AS OF POSITION $1`, [String(position)]),
        await tenant.query(`${sql} WHERE id = $1 as of position $2;`, [1, position]),
        await tenant.execute(`${sql} AS OF POSITION ${position} -- that was then`),
      ];
      for (const result of results) {
        expect(valuesOf(result)).toEqual(expected[index]);
        expect(result.position).toBe(position);
      }
      expect(await collect(tenant.stream(`${sql} AS OF POSITION $1`, [position]))).toEqual(
        (await tenant.queryAt(sql, [], position)).rows,
      );
    },
  );

  test('before the table was made finds no table; position 0 is before everything', async () => {
    await refused('UNDEFINED_TABLE', () => tenant.queryAt(sql, [], 0n));
    await refused('UNDEFINED_TABLE', () => tenant.query(`${sql} AS OF POSITION 0`));
    expect((await tenant.queryAt('SELECT 1 AS one', [], 0n)).rows).toEqual([{ one: 1 }]);
  });

  test('beyond the last one is refused, as is what is no position', async () => {
    const { position } = db.status();
    for (const beyond of [position + 1n, BigInt(Number.MAX_SAFE_INTEGER)]) {
      await refused('POSITION_UNKNOWN', () => tenant.queryAt(sql, [], beyond));
      await refused('POSITION_UNKNOWN', () => tenant.query(`${sql} AS OF POSITION ${beyond}`));
      await refused('POSITION_UNKNOWN', () => tenant.query(`${sql} AS OF POSITION $1`, [beyond]));
    }
    for (const bad of [-1n, 2n ** 64n, 1.5, Number.NaN, 'x', '', null, undefined, {}]) {
      await refused('INVALID_ARGUMENT', () => tenant.queryAt(sql, [], bad as bigint));
    }
    for (const bad of [-1n, 2n ** 64n, 1.5, 'x', '-1', {}]) {
      await refused('INVALID_ARGUMENT', () => tenant.query(`${sql} AS OF POSITION $1`, [bad]));
    }
    for (const missing of [null, undefined]) {
      await refused('UNDEFINED_PARAMETER', () =>
        tenant.query(`${sql} AS OF POSITION $1`, [missing]),
      );
    }
    for (const text of ['-1', '1.5', "'1'", '1e3', ''])
      await refused('SYNTAX_ERROR', () => tenant.query(`${sql} AS OF POSITION ${text}`));
  });

  test('of another tenant’s command shows this tenant as it was then', async () => {
    const other = await db.createTenant('other');
    const { position } = await other.execute('CREATE TABLE t (id integer)');
    expect(valuesOf(await tenant.queryAt(sql, [], position))).toEqual([]);
    await tenant.execute("INSERT INTO t VALUES (2, 'later')");
    expect(valuesOf(await tenant.queryAt(sql, [], position))).toEqual([]);
  });
});

describe('a time', () => {
  test.each([0, 1, 2])(
    'of moment %s shows its command, a microsecond earlier the state before',
    async (index) => {
      const { micros } = at(index);
      for (const [time, rows] of [
        [micros, expected[index]],
        [micros + 5_000n, expected[index]],
        [micros - 1n, index === 0 ? [] : expected[index - 1]],
      ] as const) {
        expect(valuesOf(await tenant.query(`${sql} AS OF TIMESTAMP '${isoOf(time)}'`))).toEqual(
          rows,
        );
        expect(valuesOf(await tenant.query(`${sql} AS OF TIMESTAMP $1`, [isoOf(time)]))).toEqual(
          rows,
        );
        expect(valuesOf(await tenant.query(`${sql} AS OF TIMESTAMP $1`, [time]))).toEqual(rows);
        expect(await collect(tenant.stream(`${sql} AS OF TIMESTAMP $1`, [time]))).toHaveLength(
          rows?.length ?? 0,
        );
      }
    },
  );

  test('as a Date is a whole millisecond: what was committed within it is seen', async () => {
    const { micros } = at(1);
    expect(micros % 1000n).toBe(0n);
    const { micros: half } = at(0);
    expect(half % 1000n).toBe(500n);
    for (const [date, rows] of [
      [new Date(Number(micros / 1000n)), ['changed']],
      [new Date(Number(micros / 1000n) - 1), ['new']],
      [new Date(Number(half / 1000n)), ['new']],
      [new Date(Number(half / 1000n) - 1), []],
    ] as const) {
      expect(valuesOf(await tenant.queryAt(sql, [], date))).toEqual(rows);
      expect(valuesOf(await tenant.query(`${sql} AS OF TIMESTAMP $1`, [date]))).toEqual(rows);
    }
  });

  test('without a zone is UTC, and zones count', async () => {
    const { micros } = at(0);
    const text = isoOf(micros);
    expect(
      valuesOf(
        await tenant.query(`${sql} AS OF TIMESTAMP '${text.slice(0, -1).replace('T', ' ')}'`),
      ),
    ).toEqual(['new']);
    const east = isoOf(micros + 7_200_000_000n).replace('Z', '+02:00');
    expect(valuesOf(await tenant.query(`${sql} AS OF TIMESTAMP '${east}'`))).toEqual(['new']);
    expect(valuesOf(await tenant.query(`${sql} AS OF TIMESTAMP E'${text}'`))).toEqual(['new']);
  });

  test('in the future shows now, long ago nothing', async () => {
    await tenant.execute("INSERT INTO t VALUES (2, 'here')");
    expect(valuesOf(await tenant.queryAt(sql, [], new Date(8_640_000_000_000_000)))).toEqual([
      'here',
    ]);
    expect(valuesOf(await tenant.query(`${sql} AS OF TIMESTAMP '9999-12-31'`))).toEqual(['here']);
    await refused('UNDEFINED_TABLE', () => tenant.queryAt(sql, [], new Date(0)));
    await refused('UNDEFINED_TABLE', () =>
      tenant.queryAt(sql, [], new Date(-8_640_000_000_000_000)),
    );
    await refused('UNDEFINED_TABLE', () => tenant.query(`${sql} AS OF TIMESTAMP '0044-03-15 BC'`));
  });

  test('that is none is refused', async () => {
    await refused('INVALID_ARGUMENT', () => tenant.queryAt(sql, [], new Date(Number.NaN)));
    await refused('TYPE_MISMATCH', () => tenant.query(`${sql} AS OF TIMESTAMP $1`, [5]));
    await refused('INVALID_ARGUMENT', () =>
      tenant.query(`${sql} AS OF TIMESTAMP $1`, [new Date(Number.NaN)]),
    );
    await refused('INVALID_DATETIME', () =>
      tenant.query(`${sql} AS OF TIMESTAMP $1`, ['yesterday']),
    );
    await refused('INVALID_DATETIME', () => tenant.query(`${sql} AS OF TIMESTAMP 'infinity'`));
    const error = await refused('INVALID_DATETIME', () =>
      tenant.query(`/* 🦉 */ ${sql} AS OF TIMESTAMP 'PRIVATE'`),
    );
    expect(error.details['offset']).toBe(`/* 🦉 */ ${sql} AS OF TIMESTAMP `.length);
    expect(error.message).not.toContain('PRIVATE');
    const range = await refused('DATETIME_OUT_OF_RANGE', () =>
      tenant.query(`${sql} AS OF TIMESTAMP '2026-02-30'`),
    );
    expect(range.details['offset']).toBe(`${sql} AS OF TIMESTAMP `.length);
  });

  test('of a clock that stepped back still rises with the position', async () => {
    clock.advance(-60_000);
    const { position } = await tenant.execute("INSERT INTO t VALUES (3, 'after')");
    const [last] = (await collect(tenant.changes({ from: position }))).slice(-1);
    expect((last?.time.getTime() ?? 0) * 1000).toBeGreaterThanOrEqual(
      Math.floor(Number(at(2).micros) / 1000) * 1000,
    );
    expect(
      valuesOf(await tenant.query(`${sql} AS OF TIMESTAMP '${isoOf(at(2).micros - 1n)}'`)),
    ).toEqual(['changed']);
    expect(valuesOf(await tenant.query(sql))).toEqual(['after']);
  });
});

describe('AS OF', () => {
  test('cannot stand beside a position given to queryAt', async () => {
    await refused('INVALID_ARGUMENT', () => tenant.queryAt(`${sql} AS OF POSITION 1`, [], 1n));
  });

  test.each([
    ['INSERT INTO t VALUES (5) AS OF POSITION 1', 'UNSUPPORTED_SQL'],
    ['UPDATE t SET v = NULL AS OF POSITION 1', 'UNSUPPORTED_SQL'],
    ['SELECT v FROM t AS OF POSITION 1 WHERE id = 1', 'SYNTAX_ERROR'],
    ['SELECT v FROM t AS OF POSITION 1 AS OF POSITION 2', 'SYNTAX_ERROR'],
    ['SELECT v FROM t AS OF POSITION', 'SYNTAX_ERROR'],
  ] as const)('%s is %s, with its place', async (text, code) => {
    const error = await refused(code, () => tenant.execute(`/* Größe 🦉 */ ${text}`));
    expect(error.details['offset']).toBeGreaterThanOrEqual('/* Größe 🦉 */ '.length);
  });

  test('in a text, a name or a comment is none', async () => {
    await tenant.execute("INSERT INTO t VALUES (9, 'AS OF POSITION 1')");
    const { rows } = await tenant.query(
      `SELECT v AS "AS OF POSITION 1" FROM t WHERE v = 'AS OF POSITION 1' -- AS OF POSITION 1`,
    );
    expect(rows).toEqual([{ 'AS OF POSITION 1': 'AS OF POSITION 1' }]);
  });
});
