/** ALTER, indexes, foreign keys, views and DROP: now, at every older position, and after each reopening. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ErrorCode, Row, TenantHandle, Verity } from '../../src/database/index.ts';
import { collect, newDisk, openOn, refused } from './support.ts';

let disk = newDisk();
let db: Verity;
let tenant: TenantHandle;

beforeEach(async () => {
  disk = newDisk();
  db = await openOn(disk, { timers: false });
  tenant = await db.createTenant('clinic');
});

afterEach(() => db.close());

async function reopen(): Promise<void> {
  await db.close();
  db = await openOn(disk, { timers: false });
  tenant = db.tenant('clinic');
}

const run = async (sql: string): Promise<bigint> => (await tenant.execute(sql)).position;
const rows = async (sql: string): Promise<Row[]> => (await tenant.query(sql)).rows;
const at = async (sql: string, position: bigint): Promise<Row[]> =>
  (await tenant.queryAt(sql, [], position)).rows;
const fails = (code: ErrorCode, sql: string): Promise<unknown> =>
  refused(code, () => tenant.execute(sql));
/** How the rows are reached. */
const plan = async (sql: string, position?: bigint): Promise<string> => {
  const text = `EXPLAIN ${sql}`;
  const found = position === undefined ? await rows(text) : await at(text, position);
  return found.map((row) => Object.values(row).join(' ')).join('\n');
};
/** A foreign key can be added to a table with rows only if an index of its columns is complete. */
const needsIndex = 'ALTER TABLE t ADD CONSTRAINT self FOREIGN KEY (a) REFERENCES t';

describe('ALTER TABLE', () => {
  test('every position is read through the columns of then, also after a reopening', async () => {
    const states: { position: bigint; rows: Row[] }[] = [];
    for (const sql of [
      'CREATE TABLE t (id integer PRIMARY KEY, a text)',
      `INSERT INTO t VALUES (1, 'x'), (2, 'y')`,
      `ALTER TABLE t ADD COLUMN b integer NOT NULL DEFAULT 7`,
      `INSERT INTO t VALUES (3, 'z', 8)`,
      'ALTER TABLE t RENAME COLUMN a TO c',
      `UPDATE t SET c = 'w' WHERE id = 1`,
      'ALTER TABLE t DROP COLUMN b',
      'ALTER TABLE t ADD b numeric(4,1) DEFAULT 1.25, ADD d boolean',
      'UPDATE t SET d = true WHERE id >= 2',
      'DELETE FROM t WHERE id = 3',
    ]) {
      const position = await run(sql);
      states.push({ position, rows: await rows('SELECT * FROM t ORDER BY id') });
    }
    expect(states.map((state) => state.rows).at(-1)).toEqual([
      { id: 1, c: 'w', b: '1.3', d: null },
      { id: 2, c: 'y', b: '1.3', d: true },
    ]);
    await reopen();
    for (const { position, rows: expected } of states)
      expect(await at('SELECT * FROM t ORDER BY id', position)).toEqual(expected);
    expect(await tenant.tables()).toMatchObject([
      { columns: [{ name: 'id' }, { name: 'c' }, { name: 'b' }, { name: 'd' }] },
    ]);
    const kinds = (await collect(tenant.changes())).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === 'alterTable')).toHaveLength(4);
  });

  test('constraints are checked against the rows that are there, and then against every new one', async () => {
    await run('CREATE TABLE t (id integer PRIMARY KEY, a integer, b integer)');
    await run('INSERT INTO t VALUES (1, 1, 1), (2, 1, NULL)');
    await fails('CHECK_VIOLATION', 'ALTER TABLE t ADD CHECK (a > 1)');
    await fails('UNIQUE_VIOLATION', 'ALTER TABLE t ADD UNIQUE (a)');
    await fails('NOT_NULL_VIOLATION', 'ALTER TABLE t ALTER b SET NOT NULL');
    await fails('NOT_NULL_VIOLATION', 'ALTER TABLE t ADD c integer NOT NULL');
    await run('ALTER TABLE t ADD CONSTRAINT big CHECK (a < 9), ADD CONSTRAINT u UNIQUE (b)');
    await reopen();
    await fails('CHECK_VIOLATION', 'UPDATE t SET a = 9');
    await fails('UNIQUE_VIOLATION', 'INSERT INTO t VALUES (3, 1, 1)');
    await run('ALTER TABLE t DROP CONSTRAINT big, DROP CONSTRAINT u, ALTER a SET DEFAULT 5');
    await run('INSERT INTO t (id, b) VALUES (3, 1)');
    expect(await rows('SELECT a FROM t WHERE id = 3')).toEqual([{ a: 5 }]);
    await fails('UNDEFINED_OBJECT', 'ALTER TABLE t DROP CONSTRAINT u');
    await fails('UNSUPPORTED_SQL', 'ALTER TABLE t DROP CONSTRAINT t_pkey');
    await fails('UNSUPPORTED_SQL', 'ALTER TABLE t ALTER a TYPE bigint');
    expect((await tenant.execute('ALTER TABLE IF EXISTS missing ADD x integer')).rowCount).toBe(0);
  });

  test('a primary key that is added later is one', async () => {
    await run('CREATE TABLE t (a integer, b text)');
    await run(`INSERT INTO t VALUES (1, 'x'), (2, 'y')`);
    await run('ALTER TABLE t ADD PRIMARY KEY (a)');
    await reopen();
    await fails('UNIQUE_VIOLATION', `INSERT INTO t VALUES (1, 'z')`);
    await fails('NOT_NULL_VIOLATION', `INSERT INTO t (b) VALUES ('z')`);
    await fails('INVALID_TABLE_DEFINITION', 'ALTER TABLE t ADD PRIMARY KEY (b)');
    expect(await plan('SELECT b FROM t WHERE a = 1')).toContain('t_pkey');
    expect((await tenant.tables())[0]?.primaryKey).toEqual(['a']);
  });

  test('a transaction that began before a definition changed is run again', async () => {
    await run('CREATE TABLE t (id integer PRIMARY KEY, a text NOT NULL)');
    let attempts = 0;
    await tenant.transaction(async (tx) => {
      attempts += 1;
      await tx.execute(`INSERT INTO t (id, a) VALUES (1, 'x')`);
      if (attempts === 1) await run(`ALTER TABLE t ADD b integer DEFAULT 3`);
    });
    expect(attempts).toBe(2);
    expect(await rows('SELECT * FROM t')).toEqual([{ id: 1, a: 'x', b: 3 }]);
  });
});

