import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { CsvError, type Parser, parse } from 'csv-parse';
import { limits, VerityError } from '../../base/index.ts';
import { invalidFile } from './invalid-file.ts';

/** One row of a CSV file. */
export interface CsvRow {
  /** The line on which the row starts, from 1. */
  readonly line: number;
  readonly fields: readonly string[];
}

const chunkBytes = 256 << 10;
/** A row may be as large as a command; an unclosed quote must not swallow the memory. */
const rowBytesMax = limits.commandBytesMax + limits.blobBytesMax;

/**
 * Reads a CSV file (RFC 4180; comma; LF, CRLF or CR; UTF-8 with or without a byte order mark) and yields
 * its rows in groups, the header included, as they come off the disk. Blank lines are skipped.
 *
 * Throws IMPORT_INVALID with line and column for bad quoting and for bytes that are not UTF-8, and
 * IO_ERROR when the file cannot be read. `onBytes` hears how many bytes each step took.
 */
export async function* readCsvFile(
  path: string,
  onBytes?: (bytes: number) => void,
): AsyncGenerator<readonly CsvRow[], void, undefined> {
  const reader = new CsvReader(path);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: chunkBytes })) {
      const rows = await reader.add(chunk as Buffer);
      onBytes?.((chunk as Buffer).length);
      yield rows;
    }
  } catch (error) {
    throw readError(path, error);
  }
  yield await reader.end();
}

function readError(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (error instanceof VerityError || error instanceof CsvError || typeof code !== 'string')
    return error;
  const reason =
    code === 'ENOENT'
      ? 'there is no such file'
      : code === 'EACCES'
        ? 'permission denied'
        : code === 'EISDIR'
          ? 'it is a directory'
          : code;
  return new VerityError('IO_ERROR', `Cannot read ${path}: ${reason}. Check the path.`, {
    cause: error,
    details: { file: path, reason: code },
  });
}

class CsvReader {
  readonly #path: string;
  readonly #parser: Parser;
  #rows: CsvRow[] = [];
  /** Line breaks in the rows so far; blank lines are counted by the parser. */
  #lineBreaks = 0;
  #emptyLines = 0;
  /** Bytes of a character that the next chunk completes. */
  #carry: Buffer = Buffer.alloc(0);
  #failure: Error | undefined;

  constructor(path: string) {
    this.#path = path;
    this.#parser = parse({
      bom: false, // Removed below: csv-parse would take two other bytes as UTF-16.
      relax_column_count: true,
      skip_empty_lines: true,
      record_delimiter: ['\r\n', '\n', '\r'],
      max_record_size: rowBytesMax,
      on_record: (fields: string[], context) => {
        this.#emptyLines = context.empty_lines;
        this.#rows.push({ line: this.#nextLine(), fields });
        this.#lineBreaks += 1 + lineBreaksIn(fields);
        return null;
      },
    });
    this.#parser.on('error', (error) => (this.#failure ??= error));
  }

  /** Parses one chunk; returns the rows that are complete. */
  async add(chunk: Buffer): Promise<readonly CsvRow[]> {
    let bytes = this.#carry.length === 0 ? chunk : Buffer.concat([this.#carry, chunk]);
    const whole = bytes.length - unfinishedBytes(bytes);
    this.#carry = bytes.subarray(whole);
    bytes = this.#withoutMark(bytes.subarray(0, whole));
    if (!isUtf8(bytes)) await this.#refuseBytes(bytes);
    await this.#write(bytes);
    return this.#taken();
  }

  async end(): Promise<readonly CsvRow[]> {
    if (this.#carry.length > 0) await this.#refuseBytes(this.#carry);
    await this.#finish();
    return this.#taken();
  }

  #started = false;
  #withoutMark(bytes: Buffer): Buffer {
    if (this.#started || bytes.length === 0) return bytes;
    this.#started = true;
    const isMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    return isMark ? bytes.subarray(3) : bytes;
  }

  #taken(): readonly CsvRow[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  #nextLine(): number {
    return 1 + this.#lineBreaks + this.#emptyLines;
  }

  async #write(bytes: Buffer): Promise<void> {
    await new Promise<void>((resolve) => this.#parser.write(bytes, () => resolve()));
    this.#throwFailure();
  }

  async #finish(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#parser.once('close', resolve).once('end', resolve);
      this.#parser.resume();
      this.#parser.end();
    });
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure === undefined) return;
    const error = this.#failure;
    if (!(error instanceof CsvError)) throw error;
    this.#emptyLines = this.#parser.info.empty_lines;
    const column = typeof error['index'] === 'number' ? error['index'] + 1 : 1;
    throw invalidFile(
      { file: this.#path, line: this.#nextLine(), column },
      quotingProblem(error.code),
    );
  }

  /** Finds the first byte that is not UTF-8, parses what stands before it to learn its place, and throws. */
  async #refuseBytes(bytes: Buffer): Promise<never> {
    await this.#write(bytes.subarray(0, firstBadByte(bytes)));
    this.#rows = [];
    const lineBefore = this.#nextLine();
    // The row is cut off inside its field: end it there and count what it has.
    await new Promise<void>((resolve) => this.#parser.write(Buffer.from('x'), () => resolve()));
    await this.#finish().catch((error: unknown) => {
      const { column } = (error as VerityError).details;
      throw this.#notUtf8(lineBefore, typeof column === 'number' ? column : 1);
    });
    const [row] = this.#rows;
    throw this.#notUtf8(row?.line ?? lineBefore, row?.fields.length ?? 1);
  }

  #notUtf8(line: number, column: number): VerityError {
    return invalidFile(
      { file: this.#path, line, column },
      'the bytes are not UTF-8. Convert the file to UTF-8 first.',
    );
  }
}

function quotingProblem(code: string): string {
  switch (code) {
    case 'CSV_QUOTE_NOT_CLOSED':
      return 'a quote is opened and never closed.';
    case 'CSV_INVALID_CLOSING_QUOTE':
      return 'text follows a closing quote. A quote within quotes is written twice.';
    case 'INVALID_OPENING_QUOTE':
      return 'a quote stands within an unquoted field. Quote the whole field and double the quote.';
    case 'CSV_MAX_RECORD_SIZE':
      return `the row is longer than ${rowBytesMax} bytes; perhaps a quote is not closed.`;
    default:
      return 'this is not CSV.';
  }
}

function lineBreaksIn(fields: readonly string[]): number {
  let count = 0;
  for (const field of fields) {
    for (let index = 0; index < field.length; index++) {
      const code = field.charCodeAt(index);
      // CRLF is one line break, counted at its LF.
      if (code === 10 || (code === 13 && field.charCodeAt(index + 1) !== 10)) count++;
    }
  }
  return count;
}

/** How many bytes at the end begin a UTF-8 character without completing it (0–3). */
function unfinishedBytes(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] as number;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) {
      const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return needed > back ? back : 0;
    }
  }
  return 0;
}

/** The index of the first byte that is not part of a UTF-8 character. */
function firstBadByte(bytes: Buffer): number {
  let good = 0;
  let bad = bytes.length;
  // The longest valid prefix, by halving: a prefix may be cut within its last character.
  while (good < bad) {
    const middle = (good + bad + 1) >> 1;
    const prefix = bytes.subarray(0, middle);
    if (isUtf8(prefix.subarray(0, middle - unfinishedBytes(prefix)))) good = middle;
    else bad = middle - 1;
  }
  return good - unfinishedBytes(bytes.subarray(0, good));
}
