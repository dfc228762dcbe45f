import { stat } from 'node:fs/promises';
import { limits, utf8Length, VerityError } from '../../base/index.ts';
import type { TableInfo } from '../../database/index.ts';
import { fits, TypeInference } from './column-type.ts';
import { type CsvRow, readCsvFile } from './csv-file.ts';
import { foldCase, identifierProblem, readIdentifier } from './identifier.ts';
import { invalidFile } from './invalid-file.ts';
import { keyForm } from './key-form.ts';
import { SeenKeys } from './unique-keys.ts';

export interface ImportColumn {
  readonly name: string;
  /** The SQL type; the table's own if the table exists. */
  readonly type: string;
}

/** A file that was read from end to end and fits its table. */
export interface CheckedFile {
  readonly path: string;
  readonly table: string;
  /** In the order of the file. */
  readonly columns: readonly ImportColumn[];
  readonly primaryKey: readonly string[];
  readonly rowCount: number;
  /** The table as it is, or undefined if the import creates it. */
  readonly existing: TableInfo | undefined;
  /** Size and time of change when it was checked: the load refuses a file that changed since. */
  readonly version: string;
}

export interface CheckOptions {
  readonly path: string;
  readonly table: string;
  readonly existing: TableInfo | undefined;
  /** The column that --primary-key names. */
  readonly primaryKey: string | undefined;
  readonly onBytes?: (bytes: number) => void;
}

/** Longest fields of a row together, so that a row always fits a command. */
const rowBytesMax = limits.commandBytesMax / 2;
/** Room for what a key's encoding adds. */
const keyBytesMax = limits.keyBytesMax / 2;
/** Keys to compare exactly; with more repeats than this the first comparison has found one. */
const suspectsMax = 10_000;

/**
 * Reads the whole file once and returns what loading it needs: columns with types, the primary key and
 * the number of rows. Holds a few bytes a row for the key check, never the rows.
 *
 * Throws IMPORT_INVALID naming file, line and column for the first row that could not be loaded.
 */
export async function checkFile(options: CheckOptions): Promise<CheckedFile> {
  const version = await fileVersion(options.path);
  const check = new FileCheck(options);
  for await (const rows of readCsvFile(options.path, options.onBytes)) {
    for (const row of rows) check.add(row);
  }
  const checked = check.finish(version);
  const repeated = await check.repeatedKey(checked);
  if (repeated === undefined) return checked;
  // Nobody asked for the column `id` to be the key: it is an ordinary column then.
  if (options.primaryKey === undefined && options.existing === undefined) {
    return { ...checked, primaryKey: [] };
  }
  throw repeated;
}

/** Tells versions of a file apart. Throws IO_ERROR. */
export async function fileVersion(path: string): Promise<string> {
  try {
    const { size, mtimeMs, ino } = await stat(path);
    return `${size} ${mtimeMs} ${ino}`;
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown';
    const what = reason === 'ENOENT' ? 'there is no such file' : reason;
    throw new VerityError('IO_ERROR', `Cannot read ${path}: ${what}. Check the path.`, {
      cause: error,
      details: { file: path, reason },
    });
  }
}

