/**
 * The process that the demo kills: loads billing lines in batches of ten, four batches in flight, and says
 * on standard output which batches are durable. It never ends by itself.
 *
 * Arguments: database directory, key file, CSV file.
 */
import { readFileSync, writeSync } from 'node:fs';
import { argv } from 'node:process';
import { parse } from 'csv-parse/sync';
import { keys, Verity } from 'veritydb';

export const linesPerBatch = 10;
const batchesInFlight = 4;

/** The lines of batch `batch`, from the file read over and over. */
export function billingLines(
  records: readonly Record<string, string>[],
  batch: number,
): Record<string, string>[] {
  return Array.from({ length: linesPerBatch }, (_line, index) => {
    const record = records[(batch * linesPerBatch + index) % records.length];
    return record as Record<string, string>;
  });
}

export function readCsv(path: string): Record<string, string>[] {
  return parse(readFileSync(path), { columns: true, bom: true });
}

async function importForEver(directory: string, keyFile: string, csvFile: string): Promise<void> {
  const records = readCsv(csvFile);
  const database = await Verity.open(directory, { masterKey: keys.fromFile(keyFile) });
  const clinic = database.tenant('clinic');
  await clinic.execute(
    'CREATE TABLE billing (batch integer, line integer, claim uuid, amount numeric, PRIMARY KEY (batch, line))',
  );
  const tuples = Array.from({ length: linesPerBatch }, (_line, index) => {
    const first = index * 4 + 1;
    return `($${first}, $${first + 1}, $${first + 2}, $${first + 3})`;
  });
  const insert = `INSERT INTO billing (batch, line, claim, amount) VALUES ${tuples.join(', ')}`;
  let next = 0;
  const writer = async (): Promise<void> => {
    for (;;) {
      const batch = next++;
      const parameters = billingLines(records, batch).flatMap((record, line) => [
        batch,
        line,
        record['CLAIMID'] ?? null,
        record['AMOUNT'] || null,
      ]);
      await clinic.execute(insert, parameters, { actor: 'billing', reason: 'nightly load' });
      // Only now: the row is durable. Written at once, so that the parent knows what we know.
      writeSync(1, `${batch}\n`);
    }
  };
  await Promise.all(Array.from({ length: batchesInFlight }, writer));
}

const [, script = '', directory, keyFile, csvFile] = argv;
if (script.endsWith('interrupted-import.ts') && directory && keyFile && csvFile) {
  await importForEver(directory, keyFile, csvFile);
}
