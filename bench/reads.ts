/** Reads of one row by its key, each a query of its own whose row becomes an object. */
import type { TenantHandle } from 'veritydb';
import { checked, type Line, measureInTurns, type Slice, type Subject, timed } from './measure.ts';
import { makeTenants, Place } from './place.ts';
import { openRival } from './rival.ts';
import { insertRows, makeRows, Numbers, selectRow, type VisitRow } from './rows.ts';

/** A bench that could not run here. */
export interface Skipped {
  readonly bench: string;
  readonly skipped: string;
}

const rounds = 15;
const rowsPerStatement = 500;
const readsPerSlice = 25_000;

/** `get`: random keys among 100,000 rows, beside better-sqlite3 with a prepared statement. */
export async function get(): Promise<(Line | Skipped)[]> {
  const place = new Place();
  const db = await place.open('get');
  const rows = makeRows(new Numbers(3), 100_000);
  const rival = openRival(place.folder, rows);
  try {
    const tenant = (await makeTenants(db, 1))[0] as TenantHandle;
    await load(tenant, rows);
    const numbers = new Numbers(4);
    const subjects: Subject[] = [
      { bench: 'get', unit: 'rows', slice: () => getAll(tenant, pickKeys(numbers, rows)) },
    ];
    if (!(rival instanceof Error)) {
      subjects.push({
        bench: 'better-sqlite3-get',
        unit: 'rows',
        slice: () => timed(() => rival.getAll(pickKeys(numbers, rows))),
      });
    }
    const lines = await measureInTurns(subjects, rounds);
    if (!(rival instanceof Error)) return lines;
    return [...lines, { bench: 'better-sqlite3-get', skipped: rival.message }];
  } finally {
    if (!(rival instanceof Error)) rival.close();
    await db.close();
    place.remove();
  }
}

/** `get-as-of`: random keys at random positions; every row has ten versions. */
export async function getAsOf(): Promise<Line[]> {
  const place = new Place();
  const db = await place.open('as-of');
  const rows = makeRows(new Numbers(5), 20_000);
  try {
    const tenant = (await makeTenants(db, 1))[0] as TenantHandle;
    const positions = [await load(tenant, rows)];
    for (let version = 2; version <= 10; version++) {
      const { position } = await tenant.execute('UPDATE visits SET duration = duration + 1');
      positions.push(position);
    }
    const numbers = new Numbers(6);
    const slice = (): Promise<Slice> => {
      const keys = pickKeys(numbers, rows);
      const at = keys.map(() => positions[numbers.below(positions.length)] as bigint);
      return getAllAsOf(tenant, keys, at);
    };
    return await measureInTurns([{ bench: 'get-as-of', unit: 'rows', slice }], rounds);
  } finally {
    await db.close();
    place.remove();
  }
}

/** Inserts the rows 500 at a time; the last position. */
async function load(tenant: TenantHandle, rows: readonly VisitRow[]): Promise<bigint> {
  let last = 0n;
  for (let start = 0; start < rows.length; start += rowsPerStatement) {
    const part = rows.slice(start, start + rowsPerStatement);
    last = (await tenant.execute(insertRows(part.length), part.flat())).position;
  }
  return last;
}

function pickKeys(numbers: Numbers, rows: readonly VisitRow[]): string[] {
  return Array.from(
    { length: readsPerSlice },
    () => (rows[numbers.below(rows.length)] as VisitRow)[0],
  );
}

function getAll(tenant: TenantHandle, keys: readonly string[]): Promise<Slice> {
  return timed(async () => {
    let found = 0;
    for (const key of keys) {
      const { rows } = await tenant.query(selectRow, [key]);
      if (rows[0]?.['id'] === key) found += 1;
    }
    return checked(found, keys.length);
  });
}

function getAllAsOf(
  tenant: TenantHandle,
  keys: readonly string[],
  at: readonly bigint[],
): Promise<Slice> {
  return timed(async () => {
    let found = 0;
    for (let index = 0; index < keys.length; index++) {
      const { rows } = await tenant.queryAt(selectRow, [keys[index]], at[index] as bigint);
      if (rows[0]?.['id'] === keys[index]) found += 1;
    }
    return checked(found, keys.length);
  });
}
