/** Reads of a table of a million rows, each a query of its own whose rows become objects. */
import { checked, timed } from '../measure.ts';
import { Place } from '../place.ts';
import { makeRow, Numbers, selectRow, type VisitRow } from '../rows.ts';
import type { TenantHandle } from '../veritydb.ts';
import { Lmdb } from './lmdb.ts';
import { checkOurs, Expected, loadOurs, ourTable, rowsInBatches } from './ours.ts';
import { Sqlite, sqliteDriver, sqlitePath } from './sqlite.ts';
import { compareInTurns, type Peer, type Result, type Scale } from './turns.ts';

const seed = 3;
const rowsOfTable = 1_000_000;
const readsPerSlice = 25_000;
const scansPerSlice = 1_000;
const rowsPerScan = 100;
const sampleSize = 1_000;
const aims = { sqlite: 1.5, lmdb: 1, scan: 1 };

const scanRows =
  'SELECT id, patient, duration, seen, cost FROM visits WHERE id >= $1 ORDER BY id LIMIT 100';
const sqliteSelect = 'SELECT id, patient, duration, seen, cost FROM visits WHERE id = ?';
const sqliteScan =
  'SELECT id, patient, duration, seen, cost FROM visits WHERE id >= ? ORDER BY id LIMIT 100';

/** `get` and `scan-100`, beside SQLite and LMDB. */
export async function reads(scale: Scale): Promise<Result[]> {
  const place = new Place();
  const db = await place.open('reads');
  const count = scale.of(rowsOfTable);
  const skipped: Result[] = [];
  const closing: (() => unknown)[] = [];
  try {
    const tenant = await ourTable(db, { indexed: false });
    await loadOurs(tenant, seed, count);
    const keys = new Keys(count);
    await checkOurs(tenant, keys.expected);
    const gets: Peer[] = [ourGets(tenant, keys)];
    const scans: Peer[] = [ourScans(tenant, keys)];
    const Class = sqliteDriver();
    if (Class instanceof Error) {
      const names = ['sqlite3mc-get', 'sqlite3mc-scan-100'];
      skipped.push(...names.map((bench) => ({ bench, skipped: Class.message })));
    } else {
      const options = { cipher: 'chacha20', indexed: false, withoutRowid: true } as const;
      const sqlite = new Sqlite(Class, sqlitePath(place.folder, 'reads'), options);
      closing.push(() => sqlite.close());
      sqlite.load(seed, count);
      sqlite.check(keys.expected);
      gets.push(sqliteGets(sqlite, keys));
      scans.push(sqliteScans(sqlite, keys));
    }
    const lmdb = Lmdb.open(place.folder);
    if (lmdb instanceof Error) skipped.push({ bench: 'lmdb-get', skipped: lmdb.message });
    else {
      closing.push(() => lmdb.close());
      lmdb.load(seed, count);
      gets.push(lmdbGets(lmdb, keys));
    }
    return [...(await compared(gets, scale)), ...(await compared(scans, scale)), ...skipped];
  } finally {
    for (const close of closing) await close();
    await db.close();
    place.remove();
  }
}

async function compared([ours, ...peers]: readonly Peer[], scale: Scale): Promise<Result[]> {
  return ours === undefined ? [] : compareInTurns(ours, peers, scale.rounds);
}

/** The keys of the table, what it holds, and some rows to compare in full. */
class Keys {
  readonly expected = new Expected();
  readonly sample: readonly VisitRow[];
  readonly #keys: string[] = [];
  readonly #numbers = new Numbers(4);
  /** In order; made when scans begin. */
  #sorted: readonly string[] | undefined;

  constructor(count: number) {
    for (const rows of rowsInBatches(seed, count)) {
      this.expected.add(rows);
      for (const row of rows) this.#keys.push(row[0]);
    }
    const numbers = new Numbers(seed);
    this.sample = Array.from({ length: Math.min(sampleSize, count) }, () => makeRow(numbers));
  }

  pick(count: number): string[] {
    return Array.from(
      { length: count },
      () => this.#keys[this.#numbers.below(this.#keys.length)] as string,
    );
  }

