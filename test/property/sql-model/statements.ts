/** The model's statements as SQL text with parameters. */
import { quoteName, renderCondition } from './conditions.ts';
import type { Assignment, Column, Table, Write } from './model.ts';
import type { Count, Select } from './program.ts';
import { Statement } from './terms.ts';

export interface Rendered {
  readonly sql: string;
  readonly statement: Statement;
}

const nameOf = (table: Table, ordinal: number): string =>
  quoteName((table.columns[ordinal] as Column).name);
const listOf = (table: Table, ordinals: readonly number[]): string =>
  ordinals.map((ordinal) => nameOf(table, ordinal)).join(', ');

export function createTable(name: string, table: Table): string {
  const statement = new Statement();
  const isShort = table.primaryKey.length === 1;
  const columns = table.columns.map((column, ordinal) => {
    const { type, notNull, fallback } = column;
    const words = [quoteName(column.name), type.sql];
    if (notNull) words.push('NOT NULL');
    if (fallback !== undefined) words.push(`DEFAULT ${statement.operand(fallback)}`);
    if (isShort && table.primaryKey[0] === ordinal) words.push('PRIMARY KEY');
    return words.join(' ');
  });
  const key =
    isShort || table.primaryKey.length === 0
      ? []
      : [`PRIMARY KEY (${listOf(table, table.primaryKey)})`];
  const uniques = table.uniques.map((unique) => `UNIQUE (${listOf(table, unique)})`);
  const checks = table.checks.map(
    (check) => `CHECK (${renderCondition(table.columns, check, statement)})`,
  );
  return `CREATE TABLE ${name} (${[...columns, ...key, ...uniques, ...checks].join(', ')})`;
}

export function renderWrite(name: string, table: Table, write: Write): Rendered {
  const statement = new Statement();
  const sql = [writeText(name, table, { write, statement })];
  if (write.kind !== 'insert' && write.where !== undefined) {
    sql.push(`WHERE ${renderCondition(table.columns, write.where, statement)}`);
  }
  if (write.returning) sql.push('RETURNING *');
  return { sql: sql.join(' '), statement };
}

function writeText(
  name: string,
  table: Table,
  { write, statement }: { readonly write: Write; readonly statement: Statement },
): string {
  switch (write.kind) {
    case 'insert': {
      const targets = write.targets === undefined ? '' : ` (${listOf(table, write.targets)})`;
      const rows = write.rows.map((row) =>
        row
          .map((operand) => (operand === 'DEFAULT' ? operand : statement.operand(operand)))
          .join(', '),
      );
      return `INSERT INTO ${name}${targets} VALUES ${rows.map((row) => `(${row})`).join(', ')}`;
    }
    case 'update': {
      const set = write.assignments.map((assignment) => setText(table, assignment, statement));
      return `UPDATE ${name} SET ${set.join(', ')}`;
    }
    case 'delete':
      return `DELETE FROM ${name}`;
  }
}

function setText(table: Table, { ordinal, setter }: Assignment, statement: Statement): string {
  const name = nameOf(table, ordinal);
  switch (setter.kind) {
    case 'operand':
      return `${name} = ${statement.operand(setter.operand)}`;
    case 'default':
      return `${name} = DEFAULT`;
    case 'column':
      return `${name} = ${nameOf(table, setter.ordinal)}`;
    case 'add':
      return `${name} = ${name} + ${setter.amount}`;
    case 'append':
      return `${name} = ${name} || '${setter.text.replaceAll("'", "''")}'`;
  }
}

export function renderSelect(name: string, table: Table, select: Select): Rendered {
  const statement = new Statement();
  const outputs = select.outputs === undefined ? '*' : listOf(table, select.outputs);
  const sql = [`SELECT ${select.what === 'count' ? 'count(*)' : outputs} FROM ${name}`];
  if (select.where !== undefined)
    sql.push(`WHERE ${renderCondition(table.columns, select.where, statement)}`);
  if (select.order.length > 0 && select.what === 'rows') {
    const keys = select.order.map(({ ordinal, direction, nulls }) =>
      `${nameOf(table, ordinal)} ${direction} ${nulls}`.trim(),
    );
    sql.push(`ORDER BY ${keys.join(', ')}`);
  }
  const countText = ({ value, asParameter }: Count): string =>
    asParameter ? statement.parameter(value) : String(value ?? 'NULL');
  if (select.limit !== undefined) sql.push(`LIMIT ${countText(select.limit)}`);
  if (select.offset !== undefined) sql.push(`OFFSET ${countText(select.offset)}`);
  return { sql: sql.join(' '), statement };
}
