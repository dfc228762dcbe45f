/**
 * The verifier in Python (examples/verifier-python), written from docs/format alone, beside ours: receipts of every kind and exports
 * from a real database, and mutated ones. Both say the same of each. Without Python it says so and is skipped.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Prng } from '../../src/base/index.ts';
import { checkExport } from '../../src/cli/commands/export.ts';
import { type TenantHandle, Verity } from '../../src/database/index.ts';
import { type ReceiptFacts, verifyReceipt } from '../../src/receipt/index.ts';

const python = 'python3';
const hasPython =
  spawnSync(python, ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']).status === 0;
if (!hasPython)
  process.stderr.write('The verifier in Python is not tested: there is no Python 3.9 or newer.\n');

const pathOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const mutantsOfEach = 60;

interface PythonResult {
  readonly ok: boolean;
  readonly check?: string;
  readonly message?: string;
  readonly receipt?: Record<string, unknown>;
  readonly export?: Record<string, unknown>;
}

/** What the verifier in Python says of each receipt, and of each export, whose directory is given. */
function checkInPython(
  given: readonly (Uint8Array | string)[],
  keys: readonly string[],
): PythonResult[] {
  const lines = given.map((each) =>
    typeof each === 'string'
      ? JSON.stringify({ export: each, keys })
      : JSON.stringify({ receipt: Buffer.from(each).toString('base64'), keys }),
  );
  const { status, stdout, stderr } = spawnSync(
    python,
    [pathOf('python/check-lines.py'), pathOf('../../examples/verifier-python')],
    { input: `${lines.join('\n')}\n`, encoding: 'utf8', maxBuffer: 1 << 28 },
  );
  expect(status, stderr).toBe(0);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as PythonResult);
}

let db: Verity;
let keys: string[];
const receipts = new Map<string, string>();

async function makeReceipts(clinic: TenantHandle): Promise<void> {
  await clinic.execute(`CREATE TABLE people (
    id integer PRIMARY KEY, name text NOT NULL, born date, seen timestamptz, at timestamp, weight numeric(8, 2), ratio double precision,
    small smallint, big bigint, ok boolean, code uuid, note varchar(40), more jsonb, raw bytea, r real)`);
  await clinic.execute(
    "CREATE TABLE secrets (id bigint PRIMARY KEY, name text, diagnosis text) WITH (disclosure = 'field')",
  );
  const who = { actor: 'dr. jönes', reason: 'intake' };
  const { position: first } = await clinic.execute(
    `INSERT INTO people VALUES (1, 'Anna', '1980-02-29', '2026-01-02 03:04:05.678901+02', '1999-12-31 23:59:59', 63.50, 0.1,
      -7, 9007199254740993, true, '0123abcd-0000-4000-8000-00000000ffff', 'é€😀', '{"a": [1, null, "x"], "b": 1.50}', '\\x00ff', 1.5),
      (2, 'Ben', NULL, NULL, NULL, NULL, 'NaN', NULL, NULL, NULL, NULL, NULL, NULL, NULL, 'Infinity')`,
    [],
    who,
  );
  await clinic.execute(
    "UPDATE people SET name = 'Anna Maria', weight = -0.01 WHERE id = 1",
    [],
    who,
  );
  await clinic.execute('ALTER TABLE people ADD COLUMN city text');
  await clinic.execute("UPDATE people SET city = 'Graz' WHERE id = 1");
  await clinic.execute('DELETE FROM people WHERE id = 2');
  const { position: secret } = await clinic.execute(
    "INSERT INTO secrets VALUES (5, 'Cleo', 'flu')",
  );
  const { position: last } = await clinic.execute(
    "UPDATE secrets SET diagnosis = 'none' WHERE id = 5",
  );
  receipts.set('position', await clinic.receipt(first));
  receipts.set('range', await clinic.receipt({ from: first, to: last }));
  receipts.set('row', await clinic.rowReceipt('people', [1]));
  receipts.set('row that was deleted', await clinic.rowReceipt('people', [2]));
  receipts.set('withheld', await clinic.receipt(secret, { columns: ['id', 'name'] }));
  receipts.set('row, withheld', await clinic.rowReceipt('secrets', [5], { columns: ['id'] }));
  const prove = { prove: true } as const;
  const byId = 'SELECT * FROM people WHERE id IN ($1, $2)';
  receipts.set('state', (await clinic.query(byId, [1, 2], prove)).proof);
  receipts.set(
    'absence',
    (await clinic.query('SELECT * FROM people WHERE id = 77', [], prove)).proof,
  );
  await db.keys.rotateSigningKey();
  await clinic.execute("INSERT INTO people (id, name) VALUES (9, 'Zoë')");
  receipts.set('hand-over', await clinic.rowReceipt('people', [9]));
}