  /** Where scans start, and at which keys they must end. */
  pickRanges(count: number): { readonly from: string; readonly to: string }[] {
    const sorted = (this.#sorted ??= this.#keys.toSorted());
    return Array.from({ length: count }, () => {
      const first = this.#numbers.below(sorted.length - rowsPerScan + 1);
      return { from: sorted[first] as string, to: sorted[first + rowsPerScan - 1] as string };
    });
  }
}

type Found = Record<string, unknown> | undefined;

/** Throws unless `get` gives all values of the sample; times as Date or in milliseconds. */
async function checkSample(keys: Keys, get: (key: string) => unknown): Promise<void> {
  for (const [id, patient, duration, seen, cost] of keys.sample) {
    const found = (await get(id)) as Found;
    const same =
      found?.['id'] === id &&
      found['patient'] === patient &&
      found['duration'] === duration &&
      Number(found['seen']) === seen.getTime() &&
      Number(found['cost']) === Number(cost);
    if (!same) throw new Error('A row that was read is not the row that was written.');
  }
}

function ourGets(tenant: TenantHandle, keys: Keys): Peer {
  const get = async (key: string): Promise<Found> => (await tenant.query(selectRow, [key])).rows[0];
  return {
    bench: 'get',
    unit: 'rows',
    details: { rows: keys.expected.rows },
    slice: async () => {
      const chosen = keys.pick(readsPerSlice);
      await checkSample(keys, get);
      return timed(async () => {
        let found = 0;
        for (const key of chosen) {
          const { rows } = await tenant.query(selectRow, [key]);
          if (rows[0]?.['id'] === key) found += 1;
        }
        return checked(found, readsPerSlice);
      });
    },
  };
}

function ourScans(tenant: TenantHandle, keys: Keys): Peer {
  return {
    bench: 'scan-100',
    unit: 'scans',
    slice: () => {
      const ranges = keys.pickRanges(scansPerSlice);
      return timed(async () => {
        let found = 0;
        for (const { from, to } of ranges) {
          const { rows } = await tenant.query(scanRows, [from]);
          if (rows[0]?.['id'] === from && rows[rowsPerScan - 1]?.['id'] === to) found += 1;
        }
        return checked(found, scansPerSlice);
      });
    },
  };
}

function sqliteGets(sqlite: Sqlite, keys: Keys): Peer {
  const select = sqlite.prepare(sqliteSelect);
  return {
    bench: 'sqlite3mc-get',
    unit: 'rows',
    aim: aims.sqlite,
    details: sqlite.details,
    slice: async () => {
      const chosen = keys.pick(readsPerSlice);
      await checkSample(keys, (key) => select.get(key));
      return timed(() => {
        let found = 0;
        for (const key of chosen) {
          if (select.get(key)?.['id'] === key) found += 1;
        }
        return checked(found, readsPerSlice);
      });
    },
  };
}

function sqliteScans(sqlite: Sqlite, keys: Keys): Peer {
  const select = sqlite.prepare(sqliteScan);
  return {
    bench: 'sqlite3mc-scan-100',
    unit: 'scans',
    aim: aims.scan,
    details: sqlite.details,
    slice: () => {
      const ranges = keys.pickRanges(scansPerSlice);
      return timed(() => {
        let found = 0;
        for (const { from, to } of ranges) {
          const rows = select.all(from);
          if (rows[0]?.['id'] === from && rows[rowsPerScan - 1]?.['id'] === to) found += 1;
        }
        return checked(found, scansPerSlice);
      });
    },
  };
}

function lmdbGets(lmdb: Lmdb, keys: Keys): Peer {
  return {
    bench: 'lmdb-get',
    unit: 'rows',
    aim: aims.lmdb,
    details: lmdb.details,
    slice: async () => {
      const chosen = keys.pick(readsPerSlice);
      await checkSample(keys, (key) => lmdb.get(key));
      return timed(() => {
        let found = 0;
        for (const key of chosen) {
          if ((lmdb.get(key) as Found)?.['id'] === key) found += 1;
        }
        return checked(found, readsPerSlice);
      });
    },
  };
}
