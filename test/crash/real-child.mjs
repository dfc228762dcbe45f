/**
 * A process whose disk fails for real; started by the tests named real-*. Arguments: the built package,
 * a directory, a key file, and what to do. Prints one line of JSON: what was acknowledged, and what
 * happened. Exits with 0 whatever the disk did, as long as every failure was reported.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';

const [packagePath, folder, keyFile, task, count = '40'] = process.argv.slice(2);
const { Verity, keys } = await import(packagePath);
const directory = join(folder, 'data');
const result = { acknowledged: [], refused: [] };

const open = (more = {}) => Verity.open(directory, { masterKey: keys.fromFile(keyFile), ...more });

async function outcome(work) {
  try {
    await work();
    return 'done';
  } catch (error) {
    return error.code ?? String(error);
  }
}

async function tenantOf(db) {
  const tenant = db.tenants().includes('amber')
    ? db.tenant('amber')
    : await db.createTenant('amber');
  await tenant.execute('CREATE TABLE IF NOT EXISTS rows (id integer PRIMARY KEY, memo text)');
  return tenant;
}

/** Inserts rows until one is refused, or `last`; returns the code of the refusal. */
async function insertUntilRefused(tenant, last, bytes) {
  const first = result.acknowledged.length + result.refused.length + 1;
  for (let id = first; id <= last; id++) {
    const code = await outcome(() =>
      tenant.execute('INSERT INTO rows VALUES ($1, $2)', [id, 'm'.repeat(bytes)]),
    );
    (code === 'done' ? result.acknowledged : result.refused).push(id);
    if (code !== 'done') return code;
  }
  return 'done';
}

async function idsIn(tenant) {
  return (await tenant.query('SELECT id FROM rows ORDER BY id')).rows.map(({ id }) => id);
}

/** Writes until something fails; then looks at what the handle still does. */
async function load() {
  result.opened = await outcome(async () => {
    result.db = await open();
    result.tenant = await tenantOf(result.db);
  });
  const { db, tenant } = result;
  delete result.db;
  delete result.tenant;
  if (tenant !== undefined) {
    result.failed = await insertUntilRefused(tenant, Number(count), 300);
    if (result.failed !== 'done')
      result.next = await insertUntilRefused(tenant, Number(count), 300);
    result.read = await idsIn(tenant);
  }
  result.poisoned = db?.status().poisoned;
  result.closed = await outcome(async () => db?.close());
}

/** Fills a small disk, frees a part of it, and goes on: with the same handle, and with another. */
async function fill() {
  const ballast = join(folder, 'ballast');
  let db = await open();
  let tenant = await tenantOf(db);
  await insertUntilRefused(tenant, 5, 300);
  writeFileSync(ballast, Buffer.alloc(1 << 20));
  result.full = await insertUntilRefused(tenant, 100_000, 20_000);
  result.again = await insertUntilRefused(tenant, 100_000, 20_000);
  result.whileFull = { poisoned: db.status().poisoned, read: await idsIn(tenant) };
  rmSync(ballast);
  const five = result.acknowledged.length + result.refused.length + 5;
  result.afterFreeing = await insertUntilRefused(tenant, five, 20_000);
  result.fullAgain = await insertUntilRefused(tenant, 100_000, 20_000);
  result.closed = await outcome(() => db.close());
  result.reopened = await outcome(async () => {
    db = await open();
    await db.close();
  });
  result.readWhileFull = await outcome(async () => {
    const reader = await open({ readOnly: true });
    result.seenWhileFull = await idsIn(reader.tenant('amber'));
    await reader.close();
  });
  await enlarge();
  db = await open();
  tenant = db.tenant('amber');
  result.last = await insertUntilRefused(
    tenant,
    result.acknowledged.length + result.refused.length + 1,
    300,
  );
  result.read = await idsIn(tenant);
  result.findings = (await db.verify()).findings;
  await db.close();
  db = await open();
  result.clean = db.status().recovery.cleanShutdown;
  await db.close();
}

/** The test remounts the disk with more room when told so. */
async function enlarge() {
  const { spawnSync } = await import('node:child_process');
  const { status, stderr } = spawnSync('mount', ['-o', 'remount,size=16m', folder], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`remount: ${stderr}`);
}

await (task === 'fill' ? fill() : load());
process.stdout.write(`${JSON.stringify(result)}\n`);
