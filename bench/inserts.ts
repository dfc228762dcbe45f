/** Durable single-row inserts by many writers at once, each waiting for its own, beside the bare loop. */
import { join } from 'node:path';
import type { TenantHandle } from 'veritydb';
import { BareLog } from './bare-log.ts';
import { type Line, measureInTurns, type Slice, timed } from './measure.ts';
import { makeTenants, Place } from './place.ts';
import { insertRow, makeRows, Numbers, type VisitRow } from './rows.ts';

const rounds = 9;

/** `insert-N`, `bare-N` and, without rows in memory, `bare-log-N`: as many rows and writers each, in turns. */
export async function insertAndBare(writers: number, rowsPerSlice: number): Promise<Line[]> {
  const place = new Place();
  const db = await place.open('insert');
  const bare = new BareLog(join(place.folder, 'bare'), { keepRows: true });
  const log = new BareLog(join(place.folder, 'bare-log'), { keepRows: false });
  try {
    const tenants = await makeTenants(db, 1);
    const numbers = new Numbers(1);
    const slice = (insert: Insert) => (): Promise<Slice> =>
      insertAll(makeRows(numbers, rowsPerSlice), writers, insert);
    return await measureInTurns(
      [
        { bench: `insert-${writers}`, unit: 'rows', slice: slice(insertInto(tenants)) },
        { bench: `bare-log-${writers}`, unit: 'rows', slice: slice((row) => log.insert(row)) },
        { bench: `bare-${writers}`, unit: 'rows', slice: slice((row) => bare.insert(row)) },
      ],
      rounds,
    );
  } finally {
    bare.close();
    log.close();
    await db.close();
    place.remove();
  }
}

/** `insert-64-tenants-64`: each writer in a tenant of its own, whose rows are sealed under its own key. */
export async function insertTenants(writers: number, rowsPerSlice: number): Promise<Line[]> {
  const place = new Place();
  const db = await place.open('tenants');
  try {
    const tenants = await makeTenants(db, writers);
    const numbers = new Numbers(2);
    const slice = (): Promise<Slice> =>
      insertAll(makeRows(numbers, rowsPerSlice), writers, insertInto(tenants));
    return await measureInTurns(
      [{ bench: `insert-${writers}-tenants-${writers}`, unit: 'rows', slice }],
      rounds,
    );
  } finally {
    await db.close();
    place.remove();
  }
}

type Insert = (row: VisitRow, writer: number) => Promise<unknown>;

function insertInto(tenants: readonly TenantHandle[]): Insert {
  return (row, writer) =>
    (tenants[writer % tenants.length] as TenantHandle).execute(insertRow, row);
}

/** Inserts all rows; each of the writers takes the next row when its last one is durable. */
export function insertAll(
  rows: readonly VisitRow[],
  writers: number,
  insert: Insert,
): Promise<Slice> {
  return timed(async () => {
    const work = { rows, next: 0, insert };
    await Promise.all(Array.from({ length: writers }, (_, writer) => write(work, writer)));
    return rows.length;
  });
}

async function write(
  work: { readonly rows: readonly VisitRow[]; next: number; readonly insert: Insert },
  writer: number,
): Promise<void> {
  const { rows, insert } = work;
  while (work.next < rows.length) await insert(rows[work.next++] as VisitRow, writer);
}
