/** Loading many rows: statements of 500 rows each, several under way at once. */
import type { TenantHandle } from 'veritydb';
import { type Line, measureInTurns, type Slice, timed } from './measure.ts';
import { makeTenants, Place } from './place.ts';
import { insertRows, makeRows, Numbers } from './rows.ts';

const rounds = 9;
const rowsPerSlice = 50_000;
const rowsPerStatement = 500;
const inFlight = 4;

export async function bulkImport(): Promise<Line[]> {
  const place = new Place();
  const db = await place.open('import');
  try {
    const tenant = (await makeTenants(db, 1))[0] as TenantHandle;
    const numbers = new Numbers(7);
    const sql = insertRows(rowsPerStatement);
    const slice = (): Promise<Slice> => {
      const batches = Array.from({ length: rowsPerSlice / rowsPerStatement }, () =>
        makeRows(numbers, rowsPerStatement).flat(),
      );
      return timed(async () => {
        const work = { batches, next: 0 };
        await Promise.all(Array.from({ length: inFlight }, () => importBatches(tenant, sql, work)));
        return rowsPerSlice;
      });
    };
    return await measureInTurns([{ bench: 'bulk-import', unit: 'rows', slice }], rounds);
  } finally {
    await db.close();
    place.remove();
  }
}

export async function importBatches(
  tenant: TenantHandle,
  sql: string,
  work: { readonly batches: readonly (readonly (string | number | Date)[])[]; next: number },
): Promise<void> {
  while (work.next < work.batches.length)
    await tenant.execute(sql, work.batches[work.next++] ?? []);
}
