/** Rows with their proofs: what an honest database proves, and that nothing else is believed of a dishonest one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keys, type TenantHandle, Verity } from '../../src/database/index.ts';
import { type ReceiptResult, verifyReceipt } from '../../src/receipt/index.ts';

let folder: string;
let db: Verity;
let clinic: TenantHandle;
let vkey: string;
const insert = 'INSERT INTO patients VALUES ($1, $2, $3)';
const select = 'SELECT id, name FROM patients WHERE id = $1';

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'verity-state-proofs-'));
  await keys.generateFile(join(folder, 'key'));
  db = await open();
  clinic = await db.createTenant('clinic');
  await clinic.execute('CREATE TABLE patients (id integer PRIMARY KEY, name text, weight numeric)');
  await clinic.execute('CREATE TABLE empty (a text, b date, PRIMARY KEY (a, b))');
  const other = await db.createTenant('other');
  await other.execute('CREATE TABLE patients (id integer PRIMARY KEY, name text, weight numeric)');
  await other.execute(insert, [7, 'a stranger', null]);
  const values = Array.from({ length: 100 }, (_, id) => `(${id}, 'patient ${id}', ${id}.5)`);
  await clinic.execute(`INSERT INTO patients VALUES ${values.join()}`);
  ({ vkey } = db.keys.exportPublic());
});

afterEach(async () => {
  await db.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(options: { readonly readOnly?: boolean } = {}): Promise<Verity> {
  const masterKey = keys.fromFile(join(folder, 'key'));
  return Verity.open(join(folder, 'data'), { masterKey, ...options });
}

const check = (proof: string): ReceiptResult => verifyReceipt(proof, { keys: [vkey] });

/** What the proof shows: the rows by their keys, with null where there is none. */
function shown(proof: string): unknown {
  const result = check(proof);
  if (!result.ok) throw new Error(`${result.check}: ${result.message}`);
  return result.receipt.state?.map(({ key, row }) => [key, row ?? null]);
}

