/** Random tables: columns of all types, keys, constraints, indexes. */
import type { Dice } from './dice.ts';
import { placedLiteral, type Type, types } from './literals.ts';
import { list, optional, sequence, type Tree } from './tree.ts';

export interface Column {
  readonly name: string;
  readonly type: Type;
  /** As the table writes it: with length or precision. */
  readonly written: string;
  readonly hasDefault: boolean;
  readonly notNull: boolean;
  /** Part of a key, or unique: updated only to literals, because we check keys at the end of a statement. */
  readonly isKey: boolean;
}

export interface Table {
  readonly name: string;
  readonly columns: readonly Column[];
}

/** Types whose columns may be keys in PostgreSQL and here. */
const keyTypes: readonly Type[] = [
  'integer',
  'integer',
  'bigint',
  'text',
  'varchar',
  'uuid',
  'date',
];

export interface Definition {
  readonly table: Table;
  readonly create: Tree;
}

/** A table; its columns may refer to the keys of `others`. */
export function randomTable(dice: Dice, name: string, others: readonly Table[] = []): Definition {
  const keyCount = dice.pick([0, 1, 1, 1, 1, 2]);
  const columns = dice.times(2, 6, (index): Column => {
    const isKey = index < keyCount;
    const type = isKey ? dice.pick(keyTypes) : dice.pick(types);
    return {
      name: `c${index + 1}`,
      type,
      written: written(dice, type),
      hasDefault: !isKey && dice.chance(0.2),
      notNull: !isKey && dice.chance(0.15),
      isKey: isKey || (type !== 'jsonb' && dice.chance(0.08)),
    };
  });
  const lines: Tree[] = columns.map((column, index) => columnLine(dice, column, index, keyCount));
  if (keyCount === 2) lines.push('PRIMARY KEY (c1, c2)');
  lines.push(...references(dice, columns.slice(keyCount), others));
  const numbers = columns.filter(({ type }) => type === 'integer' || type === 'numeric');
  if (numbers.length > 0 && dice.chance(0.25))
    lines.push(optional(`CHECK (${dice.pick(numbers).name} < ${dice.between(9, 12)})`));
  return {
    table: { name, columns },
    create: sequence(`CREATE TABLE ${name} (`, list(lines), ')'),
  };
}

/** A foreign key, sometimes, from a column to the key of another table, which is one column of its type. */
function references(dice: Dice, columns: readonly Column[], others: readonly Table[]): Tree[] {
  const pairs = columns.flatMap(({ name, type }) =>
    others.flatMap((other) => {
      const [key, second] = other.columns;
      if (key?.isKey !== true || second?.isKey === true || key.type !== type) return [];
      return [`FOREIGN KEY (${name}) REFERENCES ${other.name}${dice.chance(0.5) ? ' (c1)' : ''}`];
    }),
  );
  return pairs.length > 0 && dice.chance(0.4) ? [optional(dice.pick(pairs))] : [];
}

/** ALTER TABLE, and the table as it is then. */
export function randomAlteration(
  dice: Dice,
  table: Table,
  { name, addsOnly }: { readonly name: string; readonly addsOnly: boolean },
): Definition {
  const { columns } = table;
  const alter = `ALTER TABLE ${table.name}`;
  const free = columns.filter(({ isKey }) => !isKey);
  const column = free.length > 1 ? dice.pick(free) : undefined;
  if (column === undefined || addsOnly || dice.chance(0.5)) {
    const type = dice.pick(types);
    const hasDefault = dice.chance(0.6);
    const value = hasDefault ? optional(` DEFAULT ${placedLiteral(dice, type, 0)}`) : '';
    const added: Column = { name, type, written: written(dice, type), hasDefault, ...plainColumn };
    return {
      table: { ...table, columns: [...columns, added] },
      create: sequence(`${alter} ADD COLUMN ${name} ${added.written}`, value),
    };
  }
  if (dice.chance(0.5)) {
    const rest = columns.filter((each) => each !== column);
    return { table: { ...table, columns: rest }, create: `${alter} DROP COLUMN ${column.name}` };
  }
  return {
    table: {
      ...table,
      columns: columns.map((each) => (each === column ? { ...each, name } : each)),
    },
    create: `${alter} RENAME COLUMN ${column.name} TO ${name}`,
  };
}

const plainColumn = { notNull: false, isKey: false };

function columnLine(dice: Dice, column: Column, index: number, keyCount: number): Tree {
  const { name, type, notNull, hasDefault, isKey } = column;
  const parts: Tree[] = [`${name} ${column.written}`];
  if (keyCount === 1 && index === 0) parts.push(' PRIMARY KEY');
  else if (isKey && index >= keyCount) parts.push(optional(' UNIQUE'));
  if (hasDefault) parts.push(optional(` DEFAULT ${placedLiteral(dice, type, 0)}`));
  if (notNull) parts.push(optional(' NOT NULL'));
  return sequence(...parts);
}

function written(dice: Dice, type: Type): string {
  if (type === 'varchar') return dice.pick(['varchar(4)', 'varchar(10)', 'varchar']);
  if (type === 'numeric') return dice.pick(['numeric', 'numeric(10,2)', 'numeric(6,1)']);
  return type;
}

/** CREATE INDEX on one or several columns, sometimes unique, sometimes falling. */
export function randomIndex(dice: Dice, table: Table, name: string): Tree | undefined {
  const columns = dice.some(
    table.columns.filter(({ type }) => type !== 'jsonb'),
    1,
    3,
  );
  if (columns.length === 0) return undefined;
  const keys = columns.map(({ name: column }) =>
    sequence(column, dice.chance(0.3) ? optional(' DESC') : ''),
  );
  // Other columns are updated in ways that only a check row by row refuses.
  const unique = columns.some(({ isKey }) => isKey) && dice.chance(0.3) ? 'UNIQUE ' : '';
  return sequence(`CREATE ${unique}INDEX ${name} ON ${table.name} (`, list(keys), ')');
}
