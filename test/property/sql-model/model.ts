/**
 * What INSERT, UPDATE, DELETE and SELECT do to a table of plain rows. Knows nothing of keys, pages or
 * plans: every check looks at every row.
 */
import {
  type Condition,
  conditionErrors,
  evaluate,
  type NamedColumn,
  type Row,
} from './conditions.ts';
import type { Decimal, Plain } from './kinds.ts';
import { convert, type Converted, fitted, kindOf, type Operand } from './terms.ts';

export interface Column extends NamedColumn {
  readonly notNull: boolean;
  readonly fallback: Operand | undefined;
}

export interface Table {
  readonly columns: readonly Column[];
  /** Ordinals; empty without a primary key. */
  readonly primaryKey: readonly number[];
  readonly uniques: readonly (readonly number[])[];
  readonly checks: readonly Condition[];
}

/** What a column is set to. Numbers can be added to and texts be made longer. */
export type Setter =
  | { readonly kind: 'operand'; readonly operand: Operand }
  | { readonly kind: 'default' }
  | { readonly kind: 'column'; readonly ordinal: number }
  | { readonly kind: 'add'; readonly amount: number }
  | { readonly kind: 'append'; readonly text: string };

export interface Assignment {
  readonly ordinal: number;
  readonly setter: Setter;
}

export interface Insert {
  readonly kind: 'insert';
  /** Undefined: all columns in order, unnamed. */
  readonly targets: readonly number[] | undefined;
  readonly rows: readonly (readonly (Operand | 'DEFAULT')[])[];
  readonly returning: boolean;
}
export interface Update {
  readonly kind: 'update';
  readonly assignments: readonly Assignment[];
  readonly where: Condition | undefined;
  readonly returning: boolean;
}
export interface Delete {
  readonly kind: 'delete';
  readonly where: Condition | undefined;
  readonly returning: boolean;
}
export type Write = Insert | Update | Delete;

/** Rows as they are after a write, or the codes of which one must be reported. */
export type Outcome =
  | { readonly rows: readonly Row[]; readonly touched: readonly Row[] }
  | { readonly errors: readonly string[] };

/** The outcome of a write on `rows`. What is wrong with constants and parameters is found before any row is read. */
export function applyWrite(table: Table, rows: readonly Row[], write: Write): Outcome {
  const early = writeErrors(table, write);
  if (early.length > 0) return { errors: early };
  if (write.kind === 'insert') return applyInsert(table, rows, write);
  const matches = rows.map(
    (row) => write.where === undefined || evaluate(table.columns, write.where, row) === true,
  );
  if (write.kind === 'delete') {
    return {
      rows: rows.filter((_, index) => !matches[index]),
      touched: rows.filter((_, index) => matches[index]),
    };
  }
  return applyUpdate(table, rows, { update: write, matches });
}

function writeErrors(table: Table, write: Write): string[] {
  const operandErrors = (ordinal: number, operand: Operand): string[] => {
    if (operand.form === 'null') return [];
    const converted = convert((table.columns[ordinal] as Column).type.base, operand.value);
    return 'error' in converted ? [converted.error] : [];
  };
  if (write.kind === 'insert') {
    const targets = targetsOf(table, write);
    return write.rows.flatMap((row) =>
      row.flatMap((operand, index) =>
        operand === 'DEFAULT' ? [] : operandErrors(targets[index] as number, operand),
      ),
    );
  }
  const assigned = write.kind === 'delete' ? [] : write.assignments;
  return [
    ...assigned.flatMap(({ ordinal, setter }) =>
      setter.kind === 'operand' ? operandErrors(ordinal, setter.operand) : [],
    ),
    ...conditionErrors(table.columns, write.where),
  ];
}

const targetsOf = (table: Table, insert: Insert): readonly number[] =>
  insert.targets ?? table.columns.map((_, ordinal) => ordinal);

/** An operand known to convert, in the column's type without its length or precision. */
function operandValue(column: Column, operand: Operand | undefined): Plain | null {
  if (operand === undefined || operand.form === 'null') return null;
  return (convert(column.type.base, operand.value) as { readonly value: Plain }).value;
}

function applyInsert(table: Table, rows: readonly Row[], insert: Insert): Outcome {
  const targets = targetsOf(table, insert);
  const drafts = insert.rows.map((given) =>
    table.columns.map((column, ordinal) => {
      const operand = given[targets.indexOf(ordinal)];
      return operandValue(
        column,
        operand === undefined || operand === 'DEFAULT' ? column.fallback : operand,
      );
    }),
  );
  return finish(table, rows, drafts);
}

