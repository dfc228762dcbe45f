/** SQLite with SQLite3MultipleCiphers: encrypted, in WAL mode, durable at COMMIT. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { VisitRow } from '../rows.ts';
import { countRows, createIndex, type Expected, rowsInBatches } from './ours.ts';
import { loadPeer, versionOf } from './peers.ts';

const driverName = 'better-sqlite3-multiple-ciphers';
/** KiB, negative as SQLite wants it: as much as our own cache may take. */
const cacheSize = -256 * 1024;

interface Statement {
  run(...values: unknown[]): unknown;
  get(...values: unknown[]): Record<string, unknown> | undefined;
  all(...values: unknown[]): Record<string, unknown>[];
}
interface Driver {
  pragma(text: string, options?: { readonly simple: true }): unknown;
  exec(text: string): unknown;
  prepare(text: string): Statement;
  close(): unknown;
}
export type DriverClass = new (path: string) => Driver;

/** 'chacha20' (ChaCha20-Poly1305) is its default, 'aegis' (AEGIS-256) its fastest. Both authenticate. */
export type Cipher = 'chacha20' | 'aegis';

/** The values of a row as the driver takes them; there is no date among them. */
export type SqliteRow = readonly [string, string, number, number, string];
export const sqliteRow = ([id, patient, duration, seen, cost]: VisitRow): SqliteRow => [
  id,
  patient,
  duration,
  seen.getTime(),
  cost,
];

export function sqliteDriver(): DriverClass | Error {
  return loadPeer<DriverClass>(driverName, (Class) => void new Class(':memory:').close());
}

export class Sqlite {
  readonly #db: Driver;
  /** What it says of itself, for the line. */
  readonly details: Readonly<Record<string, unknown>>;

  /** A new file. `withoutRowid`: rows lie in the tree of their keys, as is quicker for reads by it. */
  constructor(
    Class: DriverClass,
    path: string,
    options: {
      readonly cipher: Cipher;
      readonly indexed: boolean;
      readonly withoutRowid: boolean;
    },
  ) {
    const db = new Class(path);
    this.#db = db;
    db.pragma(`cipher = '${options.cipher}'`);
    db.pragma(`hexkey = '${randomBytes(32).toString('hex')}'`);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma(`cache_size = ${cacheSize}`);
    const table =
      'CREATE TABLE visits (id TEXT PRIMARY KEY, patient TEXT NOT NULL, duration INTEGER, seen INTEGER, cost TEXT)';
    db.exec(options.withoutRowid ? `${table} WITHOUT ROWID` : table);
    if (options.indexed) db.exec(createIndex);
    this.details = this.#settings(options.cipher);
  }

  /** All rows in one transaction, which is durable when this returns. */
  insertAll(rows: Iterable<SqliteRow>): void {
    const insert = this.#db.prepare('INSERT INTO visits VALUES (?, ?, ?, ?, ?)');
    this.#db.exec('BEGIN');
    for (const row of rows) insert.run(row);
    this.#db.exec('COMMIT');
  }

  load(seed: number, count: number): void {
    this.insertAll(sqliteRowsOf(seed, count));
  }

  prepare(sql: string): Statement {
    return this.#db.prepare(sql);
  }

  check(expected: Expected): void {
    const found = this.#db.prepare(countRows).get();
    expected.check('SQLite', { rows: found?.['rows'], durations: found?.['durations'] });
  }

  close(): void {
    this.#db.close();
  }

  /** Read back, so that no line claims a setting that was not taken. */
  #settings(cipher: Cipher): Record<string, unknown> {
    const names = ['journal_mode', 'synchronous', 'cache_size'];
    const settings = names.map(
      (name) => `${name}=${String(this.#db.pragma(name, { simple: true }))}`,
    );
    const versions = this.#db
      .prepare('SELECT sqlite_version() AS sqlite, sqlite3mc_version() AS ciphers')
      .get();
    return {
      driver: `${driverName} ${versionOf(driverName)}`,
      ...versions,
      cipher,
      settings: settings.join(' '),
    };
  }
}

function* sqliteRowsOf(seed: number, count: number): Generator<SqliteRow> {
  for (const rows of rowsInBatches(seed, count)) for (const row of rows) yield sqliteRow(row);
}

export function sqlitePath(folder: string, name: string): string {
  return join(folder, `${name}.sqlite`);
}
