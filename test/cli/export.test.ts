/** `verity export` and the check of what it wrote. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkExport } from '../../src/cli/commands/export.ts';
import { keys, Verity } from '../../src/database/index.ts';
import { verity, verityJson } from './verity-command.ts';

const folder = mkdtempSync(join(tmpdir(), 'veritydb-export-'));
const data = join(folder, 'data');
const keyFile = join(folder, 'data.key');
const origin = 'export.example/clinic';
let vkey: string;
let last: bigint;
/** The last position before the table `fields` was defined, and the first behind its rows. */
let visitsEnd: bigint;
let fieldsEnd: bigint;

beforeAll(async () => {
  await keys.generateFile(keyFile);
  const db = await Verity.open(data, { masterKey: keys.fromFile(keyFile), origin });
  const clinic = await db.createTenant('clinic');
  const other = await db.createTenant('other');
  await clinic.execute(
    'CREATE TABLE visits (id int PRIMARY KEY, note text, cost numeric, old text, at timestamptz)',
  );
  for (let id = 0; id < 60; id++) {
    await clinic.execute('INSERT INTO visits VALUES ($1, $2, 1.50, NULL, now())', [
      id,
      id % 9 === 0 ? '' : `note, "${id}"`,
    ]);
    await other.append('elsewhere', [id]);
  }
  await clinic.execute('DELETE FROM visits WHERE id % 10 = 3');
  await clinic.execute("ALTER TABLE visits ADD COLUMN extra text DEFAULT 'none'");
  await clinic.execute('ALTER TABLE visits DROP COLUMN old');
  ({ position: visitsEnd } = await clinic.execute(
    'CREATE TABLE nobody (a text, b uuid, PRIMARY KEY (a, b))',
  ));
  await clinic.execute(
    "CREATE TABLE fields (id int PRIMARY KEY, secret text) WITH (disclosure = 'field')",
  );
  await clinic.execute('INSERT INTO fields VALUES (1, $1), (2, NULL)', ['hidden']);
  await clinic.execute('INSERT INTO fields VALUES (3, $1)', ['q'.repeat(1_500_000)]);
  ({ position: fieldsEnd } = await clinic.execute('CREATE TABLE gone (id int)'));
  await clinic.execute('INSERT INTO gone VALUES (1)');
  await clinic.execute('DROP TABLE gone');
  await clinic.execute('CREATE TABLE keyless (a text)');
  await clinic.append('orders', [{ item: 'é' }, 2, null]);
  ({ position: last } = await clinic.execute('UPDATE visits SET cost = 2 WHERE id = 8'));
  [vkey] = db.proofs.vkeys() as [string];
  await db.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of the export with proofs. */
function copied(name: string): string {
  const out = join(folder, name);
  cpSync(join(folder, 'whole-jsonl'), out, { recursive: true });
  return out;
}

function exported(name: string, ...args: string[]): string {
  const out = join(folder, name);
  const ran = verity([
    'export',
    data,
    '--key-file',
    keyFile,
    '--tenant',
    'clinic',
    '--out',
    out,
    ...args,
  ]);
  expect(ran.exitCode, ran.stderr).toBe(0);
  return out;
}

const checked = (out: string): ReturnType<typeof verityJson> =>
  verityJson(['check', out, '--key', vkey, '--json']);

function change(out: string, file: string, from: string | RegExp, to: string): void {
  const path = join(out, file);
  const before = readFileSync(path, 'utf8');
  const after = before.replace(from, to);
  expect(after).not.toBe(before);
  writeFileSync(path, after);
}

const fileOf = (out: string, name: string): string =>
  `tables/${readdirSync(join(out, 'tables')).find((file) => file.includes(name))}`;

describe.each(['jsonl', 'csv'])('as %s', (format) => {
  test('everything is there, and checked without the database', () => {
    const out = exported(`whole-${format}`, '--format', format, '--with-proofs');
    const { exitCode, document } = checked(out);
    expect(exitCode).toBe(0);
    expect(document).toMatchObject({
      ok: true,
      export: {
        origin,
        tenant: { name: 'clinic' },
        tables: expect.arrayContaining([
          { name: 'visits', rows: 54 },
          { name: 'nobody', rows: 0 },
          { name: 'fields', rows: 3 },
        ]),
        streams: [{ name: 'orders', events: 3 }],
        tablesNotShown: 0,
      },
    });
    const lines = readFileSync(join(out, fileOf(out, 'visits')), 'utf8').split('\n');
    expect(lines.length).toBe(format === 'csv' ? 56 : 55);
    if (format === 'jsonl')
      expect(JSON.parse(lines[7] as string)).toMatchObject({ id: 8, cost: '2', extra: 'none' });
    else
      expect(lines.slice(0, 2)).toEqual([
        'id,note,cost,at,extra',
        expect.stringMatching(/^0,"",1\.50,/),
      ]);
    expect(readdirSync(join(out, 'blobs'))).toHaveLength(1);
  });
});

describe('an export that was altered', () => {
  const cases: [string, (out: string) => void, string][] = [
    ['a row', (out) => change(out, fileOf(out, 'visits'), '"cost":"2"', '"cost":"3"'), 'row'],
    ['a row left out', (out) => change(out, fileOf(out, 'visits'), /^.*\n/, ''), 'row'],
    [
      'a row more',
      (out) => change(out, fileOf(out, 'fields'), /$/, '{"id":9,"secret":null}\n'),
      'row',
    ],
    [
      'a row of an empty table',
      (out) => change(out, fileOf(out, 'nobody'), /$/, '{"a":"","b":""}\n'),
      'row',
    ],
    ['an event of a stream', (out) => change(out, 'streams/0001-orders.jsonl', 'é', 'e'), 'row'],
    [
      'a table left out of the manifest',
      (out) => change(out, 'manifest.json', '"fields"', '"others"'),
      'row',
    ],
    [
      'a large value',
      (out) => change(out, `blobs/${readdirSync(join(out, 'blobs'))[0]}`, 'qq', 'qr'),
      'row',
    ],
    [
      'a receipt',
      (out) => change(out, 'proofs/events/00000001.json', '"salt":"', '"salt":"A'),
      'format',
    ],
    [
      'a receipt of state of another table',
      (out) => {
        const [first, second] = readdirSync(join(out, 'proofs/state'));
        const text = readFileSync(join(out, 'proofs/state', first as string));
        writeFileSync(join(out, 'proofs/state', second as string), text);
      },
      'state',
    ],
  ];
  test.each(cases)('%s: is refused', (what, alter, check) => {
    const out = copied(what.replaceAll(' ', '-'));
    alter(out);
    expect(checkExport(out, { keys: [vkey] })).toMatchObject({ ok: false, check });
  });

  test('receipts without the newest change of a row, and the row as it was, are refused', () => {
    const out = copied('stale');
    const args = [
      '--key-file',
      keyFile,
      '--tenant',
      'clinic',
      '--from',
      '1',
      '--to',
      String(last - 1n),
    ];
    const older = verity(['receipt', data, ...args]);
    expect(older.exitCode, older.stderr).toBe(0);
    for (const file of readdirSync(join(out, 'proofs/events')))
      rmSync(join(out, 'proofs/events', file));
    writeFileSync(join(out, 'proofs/events/00000001.json'), older.stdout);
    change(out, fileOf(out, 'visits'), '"cost":"2"', '"cost":"1.50"');
    const { exitCode, document } = checked(out);
    expect([exitCode, document]).toMatchObject([3, { ok: false, check: 'state' }]);
  });

  test('that a whole table was left out, with its definition, is told', async () => {
    const out = copied('table-left-out');
    const { tables, ...manifest } = JSON.parse(
      readFileSync(join(out, 'manifest.json'), 'utf8'),
    ) as { readonly tables: readonly { readonly name: string; readonly file: string }[] };
    const kept = tables.filter(({ name }) => name !== 'fields');
    rmSync(join(out, 'proofs/events'), { recursive: true });
    mkdirSync(join(out, 'proofs/events'));
    const ranges = [[1n, visitsEnd] as const, [fieldsEnd, last] as const];
    const db = await Verity.open(data, { masterKey: keys.fromFile(keyFile), readOnly: true });
    for (const [index, [from, to]] of ranges.entries()) {
      const receipt = await db.tenant('clinic').receipt({ from, to });
      writeFileSync(join(out, `proofs/events/0000000${index + 1}.json`), receipt);
    }
    await db.close();
    const { length: receipts } = ranges;
    writeFileSync(
      join(out, 'manifest.json'),
      JSON.stringify({ ...manifest, tables: kept, receipts }),
    );
    // The receipts hold, and what is there is whole.
    expect(checkExport(out, { keys: [vkey] })).toMatchObject({
      ok: true,
      export: { tablesNotShown: 1 },
    });
    const { stdout } = verity(['check', out, '--key', vkey]);
    expect(stdout).toContain('The log has 1 more with rows: of other tenants, or left out.');
  });

  test('another key checks nothing', () => {
    const out = copied('other-key');
    const other = `${origin}+00000000+AQ==`;
    expect(verity(['check', out, '--key', other]).exitCode).toBe(2);
  });
});

test('without proofs there is nothing to check; a directory that is not empty is not written to', () => {
  const out = exported('plain');
  expect(checked(out)).toMatchObject({ exitCode: 3, document: { ok: false, check: 'format' } });
  const args = ['export', data, '--key-file', keyFile, '--tenant', 'clinic', '--out', out];
  expect(verity(args)).toMatchObject({ exitCode: 2 });
  expect(verity([...args.slice(0, -1), join(folder, 'x'), '--tenant', 'nosuch']).exitCode).toBe(1);
  expect(verity(['check', folder, '--key', vkey]).exitCode).toBe(1);
});
