import { readFileSync } from 'node:fs';

const [space, tab, lineFeed, carriageReturn, equals, hash] = [0x20, 0x09, 0x0a, 0x0d, 0x3d, 0x23];
const quotes = new Set(['"', "'", '`'].map((quote) => quote.charCodeAt(0)));
const exported = /^(?:export +)?$/;

/**
 * The value of a variable in `.env` in the working directory, without its quotes; undefined if there is none. Read
 * as bytes, so that no key becomes text. The caller wipes it.
 */
export function variableOfEnvFile(variable: string): Uint8Array | undefined {
  let file: Buffer;
  try {
    file = readFileSync('.env');
  } catch {
    return undefined; // No such file, or none that we may read: then it names nothing.
  }
  const value = lastValue(file, Buffer.from(variable, 'utf8'));
  file.fill(0);
  return value;
}

function lastValue(file: Buffer, name: Buffer): Uint8Array | undefined {
  let value: Uint8Array | undefined;
  for (let at = file.indexOf(name); at >= 0; at = file.indexOf(name, at + 1)) {
    const lineStart = file.lastIndexOf(lineFeed, at) + 1;
    const before = file.toString('latin1', lineStart, at).trimStart();
    const sign = skipBlanks(file, at + name.length);
    if (!exported.test(before) || file[sign] !== equals) continue;
    value?.fill(0);
    value = valueAt(file, skipBlanks(file, sign + 1));
  }
  return value;
}

function valueAt(file: Buffer, start: number): Uint8Array {
  const quote = quotes.has(file[start] ?? 0) ? file[start] : undefined;
  const from = quote === undefined ? start : start + 1;
  let end = from;
  while (end < file.length && !endsValue(file[end] as number, quote)) end += 1;
  while (quote === undefined && end > from && isBlank(file[end - 1])) end -= 1;
  return Uint8Array.from(file.subarray(from, end));
}

function endsValue(code: number, quote: number | undefined): boolean {
  return quote === undefined ? code === lineFeed || code === hash : code === quote;
}

function skipBlanks(file: Buffer, start: number): number {
  let at = start;
  while (at < file.length && file[at] !== lineFeed && isBlank(file[at])) at += 1;
  return at;
}

function isBlank(code: number | undefined): boolean {
  return code === space || code === tab || code === carriageReturn;
}
