/**
 * The process that test/crash/store-sigkill.test.ts kills: writes rows to a database whose store is checkpointed all
 * the time. Arguments: the built package's root, the directory, the key file. Prints a line for each acknowledged row.
 */
import { writeSync } from 'node:fs';
import process from 'node:process';

const [built, directory, keyFile] = process.argv.slice(2);
const { Verity, keys } = await import(`${built}/database/index.js`);
const { nodeDisk, systemClock, systemEntropy, systemScheduler } = await import(
  `${built}/host/index.js`
);

const host = {
  disk: nodeDisk(directory),
  clock: systemClock,
  entropy: systemEntropy,
  scheduler: systemScheduler,
  checkpoints: { logBytesMax: 30_000, logBytesMin: 1_000, cacheBytes: 1 << 20, pagesPerTurn: 4 },
};
const db = await Verity.openOn(host, { masterKey: keys.fromFile(keyFile) });
if (db.tenants().length === 0) {
  const tenant = await db.createTenant('acme');
  await tenant.execute('CREATE TABLE t (id text PRIMARY KEY, v text)');
}
const tenant = db.tenant('acme');
writeSync(1, `replayed ${db.status().store.replayedFrames} of ${db.status().frames}\n`);

async function write(writer) {
  for (let number = 0; ; number++) {
    const id = `${process.pid}-${writer}-${number}`;
    await tenant.execute('INSERT INTO t VALUES ($1, $2)', [id, 'x'.repeat((number * 97) % 1_500)]);
    writeSync(1, `${id}\n`);
  }
}

await Promise.all([0, 1, 2, 3].map(write));
