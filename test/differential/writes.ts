/** Random INSERT, UPDATE and DELETE. */
import type { Dice } from './dice.ts';
import { randomExpression, type Scope } from './expressions.ts';
import { placedLiteral } from './literals.ts';
import type { Column, Table } from './tables.ts';
import { list, optional, sequence, type Tree } from './tree.ts';

const columnsOf = ({ name, columns }: Table): Scope['columns'] =>
  columns.map((column) => ({ sql: `${name}.${column.name}`, type: column.type }));

/** RETURNING, sometimes. */
function returning(dice: Dice, table: Table): Tree {
  if (dice.chance(0.7)) return '';
  if (dice.chance(0.4)) return optional(' RETURNING *');
  const scope: Scope = { dice, columns: columnsOf(table) };
  // Rows of writes are objects here, so names must differ.
  const items = dice.times(1, 3, (index) =>
    sequence(randomExpression(scope, dice.pick(table.columns).type, 1), ` AS r${index}`),
  );
  return optional(' RETURNING ', list(items));
}

/** One to `most` rows; most of them fit, so that tables fill. */
export function randomInsert(dice: Dice, table: Table, most: number): Tree {
  const columns = table.columns.filter(
    ({ isKey, notNull }) => isKey || notNull || dice.chance(0.9),
  );
  const named = columns.length < table.columns.length || dice.chance(0.5);
  // Values that may not fit come alone: of several mistakes each database finds its own first.
  const alone = most === 1 || dice.chance(0.3);
  const rows = dice.times(1, alone ? 1 : most, () =>
    sequence('(', list(columns.map((column) => newValue(dice, column, alone))), ')'),
  );
  return sequence(
    `INSERT INTO ${table.name}`,
    named ? ` (${columns.map(({ name }) => name).join(', ')})` : '',
    ' VALUES ',
    list(rows),
    conflict(dice, table),
    returning(dice, table),
  );
}

function newValue(dice: Dice, column: Column, alone: boolean): Tree {
  if (column.hasDefault && dice.chance(0.15)) return 'DEFAULT';
  if (column.isKey || column.notNull) {
    for (;;) {
      const text = placedLiteral(dice, column.type, alone ? 0.1 : 0);
      if (text !== 'NULL' || (alone && dice.chance(0.3))) return text;
    }
  }
  return placedLiteral(dice, column.type, alone ? 0.15 : 0.03);
}

/** ON CONFLICT, sometimes, on the whole key or on none in particular. */
function conflict(dice: Dice, table: Table): Tree {
  if (dice.chance(0.8)) return '';
  const keys = table.columns.filter(({ isKey }, index) => isKey && index < 2);
  if (keys.length === 0 || dice.chance(0.3)) return optional(' ON CONFLICT DO NOTHING');
  const target = ` ON CONFLICT (${keys.map(({ name }) => name).join(', ')})`;
  const changed = table.columns.filter(({ isKey }) => !isKey);
  if (changed.length === 0 || dice.chance(0.4)) return optional(target, ' DO NOTHING');
  const column = dice.pick(changed);
  const both: Scope = {
    dice,
    columns: [
      ...columnsOf(table),
      ...table.columns.map(({ name, type }) => ({ sql: `excluded.${name}`, type })),
    ],
  };
  return optional(
    target,
    ` DO UPDATE SET ${column.name} = `,
    randomExpression(both, column.type, 1),
    dice.chance(0.3) ? optional(' WHERE ', randomExpression(both, 'boolean', 1)) : '',
  );
}

export function randomInsertSelect(dice: Dice, table: Table, tables: readonly Table[]): Tree {
  const source = dice.pick(tables);
  const scope: Scope = { dice, columns: columnsOf(source) };
  return sequence(
    `INSERT INTO ${table.name} SELECT `,
    list(table.columns.map(({ type }) => randomExpression(scope, type, 1))),
    ` FROM ${source.name}`,
    dice.chance(0.6) ? optional(' WHERE ', randomExpression(scope, 'boolean', 2)) : '',
  );
}

