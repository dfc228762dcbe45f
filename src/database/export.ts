/** Writes everything of a tenant to files, with what proves it: docs/format/export.md. */
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import {
  type ColumnType,
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  toHex,
  treeOf,
  utf8Decode,
  utf8Encode,
  type Value,
  VerityError,
} from '../base/index.ts';
import { blobOf, encodeKey, groupedRowCodec, rowIdKey, type TableSchema } from '../codec/index.ts';
import type { Engine, SignedCheckpoint } from '../engine/index.ts';
import {
  decodeStreamRow,
  objectKey,
  parseStreamKey,
  streamsObject,
  tablesObject,
  tablesOf,
} from '../kernel/index.ts';
import { formatVkey } from '../proof/index.ts';
import {
  ExportedTable,
  type ExportFormat,
  exportFormats,
  streamLine,
  type StateProof,
} from '../receipt/index.ts';
import { bytesOfKey } from '../sql/index.ts';
import type { ReadView } from '../store/index.ts';
import { positionsReceipt, stateReceipt } from './receipts.ts';

export interface ExportOptions {
  /** A new or empty directory. */
  readonly out: string;
  /** Form of the rows of tables; default 'jsonl'. */
  readonly format?: ExportFormat;
  /** Whether receipts of all events, and of the state of all tables, are written too. */
  readonly withProofs?: boolean;
  readonly onProgress?: (done: number, total: number) => void;
}

/** What was written. */
export interface ExportReport {
  readonly position: bigint;
  readonly tables: readonly {
    readonly name: string;
    readonly file: string;
    readonly rows: number;
  }[];
  readonly streams: readonly {
    readonly name: string;
    readonly file: string;
    readonly events: number;
  }[];
  /** Values over 1 MiB, in files of their own. */
  readonly blobs: number;
  /** Receipts of events; 0 without proofs. */
  readonly receipts: number;
}

interface Scope {
  readonly engine: Engine;
  readonly tenant: { readonly id: TenantId; readonly name: string };
  readonly options: Required<Pick<ExportOptions, 'out' | 'format'>> & ExportOptions;
}

/** The state that is exported. */
interface ExportedState {
  readonly position: Position;
  readonly tables: readonly TableSchema[];
  readonly proofs: readonly {
    readonly table: TableSchema;
    readonly proof: StateProof;
    readonly leaf: number | undefined;
  }[];
  readonly checkpoint: SignedCheckpoint | undefined;
}

/** Events of one receipt, unless a single position has more. */
const eventsPerReceipt = 1_000;
const bytesPerReceipt = 4 << 20;
/** Lines handed to a file at a time. */
const linesPerWrite = 1_000;

/**
 * Writes a tenant's rows and streams as they are now, and with proofs receipts of all its events and of the state of every
 * table. Rejects with IO_ERROR, INVALID_ARGUMENT, READ_ONLY where a checkpoint is needed that this handle cannot sign.
 */
export async function exportTenant(
  engine: Engine,
  tenant: Scope['tenant'],
  options: ExportOptions,
): Promise<ExportReport> {
  const { format = 'jsonl', out } = options;
  if (!exportFormats.includes(format))
    throw new VerityError('INVALID_ARGUMENT', `format must be one of ${exportFormats.join(', ')}.`);
  engine.checkReadable();
  engine.catchUp();
  const scope: Scope = { engine, tenant, options: { ...options, format, out } };
  makeEmpty(out);
  const state = await stateOf(scope);
  const blobs = new Set<string>();
  const view = engine.state.store.viewAt(state.position);
  const tables = state.tables.map((table, number) =>
    writeTable(scope, view, { table, number, blobs }),
  );
  const streams = writeStreams(scope, view);
  const receipts = options.withProofs === true ? await writeProofs(scope, state) : 0;
  const report = { position: BigInt(state.position), tables, streams, blobs: blobs.size, receipts };
  writeFile(out, 'manifest.json', manifestOf(scope, report, state));
  return report;
}