const directory = mkdtempSync(join(tmpdir(), 'verity-python-'));
const exports = { jsonl: join(directory, 'jsonl'), csv: join(directory, 'csv') };

/** What the order of names, the digits of numbers, NULL, quotes, large values and streams are in files. */
async function makeExports(clinic: TenantHandle): Promise<void> {
  await clinic.execute(
    'CREATE TABLE odd ("10" text, "2" real, "b,c" double precision PRIMARY KEY, large text)',
  );
  const large = 'é'.repeat(600_000);
  await clinic.execute(
    `INSERT INTO odd VALUES ('', '133.203125', 1e21, $1), (NULL, '1e-45', 1e-7, NULL), ('a"b,c', '-0', 0.1, 'x')`,
    [large],
  );
  await clinic.execute('CREATE TABLE nobody (a text PRIMARY KEY)');
  await clinic.append('orders', [{ n: 1.5 }, { n: 'é' }]);
  for (const format of ['jsonl', 'csv'] as const)
    await db.exportTenant('clinic', { out: exports[format], format, withProofs: true });
}

beforeAll(async () => {
  db = await Verity.open(':memory:');
  keys = [db.keys.exportPublic().vkey];
  const clinic = await db.createTenant('clinic');
  await makeReceipts(clinic);
  await makeExports(clinic);
});
afterAll(async () => {
  rmSync(directory, { recursive: true, force: true });
  await db.close();
});

/** The rows that a receipt shows, as both tell them. */
const rowsOf = ({ commands }: Pick<ReceiptFacts, 'commands'>): unknown[] =>
  commands.flatMap(({ position, events }) =>
    events
      .map((event): Record<string, unknown> => ({ position, ...pick(event) }))
      .filter(({ change }) => ['insert', 'update', 'delete'].includes(String(change))),
  );

function pick(event: object): Record<string, unknown> {
  const { change, table, before, after, withheld } = event as Record<string, unknown>;
  return { change, table, before, after, withheld: withheld ?? [] };
}

/** One of the changes that whoever is given a receipt may meet; most keep it readable. */
function mutated(text: string, other: string, random: Prng): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(text));
  const at = random.below(bytes.length);
  switch (random.below(8)) {
    case 0:
      bytes[at] = (bytes[at] as number) ^ (1 << random.below(8));
      return bytes;
    case 1:
      return bytes.subarray(0, at);
    case 2:
      return Buffer.concat([bytes, Buffer.from([' ', '\n', '{}', 'a'][random.below(4)] as string)]);
    case 3: {
      const digit = text.slice(at).search(/[0-9]/);
      if (digit < 0) return bytes.subarray(1);
      bytes[at + digit] = 48 + random.below(10);
      return bytes;
    }
    case 4: {
      // The last character of base64 may hold bits that count for nothing.
      const end = text.indexOf('="', at);
      if (end < 0) return bytes.subarray(2);
      bytes[end - 1] = (bytes[end - 1] as number) + 1;
      return bytes;
    }
    case 5: {
      const value = JSON.parse(text) as Record<string, unknown>;
      const names = Object.keys(value);
      const name = names[random.below(names.length)] as string;
      const theirs = (JSON.parse(other) as Record<string, unknown>)[name];
      if (theirs === undefined) delete value[name];
      else value[name] = theirs;
      return Buffer.from(JSON.stringify(value));
    }
    case 6:
      return Buffer.from(JSON.stringify(JSON.parse(text), undefined, 1));
    default: {
      const comma = text.indexOf(',', at);
      return Buffer.from(comma < 0 ? `${text} ` : `${text.slice(0, comma)},${text.slice(comma)}`);
    }
  }
}

