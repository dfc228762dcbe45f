import { readFileSync, statSync } from 'node:fs';
import { VerityError } from '../../base/index.ts';
import {
  receiptBytesMax,
  type ReceiptResult,
  tlogProofs,
  type VerifyOptions,
  verifyReceipt,
} from '../../receipt/index.ts';
import { readTrusted, verifyTimeStamp } from '../../witness/index.ts';
import { type ExitCode, usageError } from '../failure.ts';
import { count } from '../progress.ts';
import { checkExport, type ExportChecked } from './export.ts';
import { jsonDocument } from '../output/json.ts';
import { receiptText } from '../output/receipt-text.ts';
import { tableStyle } from '../output/table.ts';
import { printable } from '../output/value-text.ts';
import type { Output, Terminal } from '../terminal.ts';

export interface CheckRequest {
  readonly key?: readonly string[];
  readonly witness?: readonly string[];
  readonly quorum?: string;
  readonly origin?: string;
  readonly tsaCa?: string;
  readonly json?: boolean;
  readonly tlogProofs?: boolean;
  readonly page?: boolean;
}

const page = new URL('../../page/verify.html', import.meta.url);

/** `verity check FILE --key VKEY`: whether a receipt holds, and what it shows. */
export async function runCheck(
  { terminal, output }: { readonly terminal: Terminal; readonly output: Output },
  file: string | undefined,
  request: CheckRequest,
): Promise<ExitCode> {
  if (request.page === true) {
    await output.write(readFileSync(page, 'utf8'));
    return 0;
  }
  if (file === undefined)
    throw usageError(
      'FILE is missing: name the receipt or the directory of an export, or give --page. Try `verity check --help`.',
    );
  if (request.tlogProofs === true) {
    await output.write(jsonDocument(proofsOf(await readReceipt(file, terminal))));
    return 0;
  }
  const options = optionsOf(request);
  if (isDirectory(file)) {
    const checked = checkExport(file, options);
    if (!checked.ok && checked.check === 'options') throw usageError(checked.message);
    if (request.json === true) await output.write(jsonDocument(checked));
    else if (checked.ok) await output.write(exportText(checked.export));
    else terminal.stderr.write(exportFailure(checked));
    return checked.ok ? 0 : 3;
  }
  const result = verifyReceipt(await readReceipt(file, terminal), options);
  // What the caller brought is wrong: a matter of usage, not of the receipt.
  if (!result.ok && result.check === 'options') throw usageError(result.message);
  if (request.json === true) await output.write(jsonDocument(result));
  else if (result.ok) await output.write(receiptText(result.receipt, tableStyle(terminal)));
  else terminal.stderr.write(failureText(result));
  return result.ok ? 0 : 3;
}

function isDirectory(path: string): boolean {
  return path !== '-' && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function exportText(of: Extract<ExportChecked, { ok: true }>['export']): string {
  const { tenant, origin, position, receipts, events, tables, streams, checkpoint } = of;
  const lines = [
    `The export holds. It is of tenant ${printable(JSON.stringify(tenant.name ?? tenant.id))} in the log ${printable(origin)} as of position ${position}. ${otherTables(of)}`,
    ...tables.map(
      ({ name, rows }) => `  table ${printable(name)}: ${count(rows)} rows, all that there were`,
    ),
    ...streams.map(
      ({ name, events: of }) =>
        `  stream ${printable(name)}: ${count(of)} events, none left out before the last`,
    ),
    `Proved by ${count(receipts)} receipts of ${count(events)} events and the checkpoint of ${count(checkpoint.size)} events, taken ${checkpoint.time}.`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Whether a table may have been left out as a whole. */
function otherTables({ tablesNotShown }: Extract<ExportChecked, { ok: true }>['export']): string {
  if (tablesNotShown === 0) return 'No table with rows was left out.';
  return tablesNotShown === undefined
    ? 'That no table was left out is not proved.'
    : `The log has ${count(tablesNotShown)} more with rows: of other tenants, or left out.`;
}

function exportFailure({ file, message, check }: Extract<ExportChecked, { ok: false }>): string {
  return `The export does not hold: ${printable(file)}: ${printable(message)} [check: ${check}]\n`;
}

function failureText({ check, message }: Extract<ReceiptResult, { ok: false }>): string {
  return `The receipt does not hold: ${printable(message).replaceAll('\n', ' ')} [check: ${check}]\n`;
}

function optionsOf({ key, witness, quorum, origin, tsaCa }: CheckRequest): VerifyOptions {
  if (key === undefined)
    throw usageError(
      "Give the log's verifier key with --key, from whoever you trust to know it. `verity keys export-public` prints it.",
    );
  if (quorum !== undefined && !/^[0-9]{1,4}$/.test(quorum))
    throw usageError('--quorum takes a whole number.');
  const trusted = tsaCa === undefined ? undefined : readTrusted(readFile(tsaCa).toString('utf8'));
  return {
    keys: key,
    ...(origin !== undefined && { origin }),
    ...(witness !== undefined && { witnesses: witness }),
    ...(quorum !== undefined && { quorum: Number(quorum) }),
    ...(trusted !== undefined && {
      verifyTimeStamp: (token: Uint8Array, message: Uint8Array) => {
        const { time, authority } = verifyTimeStamp(token, message, trusted);
        return { time: time.toISOString(), authority };
      },
    }),
  };
}

function proofsOf(receipt: Uint8Array): unknown {
  try {
    return tlogProofs(
      new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(receipt),
    ).map(({ leaf, commitment, proof }) => ({
      leaf,
      commitment: Buffer.from(commitment).toString('hex'),
      proof,
    }));
  } catch (error) {
    throw new VerityError('PROOF_MALFORMED', (error as Error).message, { cause: error });
  }
}

async function readReceipt(file: string, { stdin }: Terminal): Promise<Uint8Array> {
  if (file !== '-') return readFile(file);
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of stdin as AsyncIterable<Buffer>) {
    parts.push(Buffer.from(part));
    length += part.length;
    // One byte too many is enough: the check says so.
    if (length > receiptBytesMax) break;
  }
  return Buffer.concat(parts);
}

function readFile(path: string): Buffer {
  try {
    const { size } = statSync(path);
    if (size > receiptBytesMax) throw new Error('it is larger than 64 MiB');
    return readFileSync(path);
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
    throw new VerityError('IO_ERROR', `Cannot read ${path}: ${why}. Check the path.`, {
      cause: error,
    });
  }
}
