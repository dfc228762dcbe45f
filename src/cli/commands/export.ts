import { existsSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { VerityError } from '../../base/index.ts';
import type { ExportReport } from '../../database/index.ts';
import {
  ExportCheck,
  type ExportedFile,
  type ExportFacts,
  type ExportFormat,
  type ReceiptResult,
  type VerifyOptions,
} from '../../receipt/index.ts';
import type { ExitCode } from '../failure.ts';
import { type Invocation, openDatabase } from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';
import { count } from '../progress.ts';

export interface ExportRequest {
  readonly tenant: string;
  readonly out: string;
  readonly format: ExportFormat;
  readonly withProofs: boolean;
}

/** `verity export DIR --tenant T --out DIR2`: everything of a tenant in files, with `--with-proofs` verifiable by anyone. */
export async function runExport(invocation: Invocation, request: ExportRequest): Promise<ExitCode> {
  const { tenant, ...options } = request;
  const { output } = invocation;
  // A checkpoint of the state may have to be signed.
  await using database = await openDatabase(invocation, options.withProofs ? 'write' : 'readOnly');
  const report = await database.exportTenant(tenant, options);
  await output.write(invocation.options.json === true ? jsonDocument(report) : reportText(report));
  return 0;
}

function reportText({ position, tables, streams, blobs, receipts }: ExportReport): string {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const events = streams.reduce((sum, stream) => sum + stream.events, 0);
  const parts = [
    `${count(rows)} rows of ${count(tables.length)} tables`,
    `${count(events)} events of ${count(streams.length)} streams`,
    ...(blobs > 0 ? [`${count(blobs)} large values`] : []),
    ...(receipts > 0 ? [`${count(receipts)} receipts`] : []),
  ];
  return `Exported as of position ${position}: ${parts.join(', ')}.\n`;
}

/** What is told of an export that was checked. */
export type ExportChecked =
  | {
      readonly ok: true;
      readonly export: Omit<ExportFacts, 'tables' | 'streams' | 'blobs'> & {
        readonly tables: readonly { readonly name: string; readonly rows: number }[];
        readonly streams: readonly { readonly name: string; readonly events: number }[];
      };
    }
  | { readonly ok: false; readonly check: string; readonly file: string; readonly message: string };

interface Manifest {
  readonly rows: ExportFormat;
  readonly tables: readonly {
    readonly name: string;
    readonly file: string;
    readonly state?: string;
  }[];
  readonly streams: readonly { readonly name: string; readonly file: string }[];
  readonly receipts: number;
}

/** Checks an export in a directory: its receipts, and every row and event of its files against them. */
export function checkExport(directory: string, options: VerifyOptions): ExportChecked {
  try {
    return checkFiles(directory, options);
  } catch (error) {
    if (error instanceof BadFile) return failed('format', error.file, error.message);
    throw error;
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** A file of an export that is missing, or is no text of the form that it must have. */
class BadFile extends Error {
  readonly file: string;

  constructor(file: string, message: string) {
    super(message);
    this.file = file;
  }
}

/** Throws BadFile. */
function checkFiles(directory: string, options: VerifyOptions): ExportChecked {
  const manifest = manifestOf(directory);
  const check = new ExportCheck(options);
  for (const { state } of manifest.tables) {
    if (state === undefined) return failed('format', 'manifest.json', 'The export has no proofs.');
    const problem = problemOf(state, check.state(read(directory, state)));
    if (problem !== undefined) return problem;
  }
  for (let number = 1; number <= manifest.receipts; number++) {
    const file = `proofs/events/${String(number).padStart(8, '0')}.json`;
    const problem = problemOf(file, check.receipt(read(directory, file)));
    if (problem !== undefined) return problem;
  }
  const result = check.finish(manifest.rows);
  if (!result.ok) return failed(result.check, 'proofs', result.message);
  const { tables, streams, blobs, ...facts } = result.export;
  const problem =
    compare(directory, manifest.tables, tables) ?? compare(directory, manifest.streams, streams);
  if (problem !== undefined) return problem;
  for (const digest of blobs) {
    const file = `blobs/${digest}`;
    const content = existsSync(join(directory, file))
      ? readFileSync(join(directory, file))
      : Buffer.of();
    if (createHash('sha256').update(content).digest('hex') !== digest)
      return failed('row', file, 'A large value is missing, or is not what the event names.');
  }
  return {
    ok: true,
    export: {
      ...facts,
      tables: tables.map(({ name, count: rows }) => ({ name, rows })),
      streams: streams.map(({ name, count: events }) => ({ name, events })),
    },
  };
}

/** Every file must be there, and hold what the receipts yield. */
function compare(
  directory: string,
  named: readonly { readonly name: string; readonly file: string }[],
  proved: readonly ExportedFile[],
): ExportChecked | undefined {
  for (const { name, file } of named)
    if (!proved.some((each) => each.name === name))
      return failed('row', file, `Nothing in the receipts is of "${name}".`);
  for (const { name, lines } of proved) {
    const file = named.find((each) => each.name === name)?.file;
    if (file === undefined) return failed('row', 'manifest.json', `"${name}" is left out.`);
    const text = read(directory, file);
    let at = 0;
    let line = 1;
    for (const expected of lines) {
      if (!text.startsWith(expected, at))
        return failed('row', file, `Line ${line} is not what the receipts prove.`);
      at += expected.length;
      line += 1;
    }
    if (at < text.length) return failed('row', file, `Line ${line} is in no receipt.`);
  }
  return undefined;
}

function problemOf(file: string, result: ReceiptResult): ExportChecked | undefined {
  return result.ok ? undefined : failed(result.check, file, result.message);
}

function failed(check: string, file: string, message: string): ExportChecked {
  return { ok: false, check, file, message };
}

function manifestOf(directory: string): Manifest {
  const file = 'manifest.json';
  if (!existsSync(join(directory, file)))
    throw new VerityError(
      'IO_ERROR',
      `There is no ${file} in ${directory}. Name the directory that "verity export" wrote.`,
    );
  const text = read(directory, file);
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch {
    throw new BadFile(file, 'It is not JSON.');
  }
  const { format, rows, tables, streams, receipts } = (manifest ?? {}) as Record<string, unknown>;
  const isOurs =
    format === 'veritydb/export/v1' &&
    (rows === 'jsonl' || rows === 'csv') &&
    areFiles(tables) &&
    areFiles(streams) &&
    Number.isSafeInteger(receipts);
  if (isOurs) return manifest as Manifest;
  throw new BadFile(file, 'It is not the manifest of an export.');
}

function areFiles(list: unknown): boolean {
  if (!Array.isArray(list)) return false;
  return list.every((each: unknown) => {
    const { name, file, state } = (each ?? {}) as Record<string, unknown>;
    const isPath = (path: unknown): boolean =>
      typeof path === 'string' && /^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*\.[a-z]+$/.test(path);
    return typeof name === 'string' && isPath(file) && (state === undefined || isPath(state));
  });
}

function read(directory: string, file: string): string {
  const path = join(directory, file);
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    if (why === 'ENOENT') throw new BadFile(file, 'It is missing.');
    throw new VerityError('IO_ERROR', `Cannot read ${path}: ${why}.`, { cause: error });
  }
  const text = utf8.decode(bytes);
  if (!Buffer.from(text).equals(bytes)) throw new BadFile(file, 'It is not UTF-8.');
  return text;
}
