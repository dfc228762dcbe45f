/** A world: a few tables, and statements on them, all by a seed. */
import { Dice } from './dice.ts';
import { randomQuery, randomView } from './queries.ts';
import { randomAlteration, randomIndex, randomTable, type Table } from './tables.ts';
import type { Tree } from './tree.ts';
import {
  randomDelete,
  randomInsert,
  randomInsertSelect,
  randomJoinedDelete,
  randomJoinedUpdate,
  randomRowUpdate,
  randomUpdate,
} from './writes.ts';

export interface Step {
  readonly kind: 'define' | 'write' | 'query';
  readonly sql: Tree;
  /** Whether the statement fixes the order of its rows. */
  readonly ordered: boolean;
}

const step = (kind: Step['kind'], sql: Tree, ordered = false): Step => ({ kind, sql, ordered });
const tableNames = ['t1', 't2', 't3'];

/** The steps of a world, `count` of them after its tables were made and filled. */
export function worldOf(seed: number, count: number): Step[] {
  const dice = new Dice(seed);
  const tables: Table[] = [];
  const steps: Step[] = [];
  for (const name of tableNames.slice(0, dice.between(1, 3))) {
    const { table, create } = randomTable(dice, name, tables);
    tables.push(table);
    steps.push(step('define', create));
  }
  for (const table of tables) {
    for (const index of [1, 2]) {
      const create = dice.chance(0.4) ? randomIndex(dice, table, `${table.name}_i${index}`) : '';
      if (create !== undefined && create !== '') steps.push(step('define', create));
    }
    for (let round = 0; round < 4; round++) steps.push(step('write', randomInsert(dice, table, 4)));
  }
  const views: Table[] = [];
  for (let index = 0; index < count; index++) {
    if (dice.chance(0.04)) steps.push(...definition(dice, tables, views, index));
    else if (dice.chance(0.75)) {
      const { sql, ordered } = randomQuery(dice, [...tables, ...views]);
      steps.push(step('query', sql, ordered));
    } else steps.push(...write(dice, tables));
  }
  return steps;
}

/** A view, or a table that is changed; what it holds then. */
function definition(dice: Dice, tables: Table[], views: Table[], index: number): Step[] {
  if (dice.chance(0.3)) {
    const { table, create } = randomView(dice, [...tables, ...views], `v${index}`);
    views.push(table);
    return [step('define', create), step('query', `SELECT * FROM ${table.name}`)];
  }
  const place = dice.below(tables.length);
  const { table, create } = randomAlteration(dice, tables[place] as Table, {
    name: `n${index}`,
    // We refuse to change what a view reads; PostgreSQL rewrites the view.
    addsOnly: views.length > 0,
  });
  tables[place] = table;
  return [step('define', create), step('query', `SELECT * FROM ${table.name}`)];
}

/** A write, and what its table holds then. */
function write(dice: Dice, tables: readonly Table[]): Step[] {
  const table = dice.pick(tables);
  const make = dice.pick([randomInsert, randomInsert, randomUpdate, randomUpdate, randomDelete]);
  const joined = dice.chance(0.2) ? joinedWrite(dice, table, tables) : undefined;
  const sql =
    joined ??
    (make === randomDelete && dice.chance(0.3)
      ? randomInsertSelect(dice, table, tables)
      : make(dice, table, 3));
  return [step('write', sql), step('query', `SELECT * FROM ${table.name}`)];
}

/** A write that reads another table, or a row of values. */
function joinedWrite(dice: Dice, table: Table, tables: readonly Table[]): Tree | undefined {
  const form = dice.below(3);
  if (form === 0) return randomJoinedUpdate(dice, table, tables);
  return form === 1 ? randomRowUpdate(dice, table) : randomJoinedDelete(dice, table, tables);
}