describe.skipIf(!hasPython)('the verifier in Python', () => {
  test('accepts receipts of every kind and shows the same rows', () => {
    const ours = [...receipts.values()].map((text) => {
      const result = verifyReceipt(text, { keys });
      if (!result.ok) throw new Error(`${result.check}: ${result.message}`);
      return result.receipt;
    });
    const theirs = checkInPython(
      [...receipts.values()].map((text) => Buffer.from(text)),
      keys,
    );
    for (const [index, name] of [...receipts.keys()].entries()) {
      const they = theirs[index];
      expect(they, name).toMatchObject({ ok: true });
      expect(ours[index]?.commands.length, name).toBeGreaterThan(name === 'absence' ? -1 : 0);
      const shown = they?.receipt as unknown as Pick<ReceiptFacts, 'commands'>;
      expect(JSON.parse(JSON.stringify(rowsOf(shown))), name).toEqual(
        JSON.parse(JSON.stringify(rowsOf(ours[index] as ReceiptFacts))),
      );
    }
  });

  test('refuses what ours refuses, and for the same reason', () => {
    const random = new Prng(20_261_123);
    const all = [...receipts.values()];
    const mutants = all.flatMap((text) =>
      Array.from({ length: mutantsOfEach }, () =>
        mutated(text, all[random.below(all.length)] as string, random),
      ),
    );
    const theirs = checkInPython(mutants, keys);
    const differ = mutants.flatMap((mutant, index) => {
      const ours = verifyReceipt(mutant, { keys });
      const they = theirs[index];
      const isSame = ours.ok ? they?.ok === true : they?.check === ours.check;
      return isSame
        ? []
        : [{ ours, they, text: Buffer.from(mutant).toString('utf8').slice(0, 300) }];
    });
    expect(differ).toEqual([]);
    const refused = theirs.filter(({ ok }) => !ok);
    expect(refused.length).toBeGreaterThan(mutants.length * 0.9);
    expect(new Set(refused.map(({ check }) => check)).size).toBeGreaterThan(3);
  });

  test('accepts exports, whose files are what was proved', () => {
    const theirs = checkInPython(Object.values(exports), keys);
    for (const [index, path] of Object.values(exports).entries()) {
      const ours = checkExport(path, { keys });
      if (!ours.ok) throw new Error(`${ours.file}: ${ours.message}`);
      const { tables, streams, position } = ours.export;
      const shown = {
        tables: Object.fromEntries(tables.map(({ name, rows }) => [name, rows])),
        streams: Object.fromEntries(streams.map(({ name, events }) => [name, events])),
        position,
      };
      expect(theirs[index]).toMatchObject({ ok: true, export: shown });
    }
  });

  test('refuses exports that ours refuses', () => {
    const random = new Prng(5);
    const altered = filesOf(exports.jsonl).flatMap((file) => [
      alteredExport(file, (bytes) => {
        const at = random.below(bytes.length);
        bytes[at] = (bytes[at] as number) ^ 1;
        return bytes;
      }),
      alteredExport(file, (bytes) => bytes.subarray(0, random.below(bytes.length))),
      alteredExport(file, (bytes) => Buffer.concat([bytes, Buffer.from('\n')])),
    ]);
    const theirs = checkInPython(altered, keys).map(({ ok }) => ok);
    const ours = altered.map((path) => isHeld(path));
    expect(theirs).toEqual(ours);
    // Of a manifest spaces, and what stands there for information, may be others.
    expect(ours.filter((ok) => ok).length).toBeLessThan(3);
  });
});

const filesOf = (path: string): string[] =>
  readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .filter((file) => statSync(join(path, file)).size > 0)
    .toSorted();

let copies = 0;
function alteredExport(file: string, change: (bytes: Buffer) => Uint8Array): string {
  const copy = join(directory, `altered-${copies++}`);
  cpSync(exports.jsonl, copy, { recursive: true });
  writeFileSync(join(copy, file), change(readFileSync(join(copy, file))));
  return copy;
}

function isHeld(path: string): boolean {
  try {
    return checkExport(path, { keys }).ok;
  } catch {
    return false;
  }
}
