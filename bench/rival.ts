/** better-sqlite3, installed in compare/ at its first use so that it never slows an install of VerityDB. */
import { join } from 'node:path';
import { loadPeer } from './compare/peers.ts';
import { checked } from './measure.ts';
import type { VisitRow } from './rows.ts';

interface Statement {
  run(...values: unknown[]): unknown;
  get(...values: unknown[]): { readonly id?: unknown } | undefined;
}
interface Sqlite {
  pragma(text: string): unknown;
  exec(text: string): unknown;
  prepare(text: string): Statement;
  close(): unknown;
}

export interface Rival {
  /** Reads each key's row with one prepared statement; how many there were. */
  getAll(keys: readonly string[]): number;
  close(): void;
}

/** A SQLite file that holds `rows` and keeps them all in its cache; an Error that says why if there can be none. */
export function openRival(directory: string, rows: readonly VisitRow[]): Rival | Error {
  const Database = loadDriver();
  if (Database instanceof Error) return Database;
  const db = new Database(join(directory, 'rival.sqlite'));
  db.pragma('journal_mode = WAL');
  db.pragma('cache_size = -65536');
  db.exec(
    'CREATE TABLE visits (id TEXT PRIMARY KEY, patient TEXT NOT NULL, duration INTEGER, seen INTEGER, cost TEXT) WITHOUT ROWID',
  );
  const insert = db.prepare('INSERT INTO visits VALUES (?, ?, ?, ?, ?)');
  db.exec('BEGIN');
  for (const [id, patient, duration, seen, cost] of rows)
    insert.run(id, patient, duration, seen.getTime(), cost);
  db.exec('COMMIT');
  const select = db.prepare('SELECT id, patient, duration, seen, cost FROM visits WHERE id = ?');
  return {
    getAll(keys) {
      let found = 0;
      for (const key of keys) {
        if (select.get(key)?.id === key) found += 1;
      }
      return checked(found, keys.length);
    },
    close: () => void db.close(),
  };
}

type Driver = new (path: string) => Sqlite;

function loadDriver(): Driver | Error {
  return loadPeer<Driver>('better-sqlite3', (Driver) => void new Driver(':memory:').close());
}
