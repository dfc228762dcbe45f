/** better-sqlite3, installed in compare/ at its first use so that it never slows an install of VerityDB. */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { checked } from './measure.ts';
import type { VisitRow } from './rows.ts';

const folder = fileURLToPath(new URL('compare/', import.meta.url));
const fromFolder = createRequire(join(folder, 'package.json'));

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
  const present = requireDriver();
  if (!(present instanceof Error)) return present;
  process.stderr.write(
    'Installing better-sqlite3 for comparison; where it must be compiled, that takes minutes …\n',
  );
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status, error } = spawnSync(npm, ['ci', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
  });
  if (error !== undefined) return error;
  return status === 0
    ? requireDriver()
    : new Error(`npm ci in bench/compare ended with exit code ${status}.`);
}

/** The driver; an Error when it is absent, or was built for another Node. */
function requireDriver(): Driver | Error {
  try {
    const Database = fromFolder('better-sqlite3') as Driver;
    new Database(':memory:').close();
    return Database;
  } catch (error) {
    return error as Error;
  }
}