describe('indexes', () => {
  test('are made of the rows that are there, kept up to date, and used', async () => {
    await run('CREATE TABLE t (id integer PRIMARY KEY, a integer, b text)');
    await run(`INSERT INTO t VALUES (1, 5, 'x'), (2, 4, NULL), (3, 5, 'y')`);
    const before = await run('CREATE INDEX ON t (a DESC, b)');
    await run(`UPDATE t SET a = 6 WHERE id = 3`);
    await run(`DELETE FROM t WHERE id = 1`);
    await reopen();
    expect(await plan('SELECT id FROM t WHERE a = 6')).toContain('t_a_b_idx');
    expect(await plan('SELECT id FROM t WHERE a = 6', before - 1n)).not.toContain('t_a_b_idx');
    expect(await rows('SELECT id FROM t WHERE a = 6')).toEqual([{ id: 3 }]);
    expect(await rows('SELECT id FROM t WHERE a = 5')).toEqual([]);
    expect(await at('SELECT id FROM t WHERE a = 5', before)).toEqual([{ id: 1 }, { id: 3 }]);
    await run(`INSERT INTO t VALUES (7, NULL, 'n'), (8, 5, NULL), (9, 5, 'a')`);
    expect(await rows('SELECT id FROM t ORDER BY a DESC, b')).toEqual(
      [7, 3, 9, 8, 2].map((id) => ({ id })),
    );
    await fails('DUPLICATE_TABLE', 'CREATE INDEX t_a_b_idx ON t (b)');
    await run('CREATE INDEX IF NOT EXISTS t_a_b_idx ON t (b)');
    await run('DROP INDEX t_a_b_idx');
    expect(await plan('SELECT id FROM t WHERE a = 6')).not.toContain('t_a_b_idx');
    await fails('UNDEFINED_OBJECT', 'DROP INDEX t_a_b_idx');
  });

  test('on many rows are built in steps beside the writers, and are of use when complete', async () => {
    await run('CREATE TABLE t (id integer PRIMARY KEY, a integer)');
    const values = (from: number): string =>
      Array.from({ length: 2_500 }, (_, n) => `(${from + n}, ${(from + n) % 100})`).join(', ');
    await run(`INSERT INTO t VALUES ${values(0)}`);
    let built = false;
    const building = run('CREATE INDEX by_a ON t (a)').then((position) => {
      built = true;
      return position;
    });
    // Rows behind, at and before where the building has come to, while it goes on.
    for (let n = 0; n < 20 && !built; n++) {
      await run(`INSERT INTO t VALUES (${3_000 + n}, 7), (${-1 - n}, 7)`);
      await run(`UPDATE t SET a = 7 WHERE id = ${n * 100 + 1}`);
      await run(`DELETE FROM t WHERE id = ${2_407 - n * 100}`);
    }
    const position = await building;
    const expected = (await rows('SELECT count(*) AS n FROM t WHERE a + 0 = 7'))[0]?.['n'];
    expect(await rows('SELECT count(*) AS n FROM t WHERE a = 7')).toEqual([{ n: expected }]);
    const [begun, completed] = (await collect(tenant.changes()))
      .filter(({ kind }) => kind === 'alterTable')
      .map((change) => plan('SELECT id FROM t WHERE a = 7', change.position));
    expect(await begun).not.toContain('by_a');
    expect(await completed).toContain('by_a');
    // A position in the midst of it has the table without the index.
    expect(await at('SELECT count(*) AS n FROM t WHERE id = 5', position - 2n)).toEqual([
      { n: 1n },
    ]);
    await reopen();
    expect(await rows('SELECT count(*) AS n FROM t WHERE a = 7')).toEqual([{ n: expected }]);
    expect((await db.verify()).ok).toBe(true);
  });

  test('a unique index that the rows stand against is not made, and leaves nothing behind', async () => {
    await run('CREATE TABLE t (id integer PRIMARY KEY, a integer)');
    const values = Array.from({ length: 1_500 }, (_, n) => `(${n}, ${n === 1_400 ? 3 : n})`);
    await run(`INSERT INTO t VALUES ${values.join(', ')}`);
    await fails('UNIQUE_VIOLATION', 'CREATE UNIQUE INDEX u ON t (a)');
    await run('INSERT INTO t VALUES (5000, 3)');
    await run('UPDATE t SET a = -id WHERE a = 3');
    await run('ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)');
    await reopen();
    await fails('UNIQUE_VIOLATION', 'INSERT INTO t VALUES (5001, 4)');
  });

  test('a build that a close interrupts goes on at the next open', async () => {
    await run('CREATE TABLE t (id integer PRIMARY KEY, a integer)');
    const values = Array.from({ length: 3_000 }, (_, n) => `(${n}, ${n % 7})`);
    await run(`INSERT INTO t VALUES ${values.join(', ')}`);
    const building = run('CREATE INDEX by_a ON t (a)').catch((error: unknown) => error);
    await new Promise((resolve) => setImmediate(resolve));
    await reopen();
    expect(await building).toMatchObject({ code: 'CLOSED' });
    await fails('UNSUPPORTED_SQL', needsIndex);
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    await run(needsIndex);
    expect(await rows('SELECT count(*) AS n FROM t WHERE a = 3')).toEqual([{ n: 429n }]);
  });

  test('a row whose key would be too long is refused before it is logged', async () => {
    await run('CREATE TABLE t (id integer PRIMARY KEY, a text)');
    await run('CREATE INDEX ON t (a)');
    await refused('VALUE_TOO_LARGE', () =>
      tenant.execute('INSERT INTO t VALUES (1, $1)', ['x'.repeat(9_000)]),
    );
    await run(`INSERT INTO t VALUES (1, 'short')`);
    await refused('VALUE_TOO_LARGE', () =>
      tenant.execute('UPDATE t SET a = $1', ['x'.repeat(9_000)]),
    );
    expect(await rows('SELECT a FROM t')).toEqual([{ a: 'short' }]);
  });
});