class FileCheck {
  readonly #options: CheckOptions;
  /** Names in the order of the file; empty before the header. */
  #names: readonly string[] = [];
  #types: (string | undefined)[] = [];
  #inferences: TypeInference[] = [];
  /** Where the key's columns stand in the file; undefined when there is no key to check. */
  #key: readonly number[] | undefined;
  #rowCount = 0;
  readonly #seen = new SeenKeys();
  readonly #suspects = new Set<number>();

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  add(row: CsvRow): void {
    if (this.#names.length === 0) {
      this.#header(row);
      return;
    }
    this.#shape(row);
    for (let index = 0; index < row.fields.length; index++) {
      const text = row.fields[index] as string;
      if (text !== '') this.#field(row, index, text);
    }
    if (this.#key !== undefined) this.#keyOf(row, this.#key);
    this.#rowCount++;
  }

  finish(version: string): CheckedFile {
    const { path, table, existing } = this.#options;
    if (this.#names.length === 0) {
      throw invalidFile({ file: path, line: 1 }, 'the file is empty; it needs a header line.');
    }
    const columns = this.#names.map((name, index) => ({
      name,
      type: this.#types[index] ?? (this.#inferences[index] as TypeInference).type,
    }));
    const primaryKey =
      existing?.primaryKey ?? this.#key?.map((index) => this.#names[index] as string) ?? [];
    return { path, table, columns, primaryKey, rowCount: this.#rowCount, existing, version };
  }

  /** Compares the keys that may repeat, on a second reading; returns the error for the first that does. */
  async repeatedKey(checked: CheckedFile): Promise<VerityError | undefined> {
    const key = this.#key;
    if (key === undefined || this.#suspects.size === 0) return undefined;
    const lines = new Map<string, number>();
    let isHeader = true;
    for await (const rows of readCsvFile(checked.path)) {
      for (const row of rows) {
        if (isHeader) {
          isHeader = false;
          continue;
        }
        if (!this.#suspects.has(this.#seen.hash(keyText(row, key, this.#types)))) continue;
        const exact = keyText(
          row,
          key,
          checked.columns.map((column) => column.type),
        );
        const first = lines.get(exact);
        if (first !== undefined) {
          return this.#invalid(row, key[0] as number, `the key is the same as on line ${first}.`);
        }
        lines.set(exact, row.line);
      }
    }
    return undefined;
  }

  #header(row: CsvRow): void {
    const { path, existing } = this.#options;
    const names = row.fields.map((field) => foldCase(field.trim()));
    if (names.length > limits.columnsMax) {
      throw invalidFile({ file: path, line: row.line }, `more than ${limits.columnsMax} columns.`);
    }
    for (const [index, name] of names.entries()) {
      const place = { file: path, line: row.line, column: index + 1 };
      const problem = identifierProblem(name);
      if (problem !== undefined) throw invalidFile(place, `in the header, ${problem}`);
      const first = names.indexOf(name);
      if (first !== index) {
        throw invalidFile({ ...place, name }, `column ${first + 1} has the same name.`);
      }
      if (existing !== undefined && !existing.columns.some((column) => column.name === name)) {
        throw invalidFile({ ...place, name }, `table ${existing.name} has no such column.`);
      }
    }
    this.#names = names;
    this.#types = names.map(
      (name) => existing?.columns.find((column) => column.name === name)?.type,
    );
    this.#inferences = names.map(() => new TypeInference());
    this.#key = this.#keyColumns(row);
  }

  #keyColumns(header: CsvRow): readonly number[] | undefined {
    const { path, existing, primaryKey } = this.#options;
    const indexOf = (name: string): number => this.#names.indexOf(name);
    const asked = primaryKey === undefined ? undefined : readIdentifier(primaryKey);
    if (asked !== undefined && indexOf(asked) < 0) {
      throw invalidFile(
        { file: path, line: header.line },
        `the header has no column ${asked}, which --primary-key names.`,
      );
    }
    if (existing !== undefined) {
      if (asked !== undefined && existing.primaryKey.join() !== asked) {
        throw new VerityError(
          'INVALID_ARGUMENT',
          `Table ${existing.name} exists already with another primary key. Leave out --primary-key.`,
        );
      }
      const key = existing.primaryKey.map(indexOf);
      return key.length === 0 || key.includes(-1) ? undefined : key;
    }
    const index = indexOf(asked ?? 'id');
    return index < 0 ? undefined : [index];
  }

  #shape(row: CsvRow): void {
    const expected = this.#names.length;
    const found = row.fields.length;
    if (found !== expected) {
      throw this.#invalid(
        row,
        Math.min(found, expected),
        `the row has ${found} ${found === 1 ? 'field' : 'fields'}, the header ${expected}.`,
      );
    }
    let bytes = 0;
    for (const field of row.fields) bytes += field.length;
    // UTF-8 takes at most three bytes a UTF-16 unit: short rows need no exact count.
    if (bytes * 3 <= limits.valueBytesMax) return;
    bytes = 0;
    for (const [index, field] of row.fields.entries()) {
      const fieldBytes = utf8Length(field);
      if (fieldBytes > limits.blobBytesMax) {
        throw this.#invalid(row, index, `the value is longer than ${limits.blobBytesMax} bytes.`);
      }
      // A larger one is not held by its row.
      if (fieldBytes <= limits.valueBytesMax) bytes += fieldBytes;
      if (bytes > rowBytesMax)
        throw this.#invalid(row, index, `the row is longer than ${rowBytesMax} bytes.`);
    }
  }

  #field(row: CsvRow, index: number, text: string): void {
    const type = this.#types[index];
    if (text.includes('\0')) throw this.#invalid(row, index, 'text cannot hold a NUL character.');
    if (type === undefined) (this.#inferences[index] as TypeInference).add(text);
    else if (!fits(text, type)) throw this.#invalid(row, index, `the value is not a ${type}.`);
  }

  #keyOf(row: CsvRow, key: readonly number[]): void {
    const missing = key.find((index) => row.fields[index] === '');
    const isAsked = this.#options.primaryKey !== undefined || this.#options.existing !== undefined;
    if (missing !== undefined) {
      if (isAsked) throw this.#invalid(row, missing, 'the primary key is empty.');
      this.#key = undefined;
      return;
    }
    const text = keyText(row, key, this.#types);
    if (text.length * 3 > keyBytesMax && utf8Length(text) > keyBytesMax) {
      if (isAsked)
        throw this.#invalid(row, key[0] as number, `the key is longer than ${keyBytesMax} bytes.`);
      this.#key = undefined;
      return;
    }
    const suspect = this.#seen.add(text);
    if (suspect !== undefined && this.#suspects.size < suspectsMax) this.#suspects.add(suspect);
  }

  #invalid(row: CsvRow, index: number, what: string): VerityError {
    const before = row.fields.slice(0, index);
    const line =
      row.line + before.reduce((breaks, field) => breaks + field.split(/\r\n|\r|\n/).length - 1, 0);
    return invalidFile(
      { file: this.#options.path, line, column: index + 1, name: this.#names[index] },
      what,
    );
  }
}

function keyText(
  row: CsvRow,
  key: readonly number[],
  types: readonly (string | undefined)[],
): string {
  return key.map((index) => keyForm(row.fields[index] as string, types[index])).join('\0');
}
