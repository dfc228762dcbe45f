import { type Value, VerityError } from '../base/index.ts';
import { jsConverter, type ResultColumn, typeName } from '../sql/index.ts';
import type { QueryOptions, ResultColumnInfo, Row } from './types.ts';

export type TimestampForm = 'date' | 'microseconds';

/** Turns rows of values into objects; made once for each prepared statement. */
export interface RowBuilder {
  readonly columns: ResultColumnInfo[];
  readonly build: (values: readonly Value[]) => Row;
  /** The row in the order of `columns`. */
  readonly buildArray: (values: readonly Value[]) => unknown[];
}

const builders = {
  date: new WeakMap<readonly ResultColumn[], RowBuilder>(),
  microseconds: new WeakMap<readonly ResultColumn[], RowBuilder>(),
};

/** The builder for these columns; `columns` must be the prepared statement's own array. */
export function rowBuilder(
  columns: readonly ResultColumn[],
  timestamps: TimestampForm,
): RowBuilder {
  const known = builders[timestamps].get(columns);
  if (known !== undefined) return known;
  const names = columns.map((column) => column.name);
  const converters = columns.map((column) => jsConverter(column.type, { timestamps }));
  const builder: RowBuilder = {
    columns: columns.map((column) => ({ name: column.name, type: typeName(column.type) })),
    build: (values) => {
      const row: Row = {};
      for (let index = 0; index < names.length; index++) {
        const name = names[index] as string;
        const value = (converters[index] as (value: Value) => unknown)(values[index] as Value);
        if (name === '__proto__')
          Object.defineProperty(row, name, {
            value,
            enumerable: true,
            writable: true,
            configurable: true,
          });
        else row[name] = value;
      }
      return row;
    },
    buildArray: (values) => converters.map((converter, index) => converter(values[index] as Value)),
  };
  builders[timestamps].set(columns, builder);
  return builder;
}

/** How the caller wants rows. Throws INVALID_ARGUMENT for another word than those of QueryOptions. */
export function rowFormOf(
  mode: QueryOptions['rowMode'] = 'object',
): (builder: RowBuilder) => (values: readonly Value[]) => Row | unknown[] {
  if (mode !== 'object' && mode !== 'array')
    throw new VerityError('INVALID_ARGUMENT', "rowMode is 'object' or 'array'.");
  return mode === 'array' ? (builder) => builder.buildArray : (builder) => builder.build;
}

export const rowForm = (
  builder: RowBuilder,
  mode?: QueryOptions['rowMode'],
): ((values: readonly Value[]) => Row | unknown[]) => rowFormOf(mode)(builder);