describe('an honest database proves', () => {
  test('rows that are there, and that others are not', async () => {
    const sql = 'SELECT name FROM patients WHERE id IN (3, 200, 1) ORDER BY id';
    const { rows, proof, position } = await clinic.query(sql, [], { prove: true });
    expect(rows).toEqual([{ name: 'patient 1' }, { name: 'patient 3' }]);
    const row = (id: number): unknown => ({ id, name: `patient ${id}`, weight: `${id}.5` });
    expect(new Map(shown(proof) as [])).toEqual(
      new Map([
        [{ id: 3 }, row(3)],
        [{ id: 200 }, null],
        [{ id: 1 }, row(1)],
      ]),
    );
    const { receipt } = check(proof) as Extract<ReceiptResult, { ok: true }>;
    expect(receipt.tenant).toMatchObject({ name: 'clinic' });
    expect(BigInt(receipt.checkpoint.statePosition ?? 0)).toBe(position);
  });

  test('that a table without rows has none', async () => {
    const sql = "SELECT * FROM empty WHERE a = $1 AND b = '2026-01-02'";
    const { rows, proof } = await clinic.query(sql, ['x'], { prove: true, rowMode: 'array' });
    expect(rows).toEqual([]);
    expect(shown(proof)).toEqual([[{ a: 'x', b: '2026-01-02' }, null]]);
  });

  test('what a row is now, not what it was; and what was proved stays proved of then', async () => {
    const first = await clinic.query(select, [7], { prove: true });
    await clinic.execute("UPDATE patients SET name = 'renamed' WHERE id = 7");
    const second = await clinic.query(select, [7], { prove: true });
    await clinic.execute('DELETE FROM patients WHERE id = 7');
    const third = await clinic.query(select, [7], { prove: true });
    expect(third.rows).toEqual([]);
    const names = [first, second, third].map(({ proof }) => {
      const [[, row]] = shown(proof) as [[unknown, { name: string } | null]];
      return row?.name ?? null;
    });
    expect(names).toEqual(['patient 7', 'renamed', null]);
  });

  test('the same after a restart, from a rebuilt store and to who only reads', async () => {
    // Enough of a log that the store is on the disk.
    for (let id = 500; id < 503; id++)
      await clinic.execute(insert, [id, 'x'.repeat(500_000), null]);
    await clinic.execute("UPDATE patients SET name = 'once more' WHERE id = 8");
    const { proof } = await clinic.query(select, [8], { prove: true });
    const expected = shown(proof);
    await db.close();
    db = await open({ readOnly: true });
    clinic = db.tenant('clinic');
    expect(shown((await clinic.query(select, [8], { prove: true })).proof)).toEqual(expected);
    await db.close();
    db = await open();
    expect(db.status().store.replayedFrames).toBe(0);
    clinic = db.tenant('clinic');
    expect(shown((await clinic.query(select, [8], { prove: true })).proof)).toEqual(expected);
    await db.close();
    rmSync(join(folder, 'data', 'store'), { recursive: true });
    db = await open();
    clinic = db.tenant('clinic');
    expect(shown((await clinic.query(select, [8], { prove: true })).proof)).toEqual(expected);
    await db.rebuildStore();
    await clinic.execute(insert, [300, 'new', null]);
    expect(shown((await clinic.query(select, [8], { prove: true })).proof)).toEqual(expected);
    expect((await db.verify()).ok).toBe(true);
  });

  test('rows beside constant writes, each of one state, and many with one checkpoint', async () => {
    let isOver = false;
    const written = Array.from({ length: 8 }, async (_, writer) => {
      for (let round = 0; !isOver; round++) {
        await clinic.execute(insert, [1_000 + 1_000 * writer + round, 'new', null]);
        await clinic.execute('UPDATE patients SET weight = weight + 1 WHERE id = $1', [writer]);
      }
    });
    const before = db.proofs.list().length;
    for (let round = 0; round < 4; round++) {
      const asked = Array.from({ length: 16 }, (_, index) => (index * 61) % 120);
      const results = await Promise.all(
        asked.map((id) =>
          clinic.query('SELECT * FROM patients WHERE id = $1', [id], { prove: true }),
        ),
      );
      for (const [index, { rows, proof }] of results.entries())
        expect(shown(proof)).toEqual([[{ id: asked[index] }, rows[0] ?? null]]);
    }
    isOver = true;
    await Promise.all(written);
    expect(db.proofs.list().length - before).toBeLessThanOrEqual(12);
  });

  test('rows of tables that show single columns, that hold large values, and whose definition changes meanwhile', async () => {
    await clinic.execute(
      "CREATE TABLE files (id integer PRIMARY KEY, body text) WITH (disclosure = 'field')",
    );
    await clinic.execute('CREATE TABLE later (id integer PRIMARY KEY, body text)');
    await clinic.execute('INSERT INTO files VALUES (1, $1)', ['small']);
    await clinic.execute('INSERT INTO later VALUES (1, $1)', ['x'.repeat(2_000_000)]);
    const files = await clinic.query('SELECT * FROM files WHERE id IN (1, 2)', [], { prove: true });
    expect(shown(files.proof)).toEqual([
      [{ id: 1 }, { id: 1, body: 'small' }],
      [{ id: 2 }, null],
    ]);
    // What the query does not read is not shown.
    const ids = await clinic.query('SELECT id + 1 AS next FROM files WHERE id = 1', [], {
      prove: true,
    });
    expect(shown(ids.proof)).toEqual([[{ id: 1 }, { id: 1 }]]);
    expect(ids.proof).not.toContain(Buffer.from('small').toString('base64').slice(0, 6));
    const [absent, present] = await Promise.all([
      clinic.query('SELECT * FROM later WHERE id = 2', [], { prove: true }),
      clinic.query('SELECT length(body) AS n FROM later WHERE id = 1', [], { prove: true }),
      clinic.execute('ALTER TABLE later ADD COLUMN note text'),
    ]);
    expect(shown(absent.proof)).toEqual([[{ id: 2 }, null]]);
    expect(present.rows).toEqual([{ n: 2_000_000 }]);
    expect(shown(present.proof)).toEqual([[{ id: 1 }, expect.anything()]]);
    await clinic.execute('DROP TABLE later');
    await clinic.execute('CREATE TABLE later (id integer PRIMARY KEY)');
    const again = await clinic.query('SELECT * FROM later WHERE id = 1', [], { prove: true });
    expect(shown(again.proof)).toEqual([[{ id: 1 }, null]]);
  });

  test('nothing but rows of now, by their keys, and signs nothing for it', async () => {
    const { position } = db.status();
    const refused = { code: 'UNSUPPORTED_SQL', sqlState: '0A000' };
    for (const sql of [
      'SELECT * FROM patients',
      "SELECT * FROM patients WHERE name = 'patient 7'",
      'SELECT * FROM patients WHERE id = 7 AS OF POSITION 3',
      'EXPLAIN SELECT * FROM patients WHERE id = 7',
    ])
      await expect(clinic.query(sql, [], { prove: true })).rejects.toMatchObject(refused);
    const options = { prove: true } as object;
    await expect(clinic.queryAt(select, [7], 3n, options)).rejects.toMatchObject(refused);
    await expect(clinic.stream(select, [7], options).next()).rejects.toMatchObject(refused);
    const none = { code: 'INVALID_ARGUMENT' };
    await expect(clinic.query(select, [null], { prove: true })).rejects.toMatchObject(none);
    expect(db.status().position).toBe(position);
  });
});

type Json = null | string | number | Json[] | { [name: string]: Json };

