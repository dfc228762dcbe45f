/** Rows into an empty table with a primary key and one more index, beside SQLite with an encrypted file. */
import { join } from 'node:path';
import { rmSync } from 'node:fs';
import { importBatches } from '../imports.ts';
import { type Slice, timed } from '../measure.ts';
import { Place } from '../place.ts';
import { insertRows } from '../rows.ts';
import { checkOurs, createIndex, Expected, ourTable, rowsInBatches } from './ours.ts';
import {
  type Cipher,
  type DriverClass,
  Sqlite,
  sqliteDriver,
  sqlitePath,
  sqliteRow,
} from './sqlite.ts';
import { compareInTurns, type Peer, type Result, type Scale } from './turns.ts';

const rowsPerSlice = 500_000;
const rowsPerStatement = 500;
const inFlight = 4;
const seed = 7;
const aim = 1.5;
const ciphers: readonly Cipher[] = ['chacha20', 'aegis'];
const peerName = (cipher: Cipher) => `sqlite3mc-${cipher}-bulk-import`;

/** Each slice fills a new database with the same rows. */
export async function bulkImport(scale: Scale): Promise<Result[]> {
  const place = new Place();
  const count =
    Math.max(1, Math.round(scale.of(rowsPerSlice) / rowsPerStatement)) * rowsPerStatement;
  try {
    const ours: Peer = {
      bench: 'bulk-import',
      unit: 'rows',
      slice: () => importOurs(place, count),
      details: { rows: count, index: createIndex },
    };
    const Class = sqliteDriver();
    if (Class instanceof Error) {
      const skipped = ciphers.map((cipher) => ({
        bench: peerName(cipher),
        skipped: Class.message,
      }));
      return [...(await compareInTurns(ours, [], scale.rounds)), ...skipped];
    }
    const peers = ciphers.map((cipher) => sqlitePeer(Class, place, cipher, count));
    return await compareInTurns(ours, peers, scale.rounds);
  } finally {
    place.remove();
  }
}

let databases = 0;

/** Statements of 500 rows, four under way, each durable when it is answered. */
async function importOurs(place: Place, count: number): Promise<Slice> {
  databases += 1;
  const name = `import-${databases}`;
  const db = await place.open(name);
  try {
    const tenant = await ourTable(db, { indexed: true });
    const expected = new Expected();
    const batches = Array.from(rowsInBatches(seed, count), (rows) => {
      expected.add(rows);
      return rows.flat();
    });
    const sql = insertRows(rowsPerStatement);
    const slice = await timed(async () => {
      const work = { batches, next: 0 };
      await Promise.all(Array.from({ length: inFlight }, () => importBatches(tenant, sql, work)));
      return count;
    });
    await checkOurs(tenant, expected);
    return slice;
  } finally {
    await db.close();
    rmSync(join(place.folder, name), { recursive: true });
  }
}

/** One transaction. */
function sqlitePeer(Class: DriverClass, place: Place, cipher: Cipher, count: number): Peer {
  const path = sqlitePath(place.folder, `import-${cipher}`);
  const options = { cipher, indexed: true, withoutRowid: false };
  const remove = () => {
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${path}${suffix}`, { force: true });
  };
  const sample = new Sqlite(Class, path, options);
  sample.close();
  remove();
  return {
    bench: peerName(cipher),
    unit: 'rows',
    aim,
    details: sample.details,
    slice: async () => {
      const sqlite = new Sqlite(Class, path, options);
      try {
        const expected = new Expected();
        const rows = Array.from(rowsInBatches(seed, count), (batch) => {
          expected.add(batch);
          return batch.map(sqliteRow);
        }).flat();
        const slice = await timed(() => {
          sqlite.insertAll(rows);
          return count;
        });
        sqlite.check(expected);
        return slice;
      } finally {
        sqlite.close();
        remove();
      }
    },
  };
}