describe('foreign keys', () => {
  beforeEach(async () => {
    await run('CREATE TABLE p (id integer PRIMARY KEY, code text UNIQUE)');
    await run(`INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c')`);
    await run(`CREATE TABLE c (id bigint PRIMARY KEY, p bigint REFERENCES p,
      code text, CONSTRAINT by_code FOREIGN KEY (code) REFERENCES p (code) ON DELETE RESTRICT ON UPDATE RESTRICT)`);
  });

  test('are checked on both sides, at the end of each statement', async () => {
    await run(`INSERT INTO c VALUES (1, 1, 'b'), (2, NULL, NULL)`);
    await reopen();
    await fails('FOREIGN_KEY_VIOLATION', 'INSERT INTO c VALUES (3, 9, NULL)');
    await fails('FOREIGN_KEY_VIOLATION', 'INSERT INTO c VALUES (3, 9999999999, NULL)');
    await fails('FOREIGN_KEY_VIOLATION', `UPDATE c SET code = 'z' WHERE id = 2`);
    await fails('FOREIGN_KEY_VIOLATION', 'DELETE FROM p WHERE id = 1');
    await fails('FOREIGN_KEY_VIOLATION', `UPDATE p SET id = 7 WHERE id = 1`);
    await fails('FOREIGN_KEY_VIOLATION', `UPDATE p SET code = 'z' WHERE id = 2`);
    await run(`UPDATE p SET code = 'z' WHERE id = 3`);
    await run('DELETE FROM p WHERE id = 3');
    // NO ACTION looks at the end of the statement: the key is there again, of another row.
    await run('UPDATE p SET id = 3 - id');
    await fails(
      'FOREIGN_KEY_VIOLATION',
      `UPDATE p SET code = CASE code WHEN 'a' THEN 'b' ELSE 'a' END`,
    );
    await run('DELETE FROM c');
    await run('DELETE FROM p');
  });

  test('of a table to itself: rows may refer to each other and go together', async () => {
    await run('CREATE TABLE tree (id integer PRIMARY KEY, up integer REFERENCES tree)');
    await run('INSERT INTO tree VALUES (1, 2), (2, 1), (3, 3), (4, 1)');
    await fails('FOREIGN_KEY_VIOLATION', 'DELETE FROM tree WHERE id = 1');
    await fails('FOREIGN_KEY_VIOLATION', 'UPDATE tree SET id = id + 10');
    await run('UPDATE tree SET id = id + 10, up = up + 10');
    await run('DELETE FROM tree WHERE id <> 13');
    await run('DELETE FROM tree');
  });

  test('hold in transactions that run side by side', async () => {
    await tenant.transaction(async (tx) => {
      await tx.execute('INSERT INTO c VALUES (1, 3, NULL)');
    });
    const child = tenant.transaction(async (tx) => {
      await tx.execute('INSERT INTO c VALUES (2, 2, NULL)');
      await new Promise((resolve) => setImmediate(resolve));
    });
    await tenant.transaction(async (tx) => {
      await tx.execute('DELETE FROM p WHERE id = 2');
    });
    await refused('FOREIGN_KEY_VIOLATION', () => child);
  });

  test('what they rest on cannot be dropped before them', async () => {
    await fails('DEPENDENT_OBJECTS', 'DROP TABLE p');
    await fails('DEPENDENT_OBJECTS', 'ALTER TABLE p DROP COLUMN code');
    await fails('DEPENDENT_OBJECTS', 'ALTER TABLE p DROP CONSTRAINT p_code_key');
    await fails('DEPENDENT_OBJECTS', 'DROP INDEX p_code_key');
    await fails('DEPENDENT_OBJECTS', 'DROP INDEX c_p_idx');
    await run('ALTER TABLE p DROP COLUMN code CASCADE');
    await run(`INSERT INTO c VALUES (1, 1, 'anything')`);
    await fails('FOREIGN_KEY_VIOLATION', 'INSERT INTO c VALUES (2, 9, NULL)');
    await run('DROP TABLE p CASCADE');
    await run('INSERT INTO c VALUES (2, 9, NULL)');
  });

  test('are added to tables with rows if these meet them, with the index that they stand upon', async () => {
    await run('CREATE TABLE d (id integer PRIMARY KEY, p integer)');
    await run('INSERT INTO d VALUES (1, 1), (2, 8)');
    expect(await plan('SELECT id FROM d WHERE p = 1')).toContain('Seq Scan');
    await fails('FOREIGN_KEY_VIOLATION', 'ALTER TABLE d ADD FOREIGN KEY (p) REFERENCES p');
    // It was made, and stays.
    expect(await plan('SELECT id FROM d WHERE p = 1')).toContain('using d_p_idx');
    await run('DELETE FROM d WHERE id = 2');
    await run('ALTER TABLE d ADD FOREIGN KEY (p) REFERENCES p');
    await fails('FOREIGN_KEY_VIOLATION', 'DELETE FROM p WHERE id = 1');
    await run('ALTER TABLE d DROP CONSTRAINT d_p_fkey');
    await run('DELETE FROM p WHERE id = 1');
  });
});