function makeEmpty(out: string): void {
  writing(out, () => {
    mkdirSync(out, { recursive: true, mode: 0o700 });
    if (readdirSync(out).length > 0)
      throw new VerityError(
        'INVALID_ARGUMENT',
        `${out} is not empty. Name a new or an empty directory.`,
      );
  });
}

async function stateOf({ engine, tenant, options }: Scope): Promise<ExportedState> {
  const liveAt = (position: Position): TableSchema[] =>
    tablesOf(engine.state.store.viewAt(position), tenant.id);
  if (options.withProofs !== true) {
    const position = engine.committedPosition;
    return { position, tables: liveAt(position), proofs: [], checkpoint: undefined };
  }
  const { captured, checkpoint } = await engine.proofs.captureAtState(({ position }) => {
    const tables = liveAt(position);
    const view = engine.state.store.viewAt(position);
    const proofs = tables.map((table) => {
      const first = view.scan(treeOf(tenant.id, table.id), {}).next();
      const key = first?.key ?? someKey(table);
      const leaf = view.get(treeOf(tenant.id, table.id), key)?.leaf;
      const row = { tenant: tenant.id, table: table.id, key: bytesOfKey(key) };
      return { table, proof: engine.proveRow(row), leaf };
    });
    return { position, tables, proofs };
  });
  const position = checkpoint.record.state?.position ?? captured.position;
  return { ...captured, position, checkpoint };
}

/** A key that a row of the table might have: of an empty one any will do. */
function someKey({ primaryKey, columns }: TableSchema): StoreKey {
  if (primaryKey.length === 0) return rowIdKey(1);
  const types = primaryKey.map(
    (ordinal) => (columns[ordinal] as TableSchema['columns'][number]).type,
  );
  return encodeKey(types, types.map(someValue));
}

function someValue({ name }: ColumnType): Value {
  switch (name) {
    case 'bigint':
    case 'timestamp':
    case 'timestamptz':
      return 0n;
    case 'boolean':
      return false;
    case 'bytea':
      return new Uint8Array();
    case 'uuid':
      return '00000000-0000-0000-0000-000000000000';
    case 'numeric':
      return '0';
    case 'text':
    case 'varchar':
    case 'jsonb':
      return '';
    default:
      return 0;
  }
}

function writeTable(
  { engine, tenant, options }: Scope,
  view: ReadView,
  of: { readonly table: TableSchema; readonly number: number; readonly blobs: Set<string> },
): ExportReport['tables'][number] {
  const { table, number, blobs } = of;
  const schema = view.get(treeOf(tenant.id, tablesObject), objectKey(table.id as ObjectId))?.row;
  if (schema === undefined) throw new VerityError('IO_ERROR', `The table ${table.name} is gone.`);
  const exported = new ExportedTable(schema);
  const codec = groupedRowCodec(exported.definition.columns);
  const file = `tables/${fileName(number, table.name)}.${options.format}`;
  const cursor = view.scan(treeOf(tenant.id, table.id), {});
  let rows = 0;
  writeLines(options.out, file, function* lines() {
    yield exported.header(options.format);
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      rows += 1;
      yield exported.line(options.format, exported.row(entry.row));
      for (const value of codec.decode(entry.row)) {
        const reference = blobOf(value);
        if (reference === undefined || blobs.has(toHex(reference.digest))) continue;
        blobs.add(toHex(reference.digest));
        const read = engine.state.readBlob(tenant.id, reference);
        const bytes = typeof read === 'string' ? utf8Encode(read) : read;
        writeFile(options.out, `blobs/${createHash('sha256').update(bytes).digest('hex')}`, bytes);
      }
    }
  });
  return { name: table.name, file, rows };
}

function writeStreams({ tenant, options }: Scope, view: ReadView): ExportReport['streams'] {
  const streams: { name: string; file: string; events: number }[] = [];
  const cursor = view.scan(treeOf(tenant.id, streamsObject), {});
  let entry = cursor.next();
  while (entry !== undefined) {
    const { stream: name } = parseStreamKey(entry.key);
    const file = `streams/${fileName(streams.length, name)}.jsonl`;
    let events = 0;
    writeLines(options.out, file, function* lines() {
      for (; entry !== undefined; entry = cursor.next()) {
        const { stream, version } = parseStreamKey(entry.key);
        if (stream !== name) return;
        events += 1;
        yield streamLine(version, entry.from, utf8Decode(decodeStreamRow(entry.row).data));
      }
    });
    streams.push({ name, file, events });
  }
  return streams;
}

