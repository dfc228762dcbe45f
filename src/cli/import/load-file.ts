import { VerityError } from '../../base/index.ts';
import type {
  CommandOptions,
  SqlParameter,
  TenantHandle,
  Transaction,
} from '../../database/index.ts';
import { type CheckedFile, fileVersion } from './check-file.ts';
import { parameterOf } from './column-type.ts';
import { type CsvRow, readCsvFile } from './csv-file.ts';
import { quoteIdentifier } from './identifier.ts';
import { invalidFile } from './invalid-file.ts';

export interface LoadOptions {
  readonly tenant: TenantHandle;
  readonly command: CommandOptions;
  /** Hears how many rows became durable. */
  readonly onRows?: (count: number) => void;
}

/** One batch is one INSERT and one command: all of its rows or none. */
const batchRowsMax = 500;
const batchParametersMax = 8_000;
const batchBytesMax = 1 << 20;
/** Batches sent before the first of them is durable. */
const batchesInFlightMax = 4;
/** What one rehearsal holds at a time; with the batch that reaches it, it still fits a command. */
const rehearsalBytesMax = 2 << 20;

interface Batch {
  readonly rows: readonly CsvRow[];
  readonly sql: string;
  readonly parameters: readonly SqlParameter[];
  readonly bytes: number;
}

/**
 * Loads a checked file: creates its table if needed, then inserts in batches, several at a time.
 * Returns the position of the last command, and of how many rows there were.
 *
 * Into a table that exists, every batch is first run in a transaction that is thrown away, so that
 * constraints of the table refuse the file (IMPORT_INVALID, naming the line) before anything is written.
 */
export async function loadFile(
  file: CheckedFile,
  options: LoadOptions,
): Promise<{ position: bigint }> {
  await assertUnchanged(file);
  let position = 0n;
  if (file.existing === undefined) {
    position = (await options.tenant.execute(createTable(file), [], options.command)).position;
  } else {
    await rehearse(file, options);
  }
  const loaded = await insertAll(file, options);
  return { position: loaded > position ? loaded : position };
}

/** The CREATE TABLE statement for a checked file. */
export function createTable(file: CheckedFile): string {
  const columns = file.columns.map((column) => `${quoteIdentifier(column.name)} ${column.type}`);
  const key = file.primaryKey.map(quoteIdentifier).join(', ');
  const constraints = key === '' ? [] : [`PRIMARY KEY (${key})`];
  return `CREATE TABLE ${quoteIdentifier(file.table)} (${[...columns, ...constraints].join(', ')})`;
}

async function insertAll(file: CheckedFile, options: LoadOptions): Promise<bigint> {
  const inFlight: Promise<void>[] = [];
  let loadedRows = 0;
  let position = 0n;
  const send = async (batch: Batch): Promise<void> => {
    const result = await options.tenant.execute(batch.sql, batch.parameters, options.command);
    loadedRows += batch.rows.length;
    if (result.position > position) position = result.position;
    options.onRows?.(batch.rows.length);
  };
  try {
    for await (const batch of batches(file)) {
      if (inFlight.length >= batchesInFlightMax) await inFlight.shift();
      const sent = send(batch);
      sent.catch(() => undefined); // Awaited below; without this Node would call it unhandled.
      inFlight.push(sent);
    }
    await Promise.all(inFlight);
  } catch (error) {
    await Promise.allSettled(inFlight);
    throw interrupted(error, file, loadedRows);
  }
  await assertUnchanged(file);
  return position;
}

/** An error after the first batch says how much is in the table: batches are commands of their own. */
function interrupted(error: unknown, file: CheckedFile, loadedRows: number): unknown {
  if (!(error instanceof VerityError) || loadedRows === 0) return error;
  return new VerityError(
    error.code,
    `${error.message} The import of ${file.path} stopped after ${loadedRows} of ${file.rowCount} rows ` +
      `were stored in ${file.table}.`,
    { cause: error, details: { ...error.details, loadedRows } },
  );
}

async function assertUnchanged(file: CheckedFile): Promise<void> {
  if ((await fileVersion(file.path)) === file.version) return;
  throw invalidFile(
    { file: file.path, line: 1 },
    'the file changed between its check and the load. Import it again when nothing writes to it.',
  );
}

async function* batches(file: CheckedFile): AsyncGenerator<Batch, void, undefined> {
  const writer = new BatchWriter(file);
  let isHeader = true;
  for await (const rows of readCsvFile(file.path)) {
    for (const row of rows) {
      if (isHeader) {
        isHeader = false;
        continue;
      }
      const full = writer.add(row);
      if (full !== undefined) yield full;
    }
  }
  const last = writer.take();
  if (last !== undefined) yield last;
}

class BatchWriter {
  readonly #rowsMax: number;
  readonly #columnCount: number;
  readonly #converters: readonly ((text: string) => SqlParameter)[];
  readonly #head: string;
  /** INSERT texts by number of rows: the full batch's is used again and again. */
  readonly #texts = new Map<number, string>();
  #rows: CsvRow[] = [];
  #parameters: SqlParameter[] = [];
  #bytes = 0;

