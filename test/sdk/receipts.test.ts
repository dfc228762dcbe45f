/** Receipts of a real database: made by its tenants, checked with nothing but its verifier key. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type TenantHandle, Verity } from '../../src/database/index.ts';
import { parseVkey } from '../../src/proof/index.ts';
import { type ReceiptFacts, tlogProofs, verifyReceipt } from '../../src/receipt/index.ts';

let db: Verity;
let clinic: TenantHandle;
let keys: string[];

beforeAll(async () => {
  db = await Verity.open(':memory:');
  clinic = await db.createTenant('clinic');
  await clinic.execute('CREATE TABLE patients (id integer PRIMARY KEY, name text, born date)');
  keys = [db.keys.exportPublic().vkey];
});
afterAll(() => db.close());

function shown(receipt: string): ReceiptFacts {
  const result = verifyReceipt(receipt, { keys });
  if (!result.ok) throw new Error(`${result.check}: ${result.message}`);
  return result.receipt;
}

const write = async (sql: string, parameters: readonly (string | number)[] = []): Promise<bigint> =>
  (await clinic.execute(sql, parameters, { actor: 'dr. jones', reason: 'test' })).position;

test('the verifier key is one, and of the name of the log', () => {
  expect(() => parseVkey((bytes) => bytes, 'x')).toThrow();
  expect(keys[0]).toMatch(/^[^+]+\+[0-9a-f]{8}\+/);
});

test('a position is shown by column names, with what was there before and who did it', async () => {
  await write("INSERT INTO patients VALUES (1, 'Anna', '1980-02-29'), (2, 'Ben', NULL)");
  const at = await write('UPDATE patients SET name = $1 WHERE id = 1', ['Anna Maria']);
  const receipt = await clinic.receipt(at);
  expect(shown(receipt)).toMatchObject({
    kind: 'position',
    tenant: { name: 'clinic' },
    leavesBetween: 0,
    commands: [
      {
        position: Number(at),
        actor: 'dr. jones',
        reason: 'test',
        statement: 'UPDATE patients SET name = $1 WHERE id = $2',
        eventCount: 1,
        events: [
          {
            change: 'update',
            table: 'patients',
            key: { id: 1 },
            before: { id: 1, name: 'Anna', born: '1980-02-29' },
            after: { id: 1, name: 'Anna Maria', born: '1980-02-29' },
          },
        ],
      },
    ],
  });
  // The same checkpoint serves again, and the same text is made.
  expect(await clinic.receipt(at)).toBe(receipt);
  expect(tlogProofs(receipt).map(({ proof }) => proof.split('\n')[0])).toContain(
    'c2sp.org/tlog-proof@v1',
  );
});

test('a range shows all its positions; what is left out between them is counted', async () => {
  const from = await write("INSERT INTO patients VALUES (10, 'Cleo', NULL)");
  const other = await db.createTenant('other');
  await other.execute('CREATE TABLE secrets (id integer PRIMARY KEY)');
  const to = await write('DELETE FROM patients WHERE id = 10');
  const facts = shown(await clinic.receipt({ from, to }));
  expect(facts.commands.map(({ position }) => BigInt(position))).toEqual([from, to]);
  expect(facts.leavesBetween).toBeGreaterThan(0);
  expect(JSON.stringify(facts)).not.toContain('secrets');
});

test("a row's history is complete, through deletion and insertion again", async () => {
  await write("INSERT INTO patients VALUES (20, 'Dora', NULL)");
  await write("UPDATE patients SET name = 'Dorothea' WHERE id = 20");
  await write('DELETE FROM patients WHERE id = 20');
  const deleted = shown(await clinic.rowReceipt('patients', [20]));
  expect(deleted.history).toMatchObject({ changes: 3, endProved: false, key: { id: 20 } });
  expect(deleted.state?.[0]).not.toHaveProperty('row');
  await write("INSERT INTO patients VALUES (20, 'Dora', NULL)");
  const again = shown(await clinic.rowReceipt('patients', [20]));
  expect(again.history).toMatchObject({ changes: 4, endProved: true });
  expect(again.state).toMatchObject([{ row: { id: 20, name: 'Dora' } }]);
});

test('the state of a key says which table it is of, whatever that is called', async () => {
  await write('CREATE TABLE accounts (id integer PRIMARY KEY)');
  await write('ALTER TABLE accounts RENAME TO closed');
  await write('CREATE TABLE accounts (id integer PRIMARY KEY)');
  await write('INSERT INTO accounts VALUES (1)');
  const [one, other] = await Promise.all(
    ['accounts', 'closed'].map(async (table) => {
      const query = `SELECT id FROM ${table} WHERE id = 1`;
      const { proof } = await clinic.query(query, [], { prove: true });
      return shown(proof).state?.[0];
    }),
  );
  expect(one).toMatchObject({ table: 'accounts', row: { id: 1 } });
  expect(other).not.toHaveProperty('row');
  expect(other?.object).toBe((one?.object ?? 0) - 1);
});

test('a row that was changed twice by one command has both changes in its history', async () => {
  await clinic.transaction(async (tx) => {
    await tx.execute("INSERT INTO patients VALUES (29, 'Eva', NULL)");
    await tx.execute("INSERT INTO patients VALUES (30, 'Ed', NULL)");
    await tx.execute("UPDATE patients SET name = 'Edward' WHERE id = 30");
  });
  const alone = shown(await clinic.rowReceipt('patients', [30]));
  expect(alone.history).toMatchObject({ changes: 2 });
  expect(alone.commands[0]).not.toHaveProperty('time');
  expect(JSON.stringify(alone)).not.toContain('Eva');
  const withCommands = await clinic.rowReceipt('patients', [30], { commands: true });
  expect(shown(withCommands).commands[0]).toMatchObject({ time: expect.any(String) as string });
});

test('tables that were altered, dropped, without primary key, and streams', async () => {
  await write('CREATE TABLE notes (body text)');
  const at = await write("INSERT INTO notes VALUES ('hello')");
  expect(shown(await clinic.receipt(at)).commands[0]?.events[0]).toMatchObject({
    key: { rowid: expect.any(Number) as number },
    after: { body: 'hello' },
  });
  await write('ALTER TABLE notes ADD COLUMN stars integer DEFAULT 5');
  const later = await write("INSERT INTO notes VALUES ('again', 3)");
  expect(shown(await clinic.receipt(later)).commands[0]?.events[0]).toMatchObject({
    after: { body: 'again', stars: 3 },
  });
  expect(shown(await clinic.receipt(at)).commands[0]?.events[0]).toMatchObject({
    after: { body: 'hello' },
  });
  await write('DROP TABLE notes');
  expect(shown(await clinic.receipt(at)).commands[0]?.events[0]).toMatchObject({ table: 'notes' });
  const { position } = await clinic.append('visits', [{ room: 7 }]);
  expect(shown(await clinic.receipt(position)).commands[0]?.events[0]).toMatchObject({
    change: 'append',
    name: 'visits',
    version: 1,
    data: '{"room":7}',
  });
});

test('of a table with disclosure by field some columns are shown, and the others are neither shown nor guessable', async () => {
  await write(
    "CREATE TABLE visits (id integer PRIMARY KEY, patient text, room integer, note text) WITH (disclosure = 'field')",
  );
  const at = await write("INSERT INTO visits VALUES (1, 'Anna', 7, NULL), (2, 'Ben', 8, 'late')");
  expect(shown(await clinic.receipt(at)).commands[0]?.events).toMatchObject([
    { key: { id: 1 }, after: { id: 1, patient: 'Anna', room: 7, note: null }, withheld: [] },
    { after: { id: 2, patient: 'Ben', room: 8, note: 'late' } },
  ]);
  const part = await clinic.receipt(at, { columns: ['id', 'room'] });
  expect(shown(part).commands[0]?.events).toMatchObject([
    { key: { id: 1 }, after: { id: 1, room: 7 }, withheld: ['patient'] },
    { key: { id: 2 }, after: { id: 2, room: 8 }, withheld: ['patient', 'note'] },
  ]);
  expect(JSON.stringify(shown(part))).not.toContain('Anna');
  const keyless = shown(await clinic.receipt(at, { columns: ['room'] })).commands[0]?.events;
  expect(keyless).toMatchObject([{ after: { room: 7 } }, { after: { room: 8 } }]);
  expect(keyless?.[0]).not.toHaveProperty('key');
  const changed = await write('UPDATE visits SET room = 9 WHERE id = 1');
  const both = shown(await clinic.receipt(changed, { columns: ['id', 'room'] }));
  expect(both.commands[0]?.events).toMatchObject([
    { before: { id: 1, room: 7 }, after: { id: 1, room: 9 }, withheld: ['patient'] },
  ]);
  const hidden = shown(await clinic.receipt(changed, { columns: ['room'] }));
  expect(hidden.commands[0]?.events[0]).not.toHaveProperty('before');
  await write('DELETE FROM visits WHERE id = 1');
  const history = shown(await clinic.rowReceipt('visits', [1], { columns: ['room'] }));
  expect(history.commands.map(({ events }) => events[0])).toMatchObject([
    { key: { id: 1 }, after: { room: 7 } },
    { after: { room: 9 } },
    { change: 'delete' },
  ]);
  await write('ALTER TABLE visits ADD COLUMN paid boolean');
  const answered = await clinic.execute(
    "INSERT INTO visits VALUES (3, 'Cleo', 5, 'x', true) RETURNING patient",
    [],
    { requestId: 'r1' },
  );
  const withAnswer = await clinic.receipt(answered.position, { columns: ['id', 'paid'] });
  expect(shown(withAnswer).commands[0]?.events).toMatchObject([
    { after: { id: 3, paid: true }, withheld: ['patient', 'room', 'note'] },
  ]);
  expect(shown(await clinic.receipt(answered.position)).commands[0]?.events).toMatchObject([
    { after: { id: 3, patient: 'Cleo', room: 5, note: 'x', paid: true }, withheld: [] },
  ]);
});

test('where there is nothing, that is said', async () => {
  await expect(clinic.receipt(999_999n)).rejects.toMatchObject({ code: 'POSITION_UNKNOWN' });
  await expect(clinic.receipt({ from: 5n, to: 4n })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  await expect(clinic.receipt('1' as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(clinic.rowReceipt('patients', [4_711])).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
  await expect(clinic.rowReceipt('nowhere', [1])).rejects.toMatchObject({
    code: 'UNDEFINED_TABLE',
  });
  const at = await write("INSERT INTO patients VALUES (40, 'Fay', NULL)");
  await expect(clinic.receipt(at, { columns: ['id'] })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});

test('a view of intervals is a definition like others', async () => {
  await clinic.execute(
    'CREATE TABLE stays (id integer PRIMARY KEY, came timestamp, went timestamp)',
  );
  const position = await write(
    'CREATE VIEW lengths AS SELECT id, went - came AS length FROM stays',
  );
  expect(shown(await clinic.receipt(position)).commands).toHaveLength(1);
});

test('the commands of a row are shown with the definitions of what else they wrote', async () => {
  await clinic.execute('CREATE TABLE ones (id integer PRIMARY KEY)');
  await clinic.execute('CREATE TABLE twos (id integer PRIMARY KEY)');
  await clinic.transaction(async (tx) => {
    await tx.execute('INSERT INTO ones VALUES (1)');
    await tx.execute('INSERT INTO twos VALUES (1)');
  });
  const receipt = await clinic.rowReceipt('twos', [1], { commands: true });
  expect(shown(receipt).history).toMatchObject({ table: 'twos', changes: 1 });
});

test('what was there before is not shown where the key is withheld', async () => {
  await clinic.execute(
    "CREATE TABLE wards (id integer PRIMARY KEY, name text, floor text) WITH (disclosure = 'field')",
  );
  const from = await write("INSERT INTO wards VALUES (1, 'west', 'first')");
  const to = await write("UPDATE wards SET name = 'east' WHERE id = 1");
  const { commands } = shown(await clinic.receipt({ from, to }, { columns: ['name'] }));
  expect(commands.map(({ events: [event] }) => event)).toMatchObject([
    { change: 'insert', after: { name: 'west' } },
    { change: 'update', after: { name: 'east' } },
  ]);
  expect(commands[1]?.events[0]).not.toHaveProperty('before');
});
