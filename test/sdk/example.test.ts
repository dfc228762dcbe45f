/** The SDK as its documentation shows it, in the order and with the names of the documentation. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keys, type Progress, Verity } from '../../src/database/index.ts';
import { Folder } from './support.ts';

type Patient = {
  readonly id: string;
  readonly name: string;
  readonly born: string | null;
};

let folder: Folder;

beforeEach(() => {
  folder = new Folder();
});

afterEach(() => folder.remove());

describe('the SDK', () => {
  test('works as its documentation shows', async () => {
    await keys.generateFile(folder.at('data.key'));
    const [id, name, born] = ['9d188916-8390-282b-3ec2-73fce6e08649', 'Ada Lovelace', '1815-12-10'];
    const actor = 'dr.berger';
    const reason = 'first visit';
    const requestId = 'request-1';
    const { signal } = new AbortController();
    const timeoutMs = 10_000;
    {
      await using db = await Verity.open(folder.at('data'), {
        masterKey: keys.fromFile(folder.at('data.key')),
      });
      const clinic = await db.createTenant('clinic');
      await clinic.execute(
        'CREATE TABLE patients (id uuid PRIMARY KEY, name text NOT NULL, born date)',
      );
      const { position, rowCount, rows } = await clinic.execute(
        'INSERT INTO patients VALUES ($1,$2,$3)',
        [id, name, born],
        { actor, reason, requestId, signal, timeoutMs },
      );
      expect({ rowCount, rows, type: typeof position }).toEqual({
        rowCount: 1,
        rows: [],
        type: 'bigint',
      });

      const found = await clinic.query<Patient>('SELECT * FROM patients WHERE id = $1', [id]);
      expect(found.rows).toEqual([{ id, name, born }]);
      expect(found.columns).toEqual([
        { name: 'id', type: 'uuid' },
        { name: 'name', type: 'text' },
        { name: 'born', type: 'date' },
      ]);
      expect(found.rows[0]?.name.length).toBe(12);

      await clinic.execute('UPDATE patients SET name = $2 WHERE id = $1', [id, 'Ada King']);
      const then = await clinic.queryAt<Patient>(
        'SELECT * FROM patients WHERE id = $1',
        [id],
        position,
      );
      expect(then).toMatchObject({ rows: [{ name }], position });
      const byDate = await clinic.queryAt<Patient>(
        'SELECT * FROM patients WHERE id = $1',
        [id],
        new Date(Date.now() + 1000),
      );
      expect(byDate.rows).toEqual([{ id, name: 'Ada King', born }]);

      const streamed: unknown[] = [];
      for await (const row of clinic.stream('SELECT * FROM patients')) streamed.push(row);
      expect(streamed).toEqual(byDate.rows);

      await clinic.transaction(async (tx) => {
        await tx.execute('INSERT INTO patients VALUES ($1,$2,$3)', [
          id.replace('9', '8'),
          'Charles Babbage',
          null,
        ]);
        const inside = await tx.query('SELECT count(*) FROM patients');
        expect(inside.rows).toEqual([{ count: 2n }]);
      });

      const appended = await clinic.append('stream', [{ seen: 1 }, { seen: 2 }], {
        expectedVersion: 0,
      });
      expect(appended.version).toBe(2n);
      const events: unknown[] = [];
      for await (const event of clinic.read('stream')) events.push(event.data);
      expect(events).toEqual([{ seen: 1 }, { seen: 2 }]);

      const kinds: string[] = [];
      for await (const change of clinic.changes({ from: position })) kinds.push(change.kind);
      expect(kinds).toEqual(['insert', 'update', 'insert', 'append', 'append']);

      const progress: Progress[] = [];
      const report = await db.verify({ onProgress: (step) => progress.push(step) });
      expect(report).toMatchObject({ ok: true, findings: [] });
      expect(progress.length).toBeGreaterThan(0);
      expect(db.status()).toMatchObject({
        path: folder.at('data'),
        tenants: ['clinic'],
        readOnly: false,
        poisoned: false,
      });
      await db.close();
    }
    await using db = await Verity.open(folder.at('data'), {
      masterKey: keys.fromFile(folder.at('data.key')),
    });
    const again = await db.tenant('clinic').query('SELECT count(*) FROM patients');
    expect(again.rows).toEqual([{ count: 2n }]);
  });

  test("':memory:' needs no key and no directory", async () => {
    await using db = await Verity.open(':memory:');
    const clinic = await db.createTenant('clinic');
    await clinic.execute('CREATE TABLE t (n integer)');
    await clinic.execute('INSERT INTO t VALUES (1)');
    expect((await clinic.query('SELECT n FROM t')).rows).toEqual([{ n: 1 }]);
  });

  test('leaving the block of `await using` closes the database', async () => {
    const left = await (async () => {
      await using db = await Verity.open(':memory:');
      return db;
    })();
    expect(() => left.status()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  });

  test('a key comes from the environment or from a passphrase', async () => {
    const before = process.env['VERITY_MASTER_KEY'];
    process.env['VERITY_MASTER_KEY'] = 'a1'.repeat(32);
    try {
      await (await Verity.open(folder.at('env'), { masterKey: keys.fromEnv() })).close();
      await (
        await Verity.open(folder.at('env'), { masterKey: keys.fromEnv('VERITY_MASTER_KEY') })
      ).close();
    } finally {
      if (before === undefined) delete process.env['VERITY_MASTER_KEY'];
      else process.env['VERITY_MASTER_KEY'] = before;
    }
    const passphrase = (): ReturnType<typeof keys.fromPassphrase> =>
      keys.fromPassphrase('correct horse battery staple');
    await (await Verity.open(folder.at('passphrase'), { masterKey: passphrase() })).close();
    await using again = await Verity.open(folder.at('passphrase'), { masterKey: passphrase() });
    expect(again.status().keySlots).toEqual([{ id: 1, kind: 'passphrase' }]);
  });

  test('a recovery code opens the database when the key is lost', async () => {
    await keys.generateFile(folder.at('data.key'));
    let code: string;
    {
      await using db = await Verity.open(folder.at('data'), {
        masterKey: keys.fromFile(folder.at('data.key')),
      });
      const clinic = await db.createTenant('clinic');
      await clinic.execute('CREATE TABLE t (n integer)');
      code = await db.addRecoveryCode();
    }
    await using db = await Verity.open(folder.at('data'), {
      masterKey: keys.fromRecoveryCode(code.toLowerCase()),
    });
    expect(db.tenants()).toEqual(['clinic']);
  });
});
