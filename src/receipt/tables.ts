/** Rows and keys by the names of columns, through the definitions that a receipt opens. */
import type { StoreKey, Value } from '../base/index.ts';
import {
  decodeKey,
  DecodeError,
  groupedRowCodec,
  rowCodec,
  rowIdOfKey,
  type RowCodec,
} from '../codec/index.ts';
import { CheckFailure, check } from './checks.ts';
import { type DecodedEvent, type FieldedRow, type RowBody } from './decoded-event.ts';
import type { ShownRow } from './facts.ts';
import type { EventField } from './receipt-text.ts';
import { shownValue } from './shown-value.ts';
import { type ColumnDefinition, definitionOf, type TableDefinition } from './table-definition.ts';

interface KnownTable {
  readonly definition: TableDefinition;
  readonly leaf: number;
  readonly codec: RowCodec;
}

/** A row by column names, and which columns of it are withheld. */
export interface RowByName {
  readonly values: ShownRow;
  readonly withheld: readonly string[];
}

export class Tables {
  readonly #byObject = new Map<number, KnownTable[]>();
  /** Leaves of definitions that were asked for. */
  readonly used = new Set<number>();

  /** Of all opened events. Throws CheckFailure 'definition'. */
  constructor(events: readonly DecodedEvent[]) {
    for (const { leaf, body } of events) {
      if (body.type !== 'tableDefined') continue;
      const definition = definitionOf(body.schema);
      check(
        'definition',
        definition.object === body.object,
        'A definition is not of the table whose event it is in.',
      );
      const codec = groupedRowCodec(definition.columns);
      const known = this.#byObject.get(body.object) ?? [];
      known.push({ definition, leaf, codec });
      this.#byObject.set(body.object, known);
    }
  }

  /** The definition of a row event's table under its version. Throws CheckFailure 'definition'. */
  of(event: DecodedEvent, body: RowBody): KnownTable {
    const known = this.#find(event, body);
    check(
      'definition',
      known !== undefined,
      `The definition of the table of the event at leaf ${event.leaf} is not in the receipt.`,
    );
    this.used.add(known.leaf);
    return known;
  }

  /** A definition that nothing that is shown needs may be there for an event. */
  use(event: DecodedEvent, body: RowBody): void {
    const known = this.#find(event, body);
    if (known !== undefined) this.used.add(known.leaf);
  }

  #find({ leaf }: DecodedEvent, body: RowBody): KnownTable | undefined {
    return this.#byObject
      .get(body.object)
      ?.find((known) => known.definition.version === body.schemaVersion && known.leaf < leaf);
  }

  /** The newest definition of a table. Throws CheckFailure 'definition'. */
  newest(object: number): KnownTable {
    const known = this.#byObject
      .get(object)
      ?.reduce((newest, each) =>
        each.definition.version > newest.definition.version ? each : newest,
      );
    check(
      'definition',
      known !== undefined,
      `No definition of the table ${object} is in the receipt.`,
    );
    this.used.add(known.leaf);
    return known;
  }

  /** The key by column names. Throws CheckFailure 'row'. */
  key({ definition }: KnownTable, key: StoreKey): ShownRow {
    const { columns, primaryKey } = definition;
    return reading('key', () => {
      if (primaryKey.length === 0) return { rowid: rowIdOfKey(key) };
      const parts = primaryKey.map((ordinal) => columns[ordinal] as ColumnDefinition);
      const values = decodeKey(
        parts.map(({ type }) => type),
        key,
      );
      return Object.fromEntries(
        parts.map(({ name, type }, index) => [name, shownValue(type, values[index] as Value)]),
      );
    });
  }

  /** The row by column names. Throws CheckFailure 'row'. */
  row({ definition, codec }: KnownTable, row: Uint8Array | FieldedRow): RowByName {
    const { columns } = definition;
    const values = reading('row', () =>
      row instanceof Uint8Array ? codec.decode(row) : fieldedValues(columns, row),
    );
    const shown: (readonly [string, ReturnType<typeof shownValue>])[] = [];
    const withheld: string[] = [];
    columns.forEach(({ name, type, dropped }, index) => {
      const value = values[index];
      if (dropped) return;
      if (value === undefined) withheld.push(name);
      else shown.push([name, shownValue(type, value)]);
    });
    return { values: Object.fromEntries(shown), withheld };
  }
}

/** The values of a row's fields; undefined for those withheld. Throws DecodeError. */
function fieldedValues(
  columns: readonly ColumnDefinition[],
  { fields }: FieldedRow,
): (Value | undefined)[] {
  const values: (Value | undefined)[] = [];
  let next = 0;
  for (let start = 0; start < columns.length;) {
    const { group } = columns[start] as ColumnDefinition;
    const members = columns.slice(start).filter((column) => column.group === group);
    start += members.length;
    if (next === fields.length && next > 0) {
      for (const { missing } of members) values.push(missing);
      continue;
    }
    const bitmap = fields[next++];
    if (bitmap === undefined || !('bytes' in bitmap))
      throw new DecodeError('a null bitmap is withheld', 0);
    const own = fields.slice(next, next + members.length);
    next += members.length;
    if (own.length !== members.length || bitmap.bytes.length !== (members.length + 7) >> 3)
      throw new DecodeError('a row has not the fields of its columns', 0);
    members.forEach((column, index) => {
      const isNull = (((bitmap.bytes[index >> 3] as number) >> (index & 7)) & 1) === 1;
      values.push(fieldValue(column, own[index] as EventField, isNull));
    });
    const spare = members.length & 7;
    if (spare !== 0 && (bitmap.bytes.at(-1) as number) >> spare !== 0)
      throw new DecodeError('an unused null bit is set', 0);
  }
  if (next !== fields.length) throw new DecodeError('a row has more fields than columns', 0);
  return values;
}

function fieldValue(
  { type }: ColumnDefinition,
  field: EventField,
  isNull: boolean,
): Value | undefined {
  if ('commitment' in field) return isNull ? null : undefined;
  if (isNull) {
    if (field.bytes.length > 0) throw new DecodeError('a value is there that is NULL', 0);
    return null;
  }
  // A row of this column alone: an empty null bitmap, and the value.
  const alone = new Uint8Array(1 + field.bytes.length);
  alone.set(field.bytes, 1);
  return rowCodec([type]).decode(alone)[0] as Value;
}

function reading<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CheckFailure('row', `A ${what} cannot be read by its definition: ${error.message}.`);
  }
}
