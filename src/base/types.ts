/**
 * SQL types and how their values are held inside the engine.
 *
 * | type                         | held as                                                        |
 * |------------------------------|----------------------------------------------------------------|
 * | smallint, integer            | number (whole)                                                 |
 * | bigint                       | bigint                                                         |
 * | real, double precision       | number (real is rounded to float32)                            |
 * | numeric                      | string, canonical: optional '-', digits, '.' + scale digits if scale > 0; 'NaN', 'Infinity', '-Infinity' |
 * | text, varchar                | string without U+0000 and without lone surrogates              |
 * | boolean                      | boolean                                                        |
 * | bytea                        | Uint8Array                                                     |
 * | date                         | number: days since 1970-01-01; ±Infinity for 'infinity'        |
 * | timestamp, timestamptz       | bigint: microseconds since 1970-01-01T00:00:00 (UTC)           |
 * | uuid                         | string: lower case, hyphenated                                 |
 * | interval                     | string: months, days and microseconds; of expressions only, no column's type |
 * | jsonb                        | string: canonical JSON text, PostgreSQL's key order and spacing |
 *
 * In a stored row a text, varchar, jsonb or bytea value over 1 MiB is a BlobReference (codec) until an expression
 * asks for it.
 */
export type Value = null | boolean | number | bigint | string | Uint8Array;

export const typeNames = [
  'smallint',
  'integer',
  'bigint',
  'real',
  'double precision',
  'numeric',
  'text',
  'varchar',
  'boolean',
  'bytea',
  'date',
  'timestamp',
  'timestamptz',
  'uuid',
  'jsonb',
] as const;
/** `typeNames` are those of columns. */
export type TypeName = (typeof typeNames)[number] | 'interval';

export interface ColumnType {
  readonly name: TypeName;
  /** varchar(n): the longest value in characters. */
  readonly length?: number;
  /** numeric(p, s). */
  readonly precision?: number;
  readonly scale?: number;
}
