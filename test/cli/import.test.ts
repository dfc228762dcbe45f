import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import {
  clinicFolder,
  type Document,
  verity,
  verityJsonHere,
  Workspace,
} from './verity-command.ts';

const workspace = new Workspace();
afterAll(() => workspace.remove());
const directory = workspace.database();

async function query(tenant: string, sql: string): Promise<Document> {
  const { exitCode, document } = await verityJsonHere([
    'sql',
    directory,
    '--tenant',
    tenant,
    '-c',
    sql,
  ]);
  expect(exitCode).toBe(0);
  return document.results[0].rows;
}

test('the clinical files go into typed tables with primary keys, with plain progress lines', async () => {
  const files = readdirSync(clinicFolder).filter((name) => name.endsWith('.csv'));
  const args = [
    'import',
    directory,
    '--tenant',
    'clinic',
    '--actor',
    'admin',
    ...files.map((name) => join(clinicFolder, name)),
  ];
  const { exitCode, stdout, stderr } = verity(args);
  expect(exitCode).toBe(0);
  expect(stdout).toContain('patients: 27 rows (new table, 25 columns, primary key id), position ');
  expect(stdout).toContain(
    'observations: 990 rows (new table, 9 columns, no primary key), position ',
  );
  expect(stderr).toMatch(/^patients\.csv: 27 of 27 rows, [\d,]+ rows\/s$/m);
  expect(await query('clinic', 'SELECT count(*) AS n FROM claims_transactions')).toEqual([
    { n: 5228 },
  ]);
  const [patient] = await query(
    'clinic',
    "SELECT id, birthdate, deathdate, zip, lat FROM patients WHERE ssn = '999-17-5017'",
  );
  expect(patient).toEqual({
    id: '3edac2e3-d223-6fae-d515-daf96ef6bc76',
    birthdate: '2014-10-06',
    deathdate: null,
    zip: '02155',
    lat: '42.36877442769006',
  });
  const { document } = await verityJsonHere([
    'history',
    directory,
    '--tenant',
    'clinic',
    'patients',
    patient.id,
  ]);
  expect(document.changes).toMatchObject([
    { kind: 'insert', actor: 'admin', reason: 'import of patients.csv' },
  ]);
});

test('--json tells file, table, columns with types, key and rows, and shows no progress', async () => {
  const content =
    '\ufeffId,Name,ZIP,Paid,When,Cost,Big,Ok\n' +
    '1,"Müller, ""Jo""\nline two",02138,2024-01-02,2024-01-02T03:04:05.000006Z,1.50,2147483648,true\n2,,,,,-3,,false\n';
  const file = workspace.file('People 2024.csv', content);
  const result = verity(['import', directory, '--tenant', 'shop', '--json', file]);
  expect([result.exitCode, result.stderr]).toEqual([0, '']);
  expect(JSON.parse(result.stdout)).toEqual({
    tenant: 'shop',
    files: [
      {
        file,
        table: 'people_2024',
        created: true,
        primaryKey: ['id'],
        rows: 2,
        position: expect.any(Number),
        seconds: expect.any(Number),
        columns: [
          { name: 'id', type: 'integer' },
          { name: 'name', type: 'text' },
          { name: 'zip', type: 'text' },
          { name: 'paid', type: 'date' },
          { name: 'when', type: 'timestamptz' },
          { name: 'cost', type: 'numeric' },
          { name: 'big', type: 'bigint' },
          { name: 'ok', type: 'boolean' },
        ],
      },
    ],
  });
  expect(await query('shop', 'SELECT * FROM people_2024 ORDER BY id')).toEqual([
    {
      id: 1,
      name: 'Müller, "Jo"\nline two',
      zip: '02138',
      paid: '2024-01-02',
      when: '2024-01-02T03:04:05.000006Z',
      cost: '1.50',
      big: 2147483648,
      ok: true,
    },
    { id: 2, name: null, zip: null, paid: null, when: null, cost: '-3', big: null, ok: false },
  ]);
});

