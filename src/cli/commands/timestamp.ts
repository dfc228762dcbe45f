import { readFileSync } from 'node:fs';
import type { TimeStampReport } from '../../database/index.ts';
import { type ExitCode, usageError } from '../failure.ts';
import { type Invocation, openDatabase } from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';
import { printable } from '../output/value-text.ts';
import { count } from '../progress.ts';

export type TimeStampRequest =
  | {
      readonly verb: 'add';
      readonly url: string;
      /** Path of a PEM file. */
      readonly ca: string;
      readonly everySeconds: number | undefined;
    }
  | { readonly verb: 'remove' }
  | { readonly verb: 'list' }
  | { readonly verb: 'stamp' };

/** `verity timestamp add|remove|list|stamp DIR`. */
export async function runTimeStamp(
  invocation: Invocation,
  request: TimeStampRequest,
): Promise<ExitCode> {
  const { output, options } = invocation;
  const ca = request.verb === 'add' ? pemOf(request.ca) : '';
  await using database = await openDatabase(
    invocation,
    request.verb === 'list' ? 'readOnly' : 'write',
  );
  const { timestamps } = database;
  if (request.verb === 'add') {
    const { url, everySeconds } = request;
    await timestamps.setAuthority(url, ca, everySeconds === undefined ? {} : { everySeconds });
  }
  if (request.verb === 'remove') await timestamps.removeAuthority();
  const stamps = request.verb === 'stamp' ? [await timestamps.stamp()] : timestamps.list();
  const { authority } = timestamps;
  const facts =
    authority === undefined ? null : { url: authority.url, everySeconds: authority.everySeconds };
  const lines = [
    authority === undefined ? 'no authority is named' : `authority  ${authority.url}`,
    ...stamps.map(lineOf),
  ];
  const text = lines.map((line) => `${printable(line)}\n`).join('');
  await output.write(
    options.json === true ? jsonDocument({ authority: facts, timestamps: stamps }) : text,
  );
  return 0;
}

function lineOf({ size, time, authority, serial }: TimeStampReport): string {
  return `${time.toISOString()}  ${count(Number(size))} events  ${authority}  serial ${serial}`;
}

function pemOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    throw usageError(`--ca: the file ${path} cannot be read.`);
  }
}
