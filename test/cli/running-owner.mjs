/**
 * A process that owns a database: prints `open`, then inserts a note for each line it reads and prints
 * `written`. Arguments: directory, key file.
 */
import process from 'node:process';
import { createInterface } from 'node:readline';
import { keys, Verity } from '../../dist/database/index.js';

const [, , directory = '', keyFile = ''] = process.argv;
const database = await Verity.open(directory, { masterKey: keys.fromFile(keyFile) });
const clinic = database.tenant('clinic');
process.stdout.write('open\n');
for await (const id of createInterface({ input: process.stdin })) {
  await clinic.execute('INSERT INTO notes (id) VALUES ($1)', [Number(id)]);
  process.stdout.write('written\n');
}
await database.close();
