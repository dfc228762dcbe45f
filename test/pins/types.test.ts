/** docs/types.md: what each SQL type is in TypeScript. Programs rely on every line of this. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TenantHandle, Verity } from '../../src/database/index.ts';

const cases: [sql: string, literal: string, value: unknown][] = [
  ['smallint', '-32768', -32768],
  ['integer', '2147483647', 2147483647],
  ['bigint', '9223372036854775807', 9223372036854775807n],
  ['real', '1.1', 1.1],
  ['double precision', '0.1', 0.1],
  ['numeric(12,2)', '12.5', '12.50'],
  ['numeric', '123456789012345678901234567890.10', '123456789012345678901234567890.10'],
  ['text', "'Zoë 🦉'", 'Zoë 🦉'],
  ['varchar(3)', "'abc'", 'abc'],
  ['boolean', 'true', true],
  ['bytea', "'\\x00ff'", Uint8Array.of(0, 255)],
  ['date', "'2026-11-22'", '2026-11-22'],
  ['date', "'infinity'", 'infinity'],
  ['timestamp', "'2026-11-22 10:00:00.123456'", new Date('2026-11-22T10:00:00.123Z')],
  ['timestamptz', "'2026-11-22 10:00:00+02'", new Date('2026-11-22T08:00:00Z')],
  ['timestamptz', "'-infinity'", -Infinity],
  ['uuid', "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'],
  ['jsonb', '\'{"b": [1, null], "a": "x"}\'', { a: 'x', b: [1, null] }],
];

const parameters: [sql: string, given: unknown, value: unknown][] = [
  ['integer', 7n, 7],
  ['bigint', 7, 7n],
  ['numeric', 1.5, '1.5'],
  ['double precision', 2n, 2],
  ['bytea', Uint8Array.of(1), Uint8Array.of(1)],
  ['date', new Date('2026-11-22T23:59:59Z'), '2026-11-22'],
  ['timestamptz', new Date(1), new Date(1)],
  ['timestamptz', 1_000n, new Date(1)],
  ['jsonb', { a: [true] }, { a: [true] }],
  ['jsonb', '"text"', 'text'],
  ['integer', undefined, null],
];

let db: Verity;
let tenant: TenantHandle;

beforeAll(async () => {
  db = await Verity.open(':memory:');
  tenant = await db.createTenant('types');
});

afterAll(() => db.close());

describe('the type mapping', () => {
  test.each(cases)(
    '%s %s is returned as pinned, stored or computed',
    async (sql, literal, value) => {
      const computed = await tenant.query(`SELECT CAST(${literal} AS ${sql}) AS value`);
      expect(computed.rows).toEqual([{ value }]);
      const table = `t${Math.abs(cases.findIndex(([type, text]) => type === sql && text === literal))}`;
      await tenant.execute(`CREATE TABLE ${table} (value ${sql})`);
      await tenant.execute(`INSERT INTO ${table} VALUES (${literal})`);
      expect((await tenant.query(`SELECT value FROM ${table}`)).rows).toEqual([{ value }]);
    },
  );

  test.each(parameters)('%s takes a parameter %s', async (sql, given, value) => {
    const { rows } = await tenant.query(`SELECT $1::${sql} AS value`, [given as never]);
    expect(rows).toEqual([{ value }]);
  });

  test('microseconds are kept when asked for', async () => {
    const exact = await Verity.open(':memory:', { timestamps: 'microseconds' });
    const handle = await exact.createTenant('types');
    const { rows } = await handle.query(
      "SELECT '1970-01-01 00:00:00.000001+00'::timestamptz AS value",
    );
    expect(rows).toEqual([{ value: 1n }]);
    await exact.close();
  });

  test('positions are bigint', async () => {
    const { position } = await tenant.execute('CREATE TABLE positions (n integer)');
    expect(typeof position).toBe('bigint');
  });
});
