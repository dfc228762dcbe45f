/** What every written row of a table must pass, compiled once per definition. */
import { limits, type StoreKey, utf8Length, type Value, VerityError } from '../../base/index.ts';
import { blobOf, type Column, type TableSchema, Writer } from '../../codec/index.ts';
import type { ExecutionContext } from '../contract.ts';
import { compile, type Evaluate } from '../execute/compile.ts';
import { compileKeep } from '../execute/stored-values.ts';
import { coerceToColumn } from '../types/index.ts';
import { hasModifier } from '../bind/type-rules.ts';
import { indexesOf, indexKey, layoutOf } from './table-layout.ts';

export interface TableWriter {
  /** Each column's default; undefined: NULL. */
  readonly defaults: readonly (Evaluate | undefined)[];
  /**
   * Brings the row's values into their columns' length and precision (in place) and checks NOT NULL and
   * CHECK; values too large for a row give way to references. Throws STRING_TOO_LONG, NUMERIC_OUT_OF_RANGE,
   * NOT_NULL_VIOLATION, CHECK_VIOLATION, VALUE_TOO_LARGE or COMMAND_TOO_LARGE.
   */
  check(values: Value[], context: ExecutionContext): void;
  /** The bytes of the row under a key. Throws VALUE_TOO_LARGE naming the column or the index. */
  encode(values: readonly Value[], key: StoreKey): Uint8Array;
}

const writers = new WeakMap<TableSchema, TableWriter>();
const noParameters: readonly Value[] = [];
const slabBytes = 64 << 10;
const smallRowBytes = 4_096;
/** Rows lie behind one another in pieces of memory this large: an array buffer for each would cost more than the row. */
let slab = new Writer(slabBytes);

export function tableWriterOf(table: TableSchema): TableWriter {
  let writer = writers.get(table);
  if (writer === undefined) {
    writer = compileWriter(table);
    writers.set(table, writer);
  }
  return writer;
}

function compileWriter(table: TableSchema): TableWriter {
  const { columns } = table;
  const { codec } = layoutOf(table);
  const indexes = indexesOf(table);
  const modified = columns.flatMap((column, ordinal) =>
    hasModifier(column.type) ? [{ column, ordinal }] : [],
  );
  const required = columns.flatMap((column, ordinal) =>
    column.notNull || table.primaryKey.includes(ordinal) ? [{ column, ordinal }] : [],
  );
  const checks = table.checks.map((check) => ({
    name: check.name,
    evaluate: compile(check.expression),
  }));
  const keep = compileKeep(
    table,
    new Set([...table.primaryKey, ...indexes.flatMap((index) => index.columns)]),
  );
  return {
    defaults: columns.map((column) => column.default && compile(column.default)),
    check: (values, context) => {
      for (const { column, ordinal } of required) {
        if (values[ordinal] === null) throw notNull(table, column);
      }
      for (const { column, ordinal } of modified) {
        const value = values[ordinal] as Value;
        // What is stored already has its length.
        if (value !== null && blobOf(value) === undefined)
          values[ordinal] = intoColumn(table, column, value);
      }
      for (const { name, evaluate } of checks) {
        if (evaluate(values, noParameters, context) === false) throw checkFailed(table, name);
      }
      keep?.(values, context);
    },
    encode: (values, key) => {
      if (slab.length > slabBytes - smallRowBytes) slab = new Writer(slabBytes);
      const start = slab.length;
      try {
        codec.encode(slab, values);
      } catch (error) {
        slab.truncate(start);
        if (error instanceof VerityError && error.code === 'VALUE_TOO_LARGE')
          checkSizes(table, values);
        throw error;
      }
      const length = slab.length - start;
      // Nothing may be refused once the row is logged; a short row has short index keys.
      if (length > limits.keyBytesMax / 4)
        for (const index of indexes) indexKey(table, index, values, key);
      if (length <= smallRowBytes) return slab.view(start);
      const row = slab.view(start).slice();
      // It may have grown by the large row; what it held stays with the rows it was handed out to.
      slab = new Writer(slabBytes);
      if (length > limits.valueBytesMax) checkSizes(table, values);
      return row;
    },
  };
}

function intoColumn(table: TableSchema, column: Column, value: NonNullable<Value>): Value {
  try {
    return coerceToColumn(column.type, value);
  } catch (error) {
    if (!(error instanceof VerityError)) throw error;
    throw new VerityError(
      error.code,
      `Column "${column.name}" of table "${table.name}": ${error.message}`,
      {
        details: { ...error.details, table: table.name, column: column.name },
      },
    );
  }
}

/** Finds the column whose value alone is over the limit. */
function checkSizes(table: TableSchema, values: readonly Value[]): void {
  table.columns.forEach((column, ordinal) => {
    const value = values[ordinal];
    const bytes =
      typeof value === 'string'
        ? utf8Length(value)
        : value instanceof Uint8Array
          ? value.length
          : 0;
    if (bytes > limits.valueBytesMax) {
      throw new VerityError(
        'VALUE_TOO_LARGE',
        `A value of column "${column.name}" of table "${table.name}" exceeds ${limits.valueBytesMax} bytes; split it, or store a reference to it.`,
        {
          details: { table: table.name, column: column.name },
        },
      );
    }
  });
}

const notNull = (table: TableSchema, column: Column): VerityError =>
  new VerityError(
    'NOT_NULL_VIOLATION',
    `Column "${column.name}" of table "${table.name}" must not be NULL; give it a value.`,
    {
      details: { table: table.name, column: column.name },
    },
  );

const checkFailed = (table: TableSchema, constraint: string): VerityError =>
  new VerityError(
    'CHECK_VIOLATION',
    `A row does not meet CHECK constraint "${constraint}" of table "${table.name}".`,
    {
      details: { table: table.name, constraint },
    },
  );