async function writeProofs(scope: Scope, state: ExportedState): Promise<number> {
  const { engine, tenant, options } = scope;
  const { checkpoint } = state;
  if (checkpoint === undefined) return 0;
  for (const [number, { table, proof, leaf }] of state.proofs.entries()) {
    const text = stateReceipt(engine, {
      tenant: tenant.id,
      leaves: leaf === undefined ? [] : [leaf as never],
      state: [proof],
      tables: [table.id as ObjectId],
      checkpoint,
    });
    writeFile(options.out, `proofs/state/${fileName(number, table.name)}.json`, text);
  }
  let receipts = 0;
  for (const range of rangesOf(scope, state.position)) {
    receipts += 1;
    const text = await positionsReceipt(engine, tenant.id, { ...range, isSingle: false }, {});
    writeFile(options.out, `proofs/events/${String(receipts).padStart(8, '0')}.json`, text);
    options.onProgress?.(Number(range.to), state.position);
  }
  return receipts;
}

/** The tenant's positions in runs, each for one receipt. */
function* rangesOf(
  { engine, tenant }: Scope,
  to: Position,
): Generator<{ readonly from: bigint; readonly to: bigint }, void> {
  let from: bigint | undefined;
  let last = 0n;
  let events = 0;
  let bytes = 0;
  for (const command of engine.opened.between(tenant.id, 1 as Position, to)) {
    const position = BigInt(command[0]?.event.position ?? 0);
    if (from !== undefined && (events >= eventsPerReceipt || bytes >= bytesPerReceipt)) {
      yield { from, to: last };
      from = undefined;
      events = 0;
      bytes = 0;
    }
    from ??= position;
    last = position;
    events += command.length;
    bytes += command.reduce((sum, event) => sum + event.bytes.length, 0);
  }
  if (from !== undefined) yield { from, to: last };
}

function manifestOf(
  { engine, tenant, options }: Scope,
  report: ExportReport,
  state: ExportedState,
): string {
  const { tables, streams, receipts } = report;
  const manifest = {
    format: 'veritydb/export/v1',
    tenant: tenant.name,
    origin: engine.proofs.origin,
    keys: engine.proofs.vkeys.map((vkey) => formatVkey(vkey)),
    position: Number(report.position),
    rows: options.format,
    tables: tables.map((table, number) => ({
      ...table,
      ...(state.checkpoint && { state: `proofs/state/${fileName(number, table.name)}.json` }),
    })),
    streams,
    receipts,
  };
  return `${JSON.stringify(manifest, undefined, 2)}\n`;
}

/** A name that any file system takes; the manifest has the real one. */
function fileName(number: number, name: string): string {
  return `${String(number + 1).padStart(4, '0')}-${name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 60)}`;
}

function writeFile(out: string, file: string, content: string | Uint8Array): void {
  writing(file, () => {
    const path = join(out, file);
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
    if (existsSync(path)) return;
    writeFileSync(path, content, { mode: 0o600, flag: 'wx' });
  });
}

function writeLines(out: string, file: string, lines: () => Iterable<string>): void {
  const path = join(out, file);
  const descriptor = writing(file, () => {
    mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
    return openSync(path, 'wx', 0o600);
  });
  try {
    let waiting: string[] = [];
    const flush = (): void => {
      const bytes = utf8Encode(waiting.join(''));
      waiting = [];
      writing(file, () => {
        for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
      });
    };
    for (const line of lines()) if (waiting.push(line) >= linesPerWrite) flush();
    flush();
  } finally {
    closeSync(descriptor);
  }
}

function writing<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof VerityError) throw error;
    const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new VerityError('IO_ERROR', `Cannot write ${what}: ${why}.`, { cause: error });
  }
}
