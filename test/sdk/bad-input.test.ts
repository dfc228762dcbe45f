/**
 * What callers get wrong: each has a stable code, a SQLSTATE, a message that says what to do and shows no
 * value, the place in the original text, and leaves nothing behind.
 */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Disk } from '../../src/base/index.ts';
import {
  type ErrorCode,
  limits,
  type SqlParameter,
  type TenantHandle,
  type Verity,
} from '../../src/database/index.ts';
import { newDisk, openOn, refused } from './support.ts';

describe('a statement', () => {
  /** Before each text, so that bytes, code points and UTF-16 units all differ. */
  const prefix = '/* Größe 🦉 */ ';
  let disk: Disk;
  let db: Verity;
  let tenant: TenantHandle;

  beforeEach(async () => {
    disk = newDisk();
    db = await openOn(disk, { timers: false });
    tenant = await db.createTenant('clinic');
    await tenant.execute(`CREATE TABLE patients (
      id integer PRIMARY KEY, name varchar(8) NOT NULL, born date, score numeric(4,1) DEFAULT 1 CHECK (score < 900),
      code text UNIQUE, at timestamptz, raw bytea, u uuid, j jsonb, big bigint, ok boolean, "__proto__" text)`);
    await tenant.execute(
      "INSERT INTO patients (id, name, code) VALUES (1, 'Ada', 'a'), (2, 'Ben', NULL)",
    );
  });

  afterEach(() => db.close());

  function imageOf(): Record<string, string> {
    const image: Record<string, string> = {};
    const directories = ['', 'log', 'proofs'];
    for (const directory of directories) {
      for (const name of disk.list(directory) ?? []) {
        const path = directory === '' ? name : `${directory}/${name}`;
        if (directories.includes(path)) continue;
        const file = disk.open(path, 'read');
        const bytes = new Uint8Array(file.sizeBytes());
        file.read(bytes, 0);
        file.close();
        image[path] = createHash('sha256').update(bytes).digest('hex');
      }
    }
    return image;
  }

  /** The statement is refused at the mark ⟦ (without one: at no place), and neither state nor files change. */
  async function unexecuted(
    code: ErrorCode,
    marked: string,
    parameters: readonly SqlParameter[] = [],
  ): Promise<void> {
    const whole = prefix + marked;
    const mark = whole.indexOf('⟦');
    const sql = whole.replace('⟦', '');
    // What the cache holds may change with every read.
    const standing = () => ({ ...db.status(), store: undefined, image: imageOf() });
    const before = standing();
    for (const call of [
      () => tenant.execute(sql, parameters),
      () => tenant.transaction((tx) => tx.execute(sql, parameters)),
    ]) {
      const error = await refused(code, call);
      if (mark !== -1) expect(error.details['offset'], error.message).toBe(mark);
      expect(error.message).not.toContain('PRIVATE');
      expect(JSON.stringify(error.details)).not.toContain('PRIVATE');
    }
    expect(standing()).toEqual(before);
  }

  test.each<[ErrorCode, string]>([
    ['UNDEFINED_TABLE', "INSERT INTO ⟦nowhere VALUES ('PRIVATE')"],
    ['UNDEFINED_TABLE', 'SELECT * FROM ⟦"Patients"'],
    ['UNDEFINED_TABLE', 'UPDATE ⟦"__proto__" SET a = 1'],
    ['UNDEFINED_TABLE', 'DELETE FROM ⟦constructor'],
    ['UNDEFINED_TABLE', 'SELECT ⟦p.id FROM patients'],
    ['UNDEFINED_COLUMN', "SELECT id, 'ü', ⟦nope FROM patients"],
    ['UNDEFINED_COLUMN', 'SELECT id FROM patients WHERE ⟦"toString" = 1'],
    [
      'UNDEFINED_COLUMN',
      'SELECT id FROM patients WHERE name = ⟦"PRIVATE"'.replace('PRIVATE', 'Ada'),
    ],
    ['UNDEFINED_COLUMN', "INSERT INTO patients (id, ⟦hasOwnProperty) VALUES (1, 'PRIVATE')"],
    ['UNDEFINED_COLUMN', 'UPDATE patients SET ⟦nope = 1'],
    ['UNDEFINED_COLUMN', 'SELECT id FROM patients ORDER BY ⟦nope'],
    ['UNDEFINED_COLUMN', 'DELETE FROM patients RETURNING ⟦nope'],
    ['UNDEFINED_FUNCTION', "SELECT name ⟦+ 'PRIVATE'::text FROM patients"],
    ['UNDEFINED_FUNCTION', 'SELECT id FROM patients WHERE born ⟦= 1'],
    ['TYPE_MISMATCH', "INSERT INTO patients (id, name, born) VALUES (3, 'PRIVATE', ⟦true)"],
    ['TYPE_MISMATCH', 'SELECT id FROM patients WHERE ⟦name'],
    ['TYPE_MISMATCH', 'UPDATE patients SET ok = ⟦1'],
    ['INVALID_TEXT', "SELECT id FROM patients WHERE id = ⟦'PRIVATE'"],
    ['INVALID_TEXT', "INSERT INTO patients (id, name, u) VALUES (3, 'x', ⟦'PRIVATE')"],
    ['INVALID_TEXT', "UPDATE patients SET j = ⟦'{PRIVATE}'"],
    ['INVALID_TEXT', "SELECT ⟦'PRIVATE'::boolean"],
    ['INVALID_DATETIME', "INSERT INTO patients (id, name, born) VALUES (3, 'x', ⟦'PRIVATE')"],
    ['DATETIME_OUT_OF_RANGE', "SELECT id FROM patients WHERE born > ⟦'2023-02-29'"],
    ['NUMERIC_OUT_OF_RANGE', "SELECT id FROM patients WHERE id = ⟦'2147483648'"],
    ['NUMERIC_OUT_OF_RANGE', 'INSERT INTO patients (id, name) VALUES (⟦99999999999, NULL)'],
    ['CANNOT_COERCE', 'SELECT born⟦::integer FROM patients'],
    ['DUPLICATE_COLUMN', "INSERT INTO patients (id, ⟦id) VALUES (1, 'PRIVATE')"],
    ['SYNTAX_ERROR', 'UPDATE patients SET name = $$x$$, ⟦name = $$y$$'],
    [
      'SYNTAX_ERROR',
      "SELECT id ⟦FRM patients WHERE name = 'PRIVATE'".replace('⟦FRM patients', 'FRM ⟦patients'),
    ],
    ['SYNTAX_ERROR', 'INSERT INTO patients (id, name) VALUES (⟦3)'],
    [
      'SYNTAX_ERROR',
      "INSERT INTO patients VALUES (3, 'a', NULL, 1, 'c', NULL, NULL, NULL, NULL, NULL, true, 'p', ⟦'PRIVATE')",
    ],
    ['SYNTAX_ERROR', "SELECT ⟦'PRIVATE"],
    ['SYNTAX_ERROR', "INSERT INTO patients (id, name) VALUES (3, 'x'), (⟦4)"],
    ['UNSUPPORTED_SQL', 'WITH RECURSIVE x AS (SELECT 1) SELECT * FROM x'],
    ['UNSUPPORTED_SQL', '⟦TRUNCATE patients'],
    ['UNSUPPORTED_SQL', "⟦COPY patients FROM 'PRIVATE'"],
    ['UNSUPPORTED_SQL', 'SELECT ⟦pg_sleep(10)'],
    ['UNSUPPORTED_SQL', 'SELECT id FROM patients FOR UPDATE'],
    [
      'UNSUPPORTED_SQL',
      "INSERT INTO patients (id, name) VALUES (1, 'PRIVATE') ON CONFLICT ((id + 1)) DO NOTHING",
    ],
    ['UNSUPPORTED_SQL', 'DELETE FROM patients WHERE CURRENT OF visits'],
    ['UNDEFINED_TABLE', 'DELETE FROM patients USING ⟦visits'],
    ['UNDEFINED_FUNCTION', 'SELECT ⟦no_such_function(10)'],
    ['INVALID_ARGUMENT', "SELECT 1; ⟦DELETE FROM patients WHERE name = 'PRIVATE'"],
    ['INVALID_COLUMN_REFERENCE', 'SELECT id FROM patients ORDER BY ⟦2'],
    ['GROUPING_ERROR', 'SELECT ⟦id, count(*) FROM patients'],
  ])('is refused with %s at its place: %s', (code, sql) => unexecuted(code, sql));

  test.each<[ErrorCode, string, SqlParameter[]]>([
    ['NOT_NULL_VIOLATION', 'INSERT INTO patients (id, name) VALUES (3, NULL)', []],
    ['NOT_NULL_VIOLATION', "INSERT INTO patients (name) VALUES ('PRIVATE')", []],
    ['NOT_NULL_VIOLATION', 'UPDATE patients SET name = $1', [null]],
    ['UNIQUE_VIOLATION', "INSERT INTO patients (id, name) VALUES (1, 'PRIVATE')", []],
    [
      'UNIQUE_VIOLATION',
      "INSERT INTO patients (id, name, code) VALUES (3, 'x', 'PRIVATE'), (4, 'y', 'PRIVATE')",
      [],
    ],
    [
      'UNIQUE_VIOLATION',
      "INSERT INTO patients (id, name, code) VALUES (3, 'x', 'b'), (4, 'y', $1)",
      ['a'],
    ],
    ['UNIQUE_VIOLATION', 'UPDATE patients SET id = 7', []],
    ['CHECK_VIOLATION', 'UPDATE patients SET score = 900', []],
    ['STRING_TOO_LONG', "INSERT INTO patients (id, name) VALUES (3, 'PRIVATE name')", []],
    ['NUMERIC_OUT_OF_RANGE', 'UPDATE patients SET score = $1', ['9999.95']],
    ['NUMERIC_OUT_OF_RANGE', 'UPDATE patients SET id = id + 2147483647', []],
    ['DIVISION_BY_ZERO', 'UPDATE patients SET score = id / (id - id)', []],
    ['INVALID_LIMIT', 'SELECT id FROM patients LIMIT $1', [-1]],
    ['INVALID_OFFSET', 'SELECT id FROM patients OFFSET -1', []],
    ['TYPE_MISMATCH', 'UPDATE patients SET born = $1', [5]],
    ['INVALID_TEXT', 'UPDATE patients SET u = $1', ['PRIVATE']],
    ['UNDEFINED_PARAMETER', 'UPDATE patients SET name = $1', []],
    ['UNDEFINED_PARAMETER', 'UPDATE patients SET name = $1', ['a', 'PRIVATE']],
    ['UNDEFINED_PARAMETER', 'UPDATE patients SET name = $2', ['PRIVATE']],
    ['UNDEFINED_PARAMETER', 'UPDATE patients SET name = $0', []],
    ['UNDEFINED_PARAMETER', 'UPDATE patients SET name = $65536', []],
  ])('that no row, value or parameter allows is refused with %s: %s', (code, sql, parameters) =>
    unexecuted(code, sql, parameters),
  );

  test('names table, column and constraint, never the value', async () => {
    const errors = [
      await refused('NOT_NULL_VIOLATION', () =>
        tenant.execute('INSERT INTO patients (id, name) VALUES (3, NULL)'),
      ),
      await refused('STRING_TOO_LONG', () =>
        tenant.execute("UPDATE patients SET name = 'PRIVATE name'"),
      ),
      await refused('CHECK_VIOLATION', () => tenant.execute('UPDATE patients SET score = 900')),
      await refused('UNIQUE_VIOLATION', () =>
        tenant.execute("UPDATE patients SET code = 'PRIVATE'"),
      ),
    ];
    expect(errors.map((error) => error.details)).toEqual([
      { table: 'patients', column: 'name' },
      { table: 'patients', column: 'name' },
      { table: 'patients', constraint: 'patients_score_check' },
      { table: 'patients', constraint: 'patients_code_key', columns: ['code'] },
    ]);
    for (const error of errors) expect(error.message).toMatch(/"patients"/);
  });

  test.each<[ErrorCode, string]>([
    ['DUPLICATE_TABLE', 'CREATE TABLE ⟦patients (id integer)'],
    ['DUPLICATE_COLUMN', 'CREATE TABLE x (a integer, ⟦a integer)'],
    ['INVALID_TABLE_DEFINITION', 'CREATE TABLE x (a integer PRIMARY KEY, b integer ⟦PRIMARY KEY)'],
    ['INVALID_TABLE_DEFINITION', 'CREATE TABLE ⟦x ()'],
    ['UNDEFINED_COLUMN', 'CREATE TABLE x (a integer, CHECK (⟦b > 1))'],
    ['UNSUPPORTED_SQL', 'CREATE TABLE x (a integer ⟦REFERENCES patients ON DELETE CASCADE)'],
    ['UNSUPPORTED_SQL', 'CREATE TABLE x (a ⟦json)'],
    ['UNSUPPORTED_SQL', 'CREATE TABLE x (a ⟦integer[])'],
    ['INVALID_ARGUMENT', 'CREATE TABLE x (a ⟦varchar(0))'],
    ['INVALID_TEXT', "CREATE TABLE x (a integer DEFAULT ⟦'PRIVATE')"],
    ['TYPE_MISMATCH', 'CREATE TABLE x (a integer DEFAULT ⟦true)'],
    ['TYPE_MISMATCH', 'CREATE TABLE x (a integer CHECK (⟦a))'],
    ['UNDEFINED_PARAMETER', 'CREATE TABLE x (a integer DEFAULT ⟦$1)'],
  ])('that defines no table is refused with %s at its place: %s', async (code, marked) => {
    const sql = (prefix + marked).replace('⟦', '');
    const before = { status: db.status(), tables: await tenant.tables() };
    const error = await refused(code, () => tenant.execute(sql));
    expect(error.details['offset'], error.message).toBe((prefix + marked).indexOf('⟦'));
    expect(error.message).not.toContain('PRIVATE');
    expect({ status: db.status(), tables: await tenant.tables() }).toMatchObject({
      tables: before.tables,
      status: { position: before.status.position },
    });
  });

  test.each([undefined, null, 5, {}, ['SELECT 1'], Object('SELECT 1')])(
    'that is no text (%s) is refused',
    async (sql) => {
      const bad = sql as string;
      await refused('INVALID_ARGUMENT', () => tenant.execute(bad));
      await refused('INVALID_ARGUMENT', () => tenant.query(bad));
      await refused('INVALID_ARGUMENT', () => tenant.queryAt(bad, [], 1n));
      await refused('INVALID_ARGUMENT', () => tenant.stream(bad).next());
      await refused('INVALID_ARGUMENT', () => tenant.transaction((tx) => tx.execute(bad)));
    },
  );

  test.each(['', ' ', ';', ';;;', '-- nothing', '/* nothing */', '\n\t'])(
    'that says nothing (%j) is refused',
    async (sql) => {
      await refused('SYNTAX_ERROR', () => tenant.execute(sql));
    },
  );

  test('that is no query is refused where only queries go', async () => {
    for (const sql of [
      'DELETE FROM patients',
      'CREATE TABLE x (a integer)',
      'INSERT INTO patients VALUES (9)',
    ]) {
      await refused('INVALID_ARGUMENT', () => tenant.query(sql));
      await refused('INVALID_ARGUMENT', () => tenant.queryAt(sql, [], 1n));
      await refused('INVALID_ARGUMENT', () => tenant.stream(sql).next());
      await refused('INVALID_ARGUMENT', () => tenant.transaction((tx) => tx.query(sql)));
    }
    expect((await tenant.query('SELECT count(*) FROM patients')).rows).toEqual([{ count: 2n }]);
  });

  test('over the size limit is refused, at the limit it runs', async () => {
    const most = limits.statementBytesMax;
    const padded = (bytes: number): string => `SELECT 1 AS one --${'é'.repeat((bytes - 18) / 2)}`;
    expect(Buffer.byteLength(padded(most))).toBe(most);
    expect((await tenant.query(padded(most))).rows).toEqual([{ one: 1 }]);
    await refused('STATEMENT_TOO_LARGE', () => tenant.query(padded(most + 2)));
    await refused('STATEMENT_TOO_LARGE', () => tenant.execute('x'.repeat(50_000_000)));
  });

  test('over the depth limit is refused, whatever nests; under it, it runs', async () => {
    const nested = (open: string, inner: string, close: string, depth: number): string =>
      `SELECT ${open.repeat(depth)}${inner}${close.repeat(depth)} AS v`;
    expect((await tenant.query(nested('(', '1', ')', limits.statementDepthMax - 5))).rows).toEqual([
      { v: 1 },
    ]);
    for (const sql of [
      nested('(', '1', ')', 100_000),
      nested('NOT ', 'true', '', 100_000),
      nested('- ', '1', '', 100_000),
      nested('CASE WHEN true THEN ', '1', ' END', 20_000),
      nested('coalesce(', '1', ')', 50_000),
      nested('', '1', '::integer', 50_000),
      nested('', "'a'", " || 'a'", 50_000),
      nested('(', '1', '', 100_000),
      `SELECT ${'1 IN ('.repeat(50_000)}1${')'.repeat(50_000)}`,
    ]) {
      const error = await refused('STATEMENT_TOO_COMPLEX', () => tenant.query(sql));
      expect(error.details['offset']).toBeGreaterThan(0);
    }
    // Flat chains are not deep.
    const flat = Array.from({ length: 5_000 }, (_, index) => `id = ${index}`).join(' OR ');
    expect((await tenant.query(`SELECT id FROM patients WHERE ${flat}`)).rows).toHaveLength(2);
    expect((await tenant.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });

  test('with values or keys over the limit is refused, naming the column', async () => {
    const large = 'x'.repeat(limits.valueBytesMax + 1);
    for (const [sql, parameters] of [
      ['UPDATE patients SET code = $1', [large]],
      ['UPDATE patients SET raw = $1', [new Uint8Array(limits.blobBytesMax + 1)]],
      ['UPDATE patients SET "__proto__" = $1 || $1', [large.slice(0, 600_000)]],
    ] as const) {
      const error = await refused('VALUE_TOO_LARGE', () => tenant.execute(sql, parameters));
      expect(error.message.length).toBeLessThan(400);
    }
    const error = await refused('VALUE_TOO_LARGE', () =>
      tenant.execute('INSERT INTO patients (id, name, code) VALUES (3, $1, $2)', [
        'k',
        large.slice(0, 9_000),
      ]),
    );
    expect(error.message).toMatch(/patients/);
    await tenant.execute('CREATE TABLE wide (k text PRIMARY KEY)');
    await refused('VALUE_TOO_LARGE', () =>
      tenant.execute('INSERT INTO wide VALUES ($1)', [large.slice(0, 9_000)]),
    );
    expect((await tenant.query('SELECT count(*) FROM wide')).rows).toEqual([{ count: 0n }]);
  });

  test('that asks for a key longer than any can be finds none, and orders it rightly', async () => {
    await tenant.execute('CREATE TABLE wide (k text PRIMARY KEY, n integer, u text UNIQUE)');
    await tenant.execute("INSERT INTO wide VALUES ('a', 1, 'a'), ('m', 2, 'm'), ('xyz', 3, 'xyz')");
    const long = 'm'.repeat(20_000);
    const keysOf = async (where: string): Promise<unknown> =>
      (await tenant.query(`SELECT k FROM wide WHERE ${where} ORDER BY k`, [long])).rows.map(
        (row) => row['k'],
      );
    expect(await keysOf('k = $1')).toEqual([]);
    expect(await keysOf('u = $1')).toEqual([]);
    expect(await keysOf("k IN ($1, 'a')")).toEqual(['a']);
    expect(await keysOf('k > $1')).toEqual(['xyz']);
    expect(await keysOf('k >= $1')).toEqual(['xyz']);
    expect(await keysOf('k < $1')).toEqual(['a', 'm']);
    expect(await keysOf('k <= $1')).toEqual(['a', 'm']);
    expect(await keysOf("k BETWEEN 'b' AND $1")).toEqual(['m']);
    expect((await tenant.execute('DELETE FROM wide WHERE k > $1', [long])).rowCount).toBe(1);
  });

  test('that changes too much for one command is refused whole', async () => {
    const values = Array.from({ length: 20 }, (_, index) => `(${index + 10}, 'x', $1)`).join(', ');
    await refused('UNIQUE_VIOLATION', () =>
      tenant.execute(`INSERT INTO patients (id, name, code) VALUES ${values}`, ['same']),
    );
    const rows = Array.from({ length: 20 }, (_, index) => `(${index + 10}, 'x', $1)`).join(', ');
    const blob = new Uint8Array(1_000_000);
    await refused('COMMAND_TOO_LARGE', () =>
      tenant.execute(`INSERT INTO patients (id, name, raw) VALUES ${rows}`, [blob]),
    );
    await refused('COMMAND_TOO_LARGE', () =>
      tenant.transaction(async (tx) => {
        for (let id = 10; id < 40; id++)
          await tx.execute("INSERT INTO patients (id, name, raw) VALUES ($1, 'x', $2)", [id, blob]);
      }),
    );
    expect((await tenant.query('SELECT count(*) FROM patients')).rows).toEqual([{ count: 2n }]);
    expect(db.status().poisoned).toBe(false);
  });

  test('in a transaction that records more statement text than a command may have is refused, and the log stays readable', async () => {
    // Each literal grows to a parameter's name, so the recorded text is several times as long.
    const sql = `UPDATE patients SET ok = true WHERE id IN (1${',1'.repeat(8_000)})`;
    await refused('COMMAND_TOO_LARGE', () =>
      tenant.transaction(async (tx) => {
        for (let count = 0; count < 2_000; count++) await tx.execute(sql);
      }),
    );
    await tenant.execute("UPDATE patients SET name = 'after'");
    expect((await db.verify()).findings).toEqual([]);
    await db.close();
    db = await openOn(disk);
    expect(
      (await db.tenant('clinic').query('SELECT DISTINCT name, ok FROM patients')).rows,
    ).toEqual([{ name: 'after', ok: null }]);
  });
});

describe('a tenant', () => {
  test('that does not exist, exists already, or has no name is refused', async () => {
    const db = await openOn(newDisk());
    await db.createTenant('clinic');
    const error = await refused('UNKNOWN_TENANT', () => db.tenant('Clinic'));
    expect(error.message).toMatch(/createTenant/);
    expect((await refused('TENANT_EXISTS', () => db.createTenant('clinic'))).message).toMatch(
      /db\.tenant/,
    );
    const both = await Promise.allSettled([db.createTenant('twice'), db.createTenant('twice')]);
    expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    for (const name of [
      '',
      'x'.repeat(limits.nameBytesMax + 1),
      'é'.repeat(128),
      'a\0b',
      'a\tb',
      '\u007f',
      '\ud800',
      'x\udc00',
      5,
      null,
      undefined,
      {},
      ['clinic'],
    ]) {
      await refused('INVALID_ARGUMENT', () => db.createTenant(name as string));
      await refused('INVALID_ARGUMENT', () => db.tenant(name as string));
    }
    const { position } = db.status();
    expect(db.tenants()).toEqual(['clinic', 'twice']);
    await refused('UNKNOWN_TENANT', () => db.tenant('\ufffd'));
    expect(db.status().position).toBe(position);
    await db.close();
  });
});
