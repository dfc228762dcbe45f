/**
 * The processes of test/memory: each does one thing to a database, with a bounded memory, and says in one line of JSON
 * how much it took. Arguments: the built package's root, what to do, the directory, the key file, rows, bytes of cache.
 */
import process from 'node:process';

const [built, action, directory, keyFile, rowsText, cacheText] = process.argv.slice(2);
const { Verity, keys } = await import(`${built}/database/index.js`);
const rows = Number(rowsText);
const cacheBytes = Number(cacheText);
const masterKey = keys.fromFile(keyFile);
const rowsPerStatement = 500;
const statementsAtOnce = 4;

const started = performance.now();
if (action === 'import') await importRows();
else if (action === 'verify') await verify();
else await scan(action === 'follow');
const seconds = (performance.now() - started) / 1000;
for (let round = 0; round < 3; round++) {
  // Buffers are given back a while after they were found to be garbage.
  globalThis.gc?.();
  await new Promise((resolve) => setTimeout(resolve, 50));
}
const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
const figures = {
  action,
  rows,
  seconds: Math.round(seconds * 10) / 10,
  residentMiBMax: mebibytes(process.resourceUsage().maxRSS * 1024),
  residentMiBEnd: mebibytes(rss),
  heapMiBEnd: mebibytes(heapUsed),
  arrayMiBEnd: mebibytes(arrayBuffers),
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
process.exit(0);

function mebibytes(bytes) {
  return Math.round((bytes / 2 ** 20) * 10) / 10;
}

async function importRows() {
  const db = await Verity.open(directory, { masterKey, cacheBytes });
  const tenant = await db.createTenant('clinic');
  await tenant.execute(
    'CREATE TABLE visits (id int PRIMARY KEY, patient text NOT NULL, seen timestamptz, note text)',
  );
  await tenant.execute('CREATE INDEX visits_patient ON visits (patient)');
  let next = 0;
  const write = async () => {
    while (next < rows) {
      const first = next;
      next += rowsPerStatement;
      const count = Math.min(rowsPerStatement, rows - first);
      const parameters = [];
      for (let row = first; row < first + count; row++) parameters.push(...valuesOf(row));
      await tenant.execute(insertOf(count), parameters);
    }
  };
  await Promise.all(Array.from({ length: statementsAtOnce }, write));
  await readAll(tenant);
  // A checkpoint that is being written holds what it writes.
  await db.stateHash();
  // What a process holds that has the database open.
  globalThis.keptOpen = db;
}

/** Rows come in no order of their keys. */
function valuesOf(row) {
  const id = (row * 7_919) % rows;
  const patient = `patient ${(row * 48_271) % 1_000_003}`;
  return [id, patient, new Date(1.7e12 + row * 1000), `visit ${row} of ${patient}, as ever`];
}

function insertOf(count) {
  const tuples = Array.from(
    { length: count },
    (_, row) => `($${row * 4 + 1}, $${row * 4 + 2}, $${row * 4 + 3}, $${row * 4 + 4})`,
  );
  return `INSERT INTO visits VALUES ${tuples.join(', ')}`;
}

async function scan(readOnly) {
  const db = await Verity.open(directory, { masterKey, cacheBytes, readOnly, create: false });
  await readAll(db.tenant('clinic'));
  globalThis.keptOpen = db;
}

/** Every row, by the key and by the index. */
async function readAll(tenant) {
  const counted = await tenant.query('SELECT count(*) AS rows, sum(id) AS ids FROM visits');
  expectEqual(Number(counted.rows[0].rows), rows);
  expectEqual(Number(counted.rows[0].ids), (rows * (rows - 1)) / 2);
  let seen = 0;
  for await (const row of tenant.stream('SELECT id, note FROM visits')) seen += row.note.length > 0;
  expectEqual(seen, rows);
}

async function verify() {
  const report = await Verity.verify(directory, { masterKey, cacheBytes });
  expectEqual(JSON.stringify(report.findings), '[]');
  expectEqual(report.events >= rows, true);
}

function expectEqual(found, expected) {
  if (found !== expected) throw new Error(`${String(found)} instead of ${String(expected)}`);
}
