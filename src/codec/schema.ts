import { type ColumnType, fromHex, type ObjectId, toHex, type Value } from '../base/index.ts';

/**
 * A table as the catalog holds it and the log's schema events carry it (JSON, revision 1).
 * Columns keep their place in `columns` for ever; rows are encoded in that order under `version`.
 */
export interface TableSchema {
  readonly id: ObjectId;
  readonly name: string;
  /** Counts the definitions of this table, from 1. Rows name the version they were written under. */
  readonly version: number;
  readonly columns: readonly Column[];
  /** Ordinals of the primary key's columns in key order; empty: rows have a hidden row id as key. */
  readonly primaryKey: readonly number[];
  readonly indexes: readonly Index[];
  readonly checks: readonly Check[];
  /** The primary key constraint's name where it is not `<table>_pkey`. */
  readonly primaryKeyName?: string;
  /** Indexes whose older entries are still being made: kept up to date, of no use to a query yet. */
  readonly building?: readonly Index[];
  readonly foreignKeys?: readonly ForeignKey[];
  /** Its rows' events are committed to field by field (event-cut.ts), so that a receipt can withhold some; absent: as a whole. */
  readonly disclosure?: 'field';
  /** The table is gone; its rows are history. */
  readonly dropped?: true;
  /** Set: this is a view, without rows of its own. */
  readonly view?: View;
}

export interface Column {
  /** Empty when dropped. */
  readonly name: string;
  readonly type: ColumnType;
  readonly notNull: boolean;
  readonly default?: Expression;
  /** The version of the table that added the column; absent: its first. */
  readonly since?: number;
  /** What rows written before `since` show; absent: NULL. */
  readonly missing?: LiteralValue;
  /** Written as NULL and never read; older rows may still hold values. */
  readonly dropped?: true;
}

export interface Index {
  readonly id: ObjectId;
  readonly name: string;
  readonly unique: boolean;
  /** Column ordinals in key order. */
  readonly columns: readonly number[];
  /** For each of them whether it is kept in descending order; absent: none is. */
  readonly descending?: readonly boolean[];
  /** What made it; absent: a UNIQUE constraint of its name. A primary key added later is a unique index too. */
  readonly origin?: 'index' | 'primaryKey' | 'foreignKey';
}

export interface ForeignKey {
  readonly name: string;
  readonly columns: readonly number[];
  /** The referenced table, and its columns in the order of `columns`. */
  readonly table: ObjectId;
  readonly references: readonly number[];
  readonly onDelete: 'noAction' | 'restrict';
  readonly onUpdate: 'noAction' | 'restrict';
}

export interface View {
  /** The SELECT, as it was written. */
  readonly query: string;
  /** Tables and views that it reads, as they were when it was made: it does not see columns added later. */
  readonly reads: readonly { readonly table: ObjectId; readonly version: number }[];
}

export interface Check {
  readonly name: string;
  readonly expression: Expression;
}

/**
 * A bound expression: plain data, independent of the SQL parser, so that stored DEFAULT and CHECK
 * expressions outlive every parser and planner. `type` is the result type (undefined: the type of NULL).
 */
export type Expression =
  | { readonly kind: 'literal'; readonly type?: ColumnType; readonly value: LiteralValue }
  | { readonly kind: 'column'; readonly type: ColumnType; readonly ordinal: number }
  | {
      readonly kind: 'parameter';
      readonly type: ColumnType;
      /** From 1. */ readonly number: number;
    }
  | {
      readonly kind: 'call';
      readonly type: ColumnType;
      /** Operator or function, e.g. '=', '+', 'lower'. */ readonly name: string;
      readonly args: readonly Expression[];
    }
  | {
      readonly kind: 'cast';
      readonly type: ColumnType;
      readonly arg: Expression;
      readonly explicit: boolean;
    }
  | { readonly kind: 'and' | 'or'; readonly type: ColumnType; readonly args: readonly Expression[] }
  | { readonly kind: 'not'; readonly type: ColumnType; readonly arg: Expression }
  | {
      readonly kind: 'isNull';
      readonly type: ColumnType;
      readonly arg: Expression;
      readonly negated: boolean;
    }
  | {
      readonly kind: 'in';
      readonly type: ColumnType;
      readonly arg: Expression;
      readonly list: readonly Expression[];
      readonly negated: boolean;
    }
  | {
      readonly kind: 'case';
      readonly type: ColumnType;
      readonly whens: readonly { readonly when: Expression; readonly then: Expression }[];
      readonly otherwise: Expression;
    };

/** A literal in JSON: bigint and bytea values, and numbers that JSON has not, are wrapped. */
export type LiteralValue =
  | null
  | boolean
  | number
  | string
  | { readonly bigint: string }
  | { readonly bytes: string }
  | { readonly number: 'NaN' | 'Infinity' | '-Infinity' | '-0' };

export function literalOf(value: Value): LiteralValue {
  if (typeof value === 'bigint') return { bigint: value.toString() };
  if (typeof value === 'number' && !Number.isFinite(value)) {
    return { number: Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity' };
  }
  if (Object.is(value, -0)) return { number: '-0' };
  if (value instanceof Uint8Array) return { bytes: toHex(value) };
  return value;
}

export function valueOfLiteral(literal: LiteralValue): Value {
  if (literal === null || typeof literal !== 'object') return literal;
  if ('bigint' in literal) return BigInt(literal.bigint);
  if ('number' in literal) return Number(literal.number);
  return fromHex(literal.bytes) ?? new Uint8Array();
}
