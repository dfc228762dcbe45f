/** Our side: the table of rows.ts, with a second index where one is asked for, and what it must hold. */
import type { TenantHandle, Verity } from '../veritydb.ts';
import { createTable, insertRows, makeRows, Numbers, type VisitRow } from '../rows.ts';

/** The second index, the same text for every SQL database. */
export const createIndex = 'CREATE INDEX visits_patient ON visits (patient)';

const rowsPerStatement = 500;

/** A new tenant with the empty table. */
export async function ourTable(
  db: Verity,
  { indexed }: { readonly indexed: boolean },
): Promise<TenantHandle> {
  const tenant = await db.createTenant('bench');
  await tenant.execute(createTable);
  if (indexed) await tenant.execute(createIndex);
  return tenant;
}

/** What a table that took all these rows holds. */
export class Expected {
  rows = 0;
  durations = 0;

  add(rows: readonly VisitRow[]): void {
    this.rows += rows.length;
    for (const row of rows) this.durations += row[2];
  }

  /** Throws unless the counts and sums that a database gave are those. */
  check(name: string, found: { readonly rows: unknown; readonly durations: unknown }): void {
    const same =
      Number(found.rows) === this.rows && Number(found.durations ?? 0) === this.durations;
    if (same) return;
    throw new Error(
      `${name} holds ${String(found.rows)} rows with durations of ${String(found.durations)} in all, not ${this.rows} with ${this.durations}.`,
    );
  }
}

export const countRows = 'SELECT count(*) AS rows, sum(duration) AS durations FROM visits';

/** Throws unless our table holds what it took. */
export async function checkOurs(tenant: TenantHandle, expected: Expected): Promise<void> {
  const { rows } = await tenant.query<{ rows: unknown; durations: unknown }>(countRows);
  expected.check('VerityDB', rows[0] ?? { rows: 0, durations: 0 });
}

/** The rows of `seed`, `rowsPerStatement` at a time, so that no bench keeps a million rows in its heap. */
export function* rowsInBatches(seed: number, count: number): Generator<VisitRow[]> {
  const numbers = new Numbers(seed);
  for (let left = count; left > 0; left -= rowsPerStatement)
    yield makeRows(numbers, Math.min(left, rowsPerStatement));
}

/** Inserts the rows of `seed`, one statement after the other; the last position. */
export async function loadOurs(tenant: TenantHandle, seed: number, count: number): Promise<bigint> {
  let last = 0n;
  for (const rows of rowsInBatches(seed, count))
    last = (await tenant.execute(insertRows(rows.length), rows.flat())).position;
  return last;
}
