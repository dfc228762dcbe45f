import { VerityError } from '../../base/index.ts';

export interface FilePlace {
  readonly file: string;
  /** From 1; the line on which the row starts, or the one with the field if it is known. */
  readonly line: number;
  /** From 1. */
  readonly column?: number;
  /** The column's name in the header. */
  readonly name?: string | undefined;
}

/** An IMPORT_INVALID that names file, line and column. `what` never repeats a value of the file. */
export function invalidFile(place: FilePlace, what: string): VerityError {
  const { file, line, column, name } = place;
  const named = name === undefined || name === '' ? '' : ` (${name})`;
  const where = column === undefined ? `line ${line}` : `line ${line}, column ${column}${named}`;
  return new VerityError(
    'IMPORT_INVALID',
    `${file}, ${where}: ${what} Nothing of this file was loaded.`,
    {
      details: {
        file,
        line,
        ...(column === undefined ? {} : { column }),
        ...(name ? { name } : {}),
      },
    },
  );
}
