/** The processes of reopen.ts: each does one thing to the database at a path, and says so in one JSON line. */
import process from 'node:process';
import { insertRow, makeRow, Numbers, selectRow } from '../rows.ts';
import { keys, Verity } from '../veritydb.ts';
import { countRows, createIndex, loadOurs, ourTable } from './ours.ts';

const seed = 9;
const writers = 64;
const tenantName = 'bench';

const [action = '', path = '', keyFile = '', argument = '0'] = process.argv.slice(2);
const masterKey = keys.fromFile(keyFile);

function say(what: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

function secondsSince(start: bigint): number {
  return Number(process.hrtime.bigint() - start) / 1e9;
}

/** Loads rows, says so, and goes on inserting with 64 writers until it is killed. */
async function load(count: number): Promise<void> {
  await keys.generateFile(keyFile);
  const db = await Verity.open(path, { masterKey });
  const tenant = await ourTable(db, { indexed: true });
  await loadOurs(tenant, seed, count);
  const numbers = new Numbers(seed + 1);
  let inserted = 0;
  const write = async (): Promise<void> => {
    for (;;) {
      await tenant.execute(insertRow, makeRow(numbers));
      inserted += 1;
      if (inserted === writers) say({ acknowledged: count + inserted, index: createIndex });
    }
  };
  await Promise.all(Array.from({ length: writers }, write));
}

/** Opens and reads one row by its key, on the clock; then counts what is there, and writes a row. */
async function open(): Promise<void> {
  const written = makeRow(new Numbers(seed));
  const start = process.hrtime.bigint();
  const db = await Verity.open(path, { masterKey, create: false });
  const openSeconds = secondsSince(start);
  const tenant = db.tenant(tenantName);
  const { rows } = await tenant.query(selectRow, [written[0]]);
  const readSeconds = secondsSince(start);
  if (rows[0]?.['patient'] !== written[1] || rows[0]['duration'] !== written[2])
    throw new Error('The first row is not as it was written.');
  const counted = await tenant.query<{ rows: unknown }>(countRows);
  await tenant.execute(insertRow, makeRow(new Numbers(seed + 2)));
  say({ openSeconds, readSeconds, rows: Number(counted.rows[0]?.rows) });
  await db.close();
}

/** Reads and checks every byte. */
async function verify(): Promise<void> {
  const start = process.hrtime.bigint();
  const report = await Verity.verify(path, { masterKey });
  const seconds = secondsSince(start);
  if (!report.ok) throw new Error(`verify found ${report.findings.length} things.`);
  say({ seconds, events: report.events, bytes: report.bytesRead });
}

if (action === 'load') await load(Number(argument));
else if (action === 'open') await open();
else await verify();