export function randomUpdate(dice: Dice, table: Table): Tree {
  const scope: Scope = { dice, columns: columnsOf(table) };
  const settings = dice.some(table.columns, 1, 2).map((column) => {
    const value =
      column.isKey || dice.chance(0.2)
        ? newValue(dice, column, true)
        : randomExpression(scope, column.type, dice.between(0, 2));
    return sequence(`${column.name} = `, value);
  });
  return sequence(
    `UPDATE ${table.name} SET `,
    list(settings),
    dice.chance(0.85) ? optional(' WHERE ', randomExpression(scope, 'boolean', 2)) : '',
    returning(dice, table),
  );
}

/** UPDATE … FROM a table whose key the condition fixes, so that each row meets one of its rows at most. */
export function randomJoinedUpdate(
  dice: Dice,
  table: Table,
  tables: readonly Table[],
): Tree | undefined {
  const free = table.columns.filter(({ isKey }) => !isKey);
  const others = tables.filter((other) => {
    const [key, second] = other.columns;
    return other !== table && key?.isKey === true && second?.isKey !== true;
  });
  if (free.length === 0 || others.length === 0) return undefined;
  const other = dice.pick(others);
  const scope: Scope = { dice, columns: [...columnsOf(table), ...columnsOf(other)] };
  const key = other.columns[0] as Column;
  const own: Scope = { dice, columns: columnsOf(table) };
  const settings = dice
    .some(free, 1, 2)
    .map((column) => sequence(`${column.name} = `, randomExpression(scope, column.type, 1)));
  return sequence(
    `UPDATE ${table.name} SET `,
    list(settings),
    ` FROM ${other.name} WHERE ${other.name}.${key.name} = `,
    randomExpression(own, key.type, 1),
    dice.chance(0.4) ? optional(' AND ', randomExpression(scope, 'boolean', 1)) : '',
    dice.chance(0.3) ? optional(' RETURNING *') : '',
  );
}

/** DELETE … USING: whichever row it meets, a row goes once. */
export function randomJoinedDelete(dice: Dice, table: Table, tables: readonly Table[]): Tree {
  const other = dice.pick(tables);
  const alias = 'o.';
  const scope: Scope = {
    dice,
    columns: [
      ...columnsOf(table),
      ...other.columns.map(({ name, type }) => ({ sql: `${alias}${name}`, type })),
    ],
  };
  return sequence(
    `DELETE FROM ${table.name} USING ${other.name} AS o WHERE `,
    randomExpression(scope, 'boolean', 2),
    dice.chance(0.3) ? optional(` RETURNING ${table.name}.*`) : '',
  );
}

/** SET (a, b) = (SELECT …), of one row by its key or of none. */
export function randomRowUpdate(dice: Dice, table: Table): Tree | undefined {
  const free = dice.some(
    table.columns.filter(({ isKey }) => !isKey),
    2,
    2,
  );
  if (free.length < 2) return undefined;
  const scope: Scope = { dice, columns: columnsOf(table) };
  const values = free.map(({ type }) => randomExpression(scope, type, 1));
  return sequence(
    `UPDATE ${table.name} SET (${free.map(({ name }) => name).join(', ')}) = (SELECT `,
    list(values, ', ', 2),
    dice.chance(0.3) ? ' WHERE false' : '',
    ')',
    dice.chance(0.7) ? optional(' WHERE ', randomExpression(scope, 'boolean', 1)) : '',
  );
}

export function randomDelete(dice: Dice, table: Table): Tree {
  const scope: Scope = { dice, columns: columnsOf(table) };
  return sequence(
    `DELETE FROM ${table.name} WHERE `,
    randomExpression(scope, 'boolean', 2),
    returning(dice, table),
  );
}