describe('views', () => {
  beforeEach(async () => {
    await run('CREATE TABLE t (id integer PRIMARY KEY, a integer)');
    await run('INSERT INTO t VALUES (1, 10), (2, 20)');
  });

  test('are read as the query they stand for, now and then, and keep their columns', async () => {
    const made = await run('CREATE VIEW big (key, twice) AS SELECT id, a * 2 FROM t WHERE a > 5');
    await run('CREATE VIEW everything AS SELECT * FROM t');
    await run('ALTER TABLE t ADD b text DEFAULT $$x$$');
    await run('UPDATE t SET a = 1 WHERE id = 2');
    await reopen();
    expect(await rows('SELECT * FROM big')).toEqual([{ key: 1, twice: 20 }]);
    expect(await at('SELECT key FROM big ORDER BY key', made)).toEqual([{ key: 1 }, { key: 2 }]);
    expect(await rows('SELECT * FROM everything ORDER BY id')).toEqual([
      { id: 1, a: 10 },
      { id: 2, a: 1 },
    ]);
    await run('CREATE OR REPLACE VIEW everything AS SELECT id, a, 1 AS one FROM t');
    expect(await rows('SELECT * FROM everything WHERE id = 1')).toEqual([{ id: 1, a: 10, one: 1 }]);
    expect((await tenant.tables()).map(({ name }) => name)).toEqual(['t']);
    await fails('INVALID_TABLE_DEFINITION', 'CREATE OR REPLACE VIEW everything AS SELECT a FROM t');
    await fails(
      'INVALID_TABLE_DEFINITION',
      'CREATE OR REPLACE VIEW everything AS SELECT id, a, one FROM everything',
    );
    await fails('DUPLICATE_TABLE', 'CREATE VIEW t AS SELECT 1 AS x');
    await fails('UNDEFINED_COLUMN', 'CREATE VIEW v AS SELECT missing FROM t');
    await fails('WRONG_OBJECT_TYPE', 'DROP TABLE big');
    await fails('WRONG_OBJECT_TYPE', 'DROP VIEW t');
    await fails('UNSUPPORTED_SQL', 'INSERT INTO big VALUES (1, 2)');
    await fails('WRONG_OBJECT_TYPE', 'CREATE INDEX ON big (key)');
  });

  test('hold what they read in place', async () => {
    await run('CREATE VIEW v AS SELECT id, a FROM t');
    await run('CREATE VIEW w AS SELECT id FROM v');
    await fails('DEPENDENT_OBJECTS', 'ALTER TABLE t DROP COLUMN a');
    await fails('DEPENDENT_OBJECTS', 'ALTER TABLE t RENAME COLUMN a TO z');
    await fails('DEPENDENT_OBJECTS', 'ALTER TABLE t RENAME TO z');
    await fails('DEPENDENT_OBJECTS', 'DROP TABLE t');
    await fails('DEPENDENT_OBJECTS', 'DROP VIEW v');
    const last = await run('DROP VIEW w, v');
    await fails('UNDEFINED_TABLE', 'DROP VIEW v');
    await run('DROP VIEW IF EXISTS v, w');
    await reopen();
    await refused('UNDEFINED_TABLE', () => tenant.query('SELECT * FROM v'));
    expect(await at('SELECT * FROM w ORDER BY id', last - 1n)).toEqual([{ id: 1 }, { id: 2 }]);
    await run('CREATE VIEW v AS SELECT id FROM t');
    await run('DROP TABLE t CASCADE');
    await refused('UNDEFINED_TABLE', () => tenant.query('SELECT * FROM v'));
  });
});