function applyUpdate(
  table: Table,
  rows: readonly Row[],
  { update, matches }: { readonly update: Update; readonly matches: readonly boolean[] },
): Outcome {
  const errors: string[] = [];
  const drafts = rows
    .filter((_, index) => matches[index])
    .map((row) => {
      const draft = [...row];
      for (const { ordinal, setter } of update.assignments) {
        const set = setTo(table, { ordinal, setter }, row);
        if (set !== null && 'error' in set) errors.push(set.error);
        else draft[ordinal] = set?.value ?? null;
      }
      return draft;
    });
  if (errors.length > 0) return { errors: [...errors, ...draftErrors(table, drafts)] };
  return finish(
    table,
    rows.filter((_, index) => !matches[index]),
    drafts,
  );
}

function setTo(table: Table, { ordinal, setter }: Assignment, row: Row): Converted | null {
  const column = table.columns[ordinal] as Column;
  const before = row[ordinal] ?? null;
  const wrap = (value: Plain | null): Converted | null => (value === null ? null : { value });
  switch (setter.kind) {
    case 'operand':
      return wrap(operandValue(column, setter.operand));
    case 'default':
      return wrap(operandValue(column, column.fallback));
    case 'column':
      return wrap(row[setter.ordinal] ?? null);
    case 'append':
      return before === null ? null : { value: `${before as string}${setter.text}` };
    case 'add':
      return before === null ? null : convert(column.type.base, sum(before, setter.amount));
  }
}

function sum(value: Plain, amount: number): Plain {
  if (typeof value === 'number') return value + amount;
  if (typeof value === 'bigint') return value + BigInt(amount);
  if (typeof value === 'string') return value;
  const { units, scale } = value as Decimal;
  return { units: units + BigInt(amount) * 10n ** BigInt(scale), scale };
}

/** Brings new rows into their columns, checks each, and all keys at the end. */
function finish(table: Table, kept: readonly Row[], drafts: readonly Row[]): Outcome {
  const errors = draftErrors(table, drafts);
  if (errors.length > 0) return { errors };
  const touched = drafts.map((draft) => fit(table, draft) as Row);
  const rows = [...kept, ...touched];
  const keys = table.primaryKey.length > 0 ? [table.primaryKey, ...table.uniques] : table.uniques;
  const isTaken = keys.some((key) =>
    touched.some((row) => rows.some((other) => other !== row && sameKey(table, key, [row, other]))),
  );
  return isTaken ? { errors: ['UNIQUE_VIOLATION'] } : { rows, touched };
}

function draftErrors(table: Table, drafts: readonly Row[]): string[] {
  return drafts.flatMap((draft) => {
    const errors: string[] = [];
    table.columns.forEach((column, ordinal) => {
      const value = draft[ordinal] ?? null;
      const required = column.notNull || table.primaryKey.includes(ordinal);
      if (value === null && required) errors.push('NOT_NULL_VIOLATION');
      const inside = value === null ? undefined : fitted(column.type, value);
      if (inside !== undefined && 'error' in inside) errors.push(inside.error);
    });
    const row = fit(table, draft);
    const fails =
      row !== undefined &&
      table.checks.some((check) => evaluate(table.columns, check, row) === false);
    return fails ? [...errors, 'CHECK_VIOLATION'] : errors;
  });
}

function fit(table: Table, draft: Row): Row | undefined {
  const values = table.columns.map((column, ordinal) => {
    const value = draft[ordinal] ?? null;
    return value === null ? null : fitted(column.type, value);
  });
  if (values.some((value) => value !== null && 'error' in value)) return undefined;
  return values.map((value) => (value as { readonly value: Plain } | null)?.value ?? null);
}

/** Equal in all columns of a key; NULL equals nothing. */
function sameKey(
  table: Table,
  key: readonly number[],
  [left, right]: readonly [Row, Row],
): boolean {
  return key.every((ordinal) => {
    const a = left[ordinal] ?? null;
    const b = right[ordinal] ?? null;
    return (
      a !== null &&
      b !== null &&
      kindOf((table.columns[ordinal] as Column).type.base).compare(a, b) === 0
    );
  });
}

export interface SortKey {
  readonly ordinal: number;
  readonly direction: '' | 'ASC' | 'DESC';
  readonly nulls: '' | 'NULLS FIRST' | 'NULLS LAST';
}

/** Orders two rows by the keys; 0 leaves their order open. */
export function compareRows(
  table: Table,
  keys: readonly SortKey[],
  [left, right]: readonly [Row, Row],
): number {
  for (const { ordinal, direction, nulls } of keys) {
    const a = left[ordinal] ?? null;
    const b = right[ordinal] ?? null;
    const descends = direction === 'DESC';
    const nullsFirst = nulls === '' ? descends : nulls === 'NULLS FIRST';
    if (a === null || b === null) {
      if (a !== b) return (a === null) === nullsFirst ? -1 : 1;
      continue;
    }
    const order = kindOf((table.columns[ordinal] as Column).type.base).compare(a, b);
    if (order !== 0) return descends ? -order : order;
  }
  return 0;
}