test('a bad row names file, line and column, and nothing of any file is loaded', async () => {
  const good = workspace.file('good.csv', 'id\n1\n');
  const bad = workspace.file('bad.csv', 'id,name\n1,x\n2,"y\nz",surplus\n');
  const { exitCode, stderr } = verity(['import', directory, '--tenant', 'careful', good, bad]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`error: ${bad}, line 4, column 3: the row has 3 fields, the header 2.`);
  expect(stderr).toContain('[IMPORT_INVALID]');
  expect((await verityJsonHere(['status', directory])).document.tenants).not.toContain('careful');
});

test('rows go into a table that exists, or all are refused', async () => {
  const sql =
    'CREATE TABLE visits (id integer PRIMARY KEY, code varchar(3) UNIQUE, paid numeric(6,2) CHECK (paid >= 0))';
  verity([
    'sql',
    directory,
    '--tenant',
    'exist',
    '-c',
    `${sql}; INSERT INTO visits VALUES (1, 'AAA', 5)`,
  ]);
  const load = (name: string, content: string): ReturnType<typeof verityJsonHere> =>
    verityJsonHere([
      'import',
      directory,
      '--tenant',
      'exist',
      '--table',
      'Visits',
      workspace.file(name, content),
    ]);
  const place = async (content: string): Promise<[string, number, string | undefined]> => {
    const { document } = await load('rows.csv', content);
    return [document.error.code, document.error.details.line, document.error.details.name];
  };
  expect((await place('id,code\n2,BBB\n1,CCC\n')).slice(0, 2)).toEqual(['IMPORT_INVALID', 3]);
  expect((await place('id,code\n2,BBB\n3,AAA\n')).slice(0, 2)).toEqual(['IMPORT_INVALID', 3]);
  expect((await place('id,paid\n2,1\n3,-1\n')).slice(0, 2)).toEqual(['IMPORT_INVALID', 3]);
  expect((await place('code\nBBB\n')).slice(0, 2)).toEqual(['IMPORT_INVALID', 2]);
  expect(await place('id,code\n2,BBBB\n')).toEqual(['IMPORT_INVALID', 2, 'code']);
  expect(await place('id,paid\n2,1.999\n')).toEqual(['IMPORT_INVALID', 2, 'paid']);
  expect(await place('id,price\n2,1\n')).toEqual(['IMPORT_INVALID', 1, 'price']);
  expect(await query('exist', 'SELECT count(*) AS n FROM visits')).toEqual([{ n: 1 }]);
  expect(await load('more.csv', 'paid,id\n1.5,2\n,3\n')).toMatchObject({
    exitCode: 0,
    document: { files: [{ created: false, rows: 2 }] },
  });
  expect(
    await query('exist', 'SELECT id, code, paid FROM visits WHERE id > 1 ORDER BY id'),
  ).toEqual([
    { id: 2, code: null, paid: '1.50' },
    { id: 3, code: null, paid: null },
  ]);
});

test('--table and --primary-key choose table and key', async () => {
  const file = workspace.file('keyed.csv', 'Code,Order\nb,1\na,2\n');
  const args = [
    'import',
    directory,
    '--tenant',
    'shop',
    '--table',
    '"Price List"',
    '--primary-key',
    'CODE',
    file,
  ];
  expect((await verityJsonHere(args)).document.files[0]).toMatchObject({
    table: 'Price List',
    primaryKey: ['code'],
  });
  expect(await query('shop', `SELECT "order" FROM "Price List" WHERE code = 'a'`)).toEqual([
    { order: 2 },
  ]);
  expect(verity([...args, file]).exitCode).toBe(2);
});

test('a missing file fails and creates nothing', async () => {
  const { exitCode, document } = await verityJsonHere([
    'import',
    directory,
    '--tenant',
    'none',
    workspace.path('absent.csv'),
  ]);
  expect([exitCode, document.error.code]).toEqual([1, 'IO_ERROR']);
  expect((await verityJsonHere(['status', directory])).document.tenants).not.toContain('none');
});