describe('DROP TABLE', () => {
  test('takes tables away, but not their past; the name is free for another', async () => {
    await run('CREATE TABLE t (id integer PRIMARY KEY, a text)');
    await run('CREATE INDEX i ON t (a)');
    const position = await run(`INSERT INTO t VALUES (1, 'x')`);
    await run('CREATE TABLE u (id integer)');
    await fails('UNDEFINED_TABLE', 'DROP TABLE t, missing');
    expect(await rows('SELECT * FROM t')).toHaveLength(1);
    await run('DROP TABLE IF EXISTS t, missing, u');
    await refused('UNDEFINED_TABLE', () => tenant.query('SELECT * FROM t'));
    await run('CREATE TABLE t (i integer UNIQUE)');
    await run('CREATE INDEX i ON t (i DESC)');
    await run('INSERT INTO t VALUES (5)');
    await reopen();
    expect(await at(`SELECT * FROM t WHERE a = 'x'`, position)).toEqual([{ id: 1, a: 'x' }]);
    expect(await rows('SELECT * FROM t')).toEqual([{ i: 5 }]);
    const kinds = (await collect(tenant.changes())).map(({ kind, table }) => `${kind} ${table}`);
    expect(kinds).toEqual([
      'createTable t',
      'alterTable t',
      'insert t',
      'createTable u',
      'dropTable t',
      'dropTable u',
      'createTable t',
      'alterTable t',
      'insert t',
    ]);
  });
});