  constructor(file: CheckedFile) {
    this.#columnCount = file.columns.length;
    this.#rowsMax = Math.max(
      1,
      Math.min(batchRowsMax, Math.floor(batchParametersMax / this.#columnCount)),
    );
    this.#converters = file.columns.map((column) => parameterOf(column.type));
    const names = file.columns.map((column) => quoteIdentifier(column.name)).join(', ');
    this.#head = `INSERT INTO ${quoteIdentifier(file.table)} (${names}) VALUES `;
  }

  /** Adds a row; returns a batch when one is full. */
  add(row: CsvRow): Batch | undefined {
    this.#rows.push(row);
    for (let index = 0; index < this.#columnCount; index++) {
      const text = row.fields[index] as string;
      this.#parameters.push((this.#converters[index] as (text: string) => SqlParameter)(text));
      this.#bytes += Buffer.byteLength(text);
    }
    const isFull = this.#rows.length >= this.#rowsMax || this.#bytes >= batchBytesMax;
    return isFull ? this.take() : undefined;
  }

  /** What was added since the last batch, or undefined if nothing was. */
  take(): Batch | undefined {
    const rows = this.#rows;
    if (rows.length === 0) return undefined;
    const batch = {
      rows,
      sql: this.#sql(rows.length),
      parameters: this.#parameters,
      bytes: this.#bytes,
    };
    this.#rows = [];
    this.#parameters = [];
    this.#bytes = 0;
    return batch;
  }

  #sql(rowCount: number): string {
    const known = this.#texts.get(rowCount);
    if (known !== undefined) return known;
    let parameter = 1;
    const tuples = Array.from({ length: rowCount }, () => {
      const places = Array.from({ length: this.#columnCount }, () => `$${parameter++}`);
      return `(${places.join(',')})`;
    });
    const sql = this.#head + tuples.join(',');
    if (rowCount === this.#rowsMax) this.#texts.set(rowCount, sql);
    return sql;
  }
}

/** Thrown to end a rehearsal without writing. */
class Rehearsed extends Error {
  override readonly name = 'Rehearsed';
}

async function rehearse(file: CheckedFile, options: LoadOptions): Promise<void> {
  let group: Batch[] = [];
  let bytes = 0;
  for await (const batch of batches(file)) {
    group.push(batch);
    bytes += batch.bytes;
    if (bytes < rehearsalBytesMax) continue;
    await rehearseGroup(file, options, group);
    group = [];
    bytes = 0;
  }
  if (group.length > 0) await rehearseGroup(file, options, group);
}

async function rehearseGroup(
  file: CheckedFile,
  options: LoadOptions,
  group: readonly Batch[],
): Promise<void> {
  let failedAt = 0;
  const error = await problemOf(options, async (tx) => {
    for (failedAt = 0; failedAt < group.length; failedAt++) await run(tx, group[failedAt] as Batch);
  });
  if (error === undefined) return;
  const before = group.slice(0, failedAt);
  const { rows } = group[failedAt] as Batch;
  // The fewest rows of the batch that are refused: the last of them is the bad one.
  let good = 0;
  let bad = rows.length;
  let reason = error;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    const prefix = batchOf(file, rows.slice(0, middle));
    const problem = await problemOf(options, async (tx) => {
      for (const batch of before) await run(tx, batch);
      await run(tx, prefix);
    });
    if (problem === undefined) {
      good = middle;
    } else {
      bad = middle;
      reason = problem;
    }
  }
  throw refusedRow(file, rows[bad - 1] as CsvRow, reason);
}

async function run(tx: Transaction, batch: Batch): Promise<void> {
  await tx.execute(batch.sql, batch.parameters);
}

function batchOf(file: CheckedFile, rows: readonly CsvRow[]): Batch {
  const writer = new BatchWriter(file);
  for (const row of rows) writer.add(row);
  return writer.take() ?? { rows: [], sql: '', parameters: [], bytes: 0 };
}

/** Runs `body` in a transaction that is always thrown away; returns what the database refused, if anything. */
async function problemOf(
  options: LoadOptions,
  body: (tx: Transaction) => Promise<void>,
): Promise<VerityError | undefined> {
  try {
    await options.tenant.transaction(async (tx) => {
      await body(tx);
      throw new Rehearsed('rehearsal done');
    });
    return undefined;
  } catch (error) {
    if (error instanceof Rehearsed) return undefined;
    // Classes 22 and 23 of SQLSTATE: the data is wrong, not the machine.
    if (error instanceof VerityError && /^2[23]/.test(error.sqlState)) return error;
    throw error;
  }
}

function refusedRow(file: CheckedFile, row: CsvRow, reason: VerityError): VerityError {
  const name = reason.details['column'];
  const index = file.columns.findIndex((column) => column.name === name);
  const place = { file: file.path, line: row.line };
  const exact =
    index < 0 ? place : { ...place, column: index + 1, name: file.columns[index]?.name };
  return invalidFile(exact, `${reason.message}`);
}