describe('of a dishonest one nothing is believed', () => {
  /** A receipt of these keys, as JSON. */
  async function receiptOf(ids: readonly number[]): Promise<{ [name: string]: Json }> {
    const sql = `SELECT * FROM patients WHERE id IN (${ids.join()})`;
    const { proof } = await clinic.query(sql, [], { prove: true });
    expect(check(proof).ok).toBe(true);
    return JSON.parse(proof) as { [name: string]: Json };
  }

  /** The check that refuses it. What is not refused must be so: a change may make the proof one of another key. */
  const refusedBy = (receipt: Json, names: ReadonlyMap<number, string> = new Map()): string => {
    const text = JSON.stringify(receipt);
    const result = check(text);
    if (!result.ok) return result.check;
    for (const [{ id }, row] of shown(text) as [{ id: number }, { name: string } | null][]) {
      const name = id >= 0 && id < 100 ? (names.get(id) ?? `patient ${id}`) : undefined;
      expect(row?.name).toBe(name);
    }
    return 'holds';
  };

  test('a row that is left out, that is stale, or that stands for another', async () => {
    const before = await receiptOf([7, 8]);
    await clinic.execute("UPDATE patients SET name = 'renamed' WHERE id = 7");
    const now = await receiptOf([7, 8]);
    const [first, second] = now['events'] as Json[];
    const names = new Map([[7, 'renamed']]);
    const of = (changes: { [name: string]: Json }): string =>
      refusedBy({ ...now, ...changes }, names);
    expect(of({})).toBe('holds');
    // The hashes of the tree are those of the events that are shown, so leaving one out shows there first.
    expect(of({ events: [first as Json] })).toBe('inclusion');
    expect(of({ events: [second as Json, first as Json] })).toBe('leaves');
    expect(of({ events: before['events'] as Json })).toBe('inclusion');
    expect(of({ state: before['state'] as Json })).toBe('state');
    const [seven, eight] = now['state'] as Json[];
    expect(of({ state: [seven as Json] })).toBe('state');
    expect(of({ state: [seven as Json, seven as Json] })).toBe('state');
    expect(of({ state: [] })).toBe('state');
    const absent = await receiptOf([200]);
    expect(of({ state: [seven as Json, eight as Json, ...(absent['state'] as Json[])] })).toBe(
      'holds',
    );
    // The absence of a row that is there, by the way to one that is not: unless that ends in its own bucket.
    const { key } = seven as { [name: string]: Json };
    let refused = 0;
    for (const id of [200, 201, 202, 203, 204, 205, 206, 207]) {
      const [none] = (await receiptOf([id]))['state'] as { [name: string]: Json }[];
      if (of({ state: [{ ...none, key } as Json, eight as Json] }) === 'state') refused += 1;
      expect(refusedBy({ ...absent, state: [{ ...none, key } as Json] }, names)).toBe('state');
    }
    expect(refused).toBeGreaterThan(3);
  });

  test('a proof under another salt, table or tenant', async () => {
    const receipt = await receiptOf([7]);
    const [proof] = receipt['state'] as { [name: string]: Json }[];
    const with_ = (changes: { [name: string]: Json | undefined }): string => {
      const changed = Object.entries({ ...proof, ...changes }).filter(
        ([, value]) => value !== undefined,
      );
      return refusedBy({ ...receipt, state: [Object.fromEntries(changed) as Json] });
    };
    expect(with_({})).toBe('holds');
    expect(with_({ salt: Buffer.alloc(32).toString('base64') })).toBe('state');
    expect(with_({ table: (proof?.['table'] as number) + 1 })).toBe('state');
    // The same table of the other tenant, and one that is not there at all.
    expect(with_({ tenant: (proof?.['tenant'] as number) + 1 })).toBe('state');
    expect(with_({ rows: undefined, salt: undefined })).toBe('state');
    expect(with_({ rows: undefined, salt: undefined, table: 999 })).toBe('state');
    expect(with_({ rows: undefined })).toBe('format');
  });

  test('a state that is changed anywhere', async () => {
    const receipt = await receiptOf([7, 200]);
    let changed = 0;
    let held = 0;
    for (const state of changesOf(receipt['state'] as Json)) {
      if (refusedBy({ ...receipt, state }) !== 'holds') changed += 1;
      else held += 1;
    }
    // One proof left out, or of a key that the same way proves, too.
    expect(held).toBeLessThan(20);
    expect(changed).toBeGreaterThan(300);
  });
});

/** A JSON with one part of it changed, left out or doubled; every part of it. */
function* changesOf(json: Json): Generator<Json> {
  if (typeof json === 'number') {
    yield json + 1;
    yield json - 1;
    yield json ^ 1;
    yield json ^ 8;
  } else if (typeof json === 'string') {
    const bytes = Buffer.from(json, 'base64');
    for (let at = 0; at < bytes.length; at += Math.max(1, bytes.length >> 4)) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] as number) ^ 1;
      yield copy.toString('base64');
    }
    yield bytes.subarray(1).toString('base64');
    if (bytes.length % 64 === 0) yield bytes.subarray(64).toString('base64');
  } else if (Array.isArray(json)) {
    for (const [index, part] of json.entries()) {
      yield json.toSpliced(index, 1);
      yield json.toSpliced(index, 0, part);
      for (const changed of changesOf(part)) yield json.with(index, changed);
    }
    if (json.length > 1 && JSON.stringify(json[0]) < '{') yield json.toReversed();
  } else if (json !== null) {
    for (const [name, part] of Object.entries(json)) {
      yield Object.fromEntries(Object.entries(json).filter(([each]) => each !== name));
      for (const changed of changesOf(part)) yield { ...json, [name]: changed };
    }
  }
}
