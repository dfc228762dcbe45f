/**
 * Opens a database, uses its keys, and stops at each stage until a line comes in, so that the parent can search this
 * process's memory. Arguments: directory, key file, 'locked' or 'heap'.
 */
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { keys, lockMemory, Verity } from '../../dist/database/index.js';
import { EnvelopeCipher } from '../../dist/envelope/index.js';

const [directory = '', keyFile = '', memory] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Says where we are and waits to be told to go on. @param {string} name */
async function stage(name) {
  process.stdout.write(`${name}\n`);
  await lines.next();
}

/** Collects garbage, and gives the memory that it frees a chance to be used again. */
async function collect() {
  for (let round = 0; round < 4; round++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

if (memory === 'locked') lockMemory();
const db = await Verity.open(directory, { masterKey: keys.fromFile(keyFile) });
const clinic = db.tenants().includes('clinic')
  ? db.tenant('clinic')
  : await db.createTenant('clinic');
for (let version = 0; version < 20; version++) await clinic.append('visits', [{ version }]);
const cipher = new EnvelopeCipher(clinic.envelopeKeys(await clinic.createEnvelopeKey()));
const blob = cipher.encrypt(new Uint8Array(100), ['visits']);
cipher.decrypt(blob, ['visits']);
await collect();
await stage('open');
await db.close();
await collect();
await stage('closed');
process.exit(0);
