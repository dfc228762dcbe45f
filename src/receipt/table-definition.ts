/** Definitions of tables, as far as reading rows and keys needs them (docs/format/rows.md, Definition). */
import {
  type ColumnType,
  fromHex,
  limits,
  type TypeName,
  typeNames,
  utf8Decode,
  type Value,
} from '../base/index.ts';
import { CheckFailure } from './checks.ts';

export interface TableDefinition {
  readonly object: number;
  readonly version: number;
  readonly name: string;
  readonly columns: readonly ColumnDefinition[];
  /** Places in `columns`; empty: hidden row ids. */
  readonly primaryKey: readonly number[];
}

export interface ColumnDefinition {
  readonly name: string;
  readonly type: ColumnType;
  readonly dropped: boolean;
  /** The version that added it. */
  readonly group: number;
  /** What older rows show. */
  readonly missing: Value;
}

type Json = { readonly [name: string]: unknown };

/** Reads a definition's JSON. Throws CheckFailure 'definition'. */
export function definitionOf(bytes: Uint8Array): TableDefinition {
  let json: unknown;
  try {
    json = JSON.parse(utf8Decode(bytes));
  } catch {
    return fail('is not JSON');
  }
  const { id, version, name, columns, primaryKey } = objectOf(json);
  if (!isCount(id) || !isCount(version) || typeof name !== 'string')
    return fail('has no id, version or name');
  if (!Array.isArray(columns) || columns.length > limits.columnsMax || !Array.isArray(primaryKey))
    return fail('has no columns or no primary key');
  const read = columns.map(columnOf);
  const ascends = read.every(
    ({ group }, index) => group >= (read[index - 1]?.group ?? 1) && group <= version,
  );
  if (!ascends) return fail('has columns out of order');
  if (!primaryKey.every((ordinal) => isCount(ordinal) && ordinal < read.length))
    return fail('has a primary key of no column');
  return {
    object: id,
    version,
    name,
    columns: read,
    primaryKey: primaryKey as readonly number[],
  };
}

function columnOf(json: unknown): ColumnDefinition {
  const { name, type, since, missing, dropped } = objectOf(json);
  if (typeof name !== 'string') return fail('has a column without a name');
  const { name: typeName, length, precision, scale } = objectOf(type);
  // Views may have columns of intervals; no row does.
  const known = [...typeNames, 'interval'].find((each) => each === typeName);
  if (known === undefined) return fail('has a column of an unknown type');
  if (![length, precision, scale, since].every((each) => each === undefined || isNumber(each)))
    return fail('has a column whose type or version is malformed');
  return {
    name,
    type: {
      name: known as TypeName,
      ...(isNumber(length) && { length }),
      ...(isNumber(precision) && { precision }),
      ...(isNumber(scale) && { scale }),
    },
    dropped: dropped === true,
    group: isNumber(since) ? since : 1,
    missing: missing === undefined ? null : literalValue(missing),
  };
}

function literalValue(json: unknown): Value {
  if (json === null || ['boolean', 'number', 'string'].includes(typeof json)) return json as Value;
  const { bigint, bytes, number } = objectOf(json);
  if (typeof bigint === 'string' && /^-?[0-9]{1,19}$/.test(bigint)) return BigInt(bigint);
  if (typeof number === 'string') return Number(number);
  const value = typeof bytes === 'string' ? fromHex(bytes) : undefined;
  return value ?? fail('has a value that is malformed');
}

function objectOf(json: unknown): Json {
  return typeof json === 'object' && json !== null ? (json as Json) : fail('is malformed');
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function fail(what: string): never {
  throw new CheckFailure('definition', `A table's definition ${what}.`);
}
