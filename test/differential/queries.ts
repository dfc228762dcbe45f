/** Random SELECTs. */
import type { Dice } from './dice.ts';
import { randomExpression, type Scope, type ScopeColumn } from './expressions.ts';
import { exactTypes, numberTypes, timeTypes, type Type, types } from './literals.ts';
import type { Definition, Table } from './tables.ts';
import { list, optional, sequence, type Tree } from './tree.ts';

export interface RandomQuery {
  readonly sql: Tree;
  /** Whether the statement fixes the order of its rows, up to rows that are alike. */
  readonly ordered: boolean;
}

interface From {
  readonly sql: Tree;
  readonly columns: readonly ScopeColumn[];
}

/** Counts names of relations, so that a subquery never hides an outer one by chance. */
class Names {
  #next = 0;
  readonly #letters: string;

  constructor(letters: string) {
    this.#letters = letters;
  }
  next(): string {
    this.#next += 1;
    return `${this.#letters}${this.#next}`;
  }
}

interface Making {
  readonly dice: Dice;
  readonly tables: readonly Table[];
  readonly names: Names;
  /** Subqueries may stand in subqueries this deep. */
  readonly depth: number;
  readonly mistakes: { left: number };
}

export function randomQuery(dice: Dice, tables: readonly Table[]): RandomQuery {
  const mistakes = { left: dice.chance(0.04) ? 1 : 0 };
  const making: Making = { dice, tables, names: new Names('r'), depth: 2, mistakes };
  if (dice.chance(0.12)) return constantQuery(making);
  if (dice.chance(0.08)) return combinedQuery(making);
  if (dice.chance(0.06)) return extremesQuery(making);
  const query = dice.chance(0.3) ? groupedQuery(making) : plainQuery(making);
  return dice.chance(0.06) ? withQuery(making, query) : query;
}

/** The ends of a column, which a key or index may have at hand. */
function extremesQuery(making: Making): RandomQuery {
  const { dice } = making;
  const from = relation(making);
  const fitting = from.columns.filter(({ type }) => orderedTypes.includes(type));
  if (fitting.length === 0) return plainQuery(making);
  const { sql } = dice.pick(fitting);
  const items = dice.pick([[`min(${sql})`], [`max(${sql})`], [`min(${sql})`, `max(${sql})`]]);
  const where = randomWhere(dice, scopeOver({ ...making, depth: 0 }, from.columns));
  return { sql: sequence('SELECT ', list(items), ' FROM ', from.sql, where), ordered: true };
}

/** A query behind WITH, whose name it reads. */
function withQuery(making: Making, { sql, ordered }: RandomQuery): RandomQuery {
  const inner = relation({ ...making, depth: 0 });
  const [first] = inner.columns;
  if (first === undefined) return { sql, ordered };
  const named = sequence('WITH w (x) AS (SELECT ', first.sql, ' FROM ', inner.sql, ') ');
  const query = sequence('SELECT (SELECT count(*) FROM w), q.* FROM (', sql, ') AS q');
  // A query's order need not survive in a query around it.
  return { sql: sequence(named, query), ordered: false };
}

function constantQuery({ dice, mistakes }: Making): RandomQuery {
  const scope: Scope = { dice, columns: [], mistakes };
  const items = dice.times(1, 3, () => randomExpression(scope, dice.pick(types), 3));
  return { sql: sequence('SELECT ', list(items)), ordered: true };
}

function plainQuery(making: Making): RandomQuery {
  const { dice } = making;
  const from = randomFrom(making);
  const scope = scopeOver(making, from.columns);
  const itemTypes = dice.times(1, 4, () => randomItemType(dice, from));
  const items = itemTypes.map((type) => randomExpression(scope, type, dice.between(0, 2)));
  const distinct = dice.chance(0.15) && !itemTypes.includes('jsonb');
  const star = !distinct && dice.chance(0.1);
  const order = star ? NO_ORDER : randomOrder(dice, items.length, itemTypes);
  return {
    sql: sequence(
      'SELECT ',
      distinct ? optional('DISTINCT ') : '',
      star ? '*' : list(items.map((item) => named(dice, item))),
      ' FROM ',
      from.sql,
      randomWhere(dice, scope),
      order.sql,
      order.total ? randomLimit(dice) : '',
    ),
    ordered: order.total,
  };
}

const unions = ['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT'];

/** UNION and its like, of queries with columns of the same types. */
function combinedQuery(making: Making): RandomQuery {
  const { dice } = making;
  const columnsOf = dice.times(1, 3, () => dice.pick(types.filter((type) => type !== 'jsonb')));
  const part = (): Tree => {
    const from = relation(making);
    const scope = scopeOver({ ...making, depth: 0 }, from.columns);
    const items = columnsOf.map((type) => randomExpression(scope, type, 1));
    return sequence('SELECT ', list(items), ' FROM ', from.sql, randomWhere(dice, scope));
  };
  const first = part();
  const rest = dice.times(1, 2, () => optional(` ${dice.pick(unions)} `, part()));
  const order = randomOrder(dice, columnsOf.length, columnsOf);
  return {
    sql: sequence(first, ...rest, order.sql, order.total ? randomLimit(dice) : ''),
    ordered: order.total,
  };
}

/** Mostly a type that columns have; often a condition, whose three values show in a result only. */
function randomItemType(dice: Dice, from: From): Type {
  if (dice.chance(0.2)) return 'boolean';
  return dice.pick(dice.chance(0.7) ? columnTypes(from) : types);
}

const NO_ORDER = { sql: '' as Tree, total: false };

/** Sometimes an alias, or one without AS. */
function named(dice: Dice, item: Tree): Tree {
  if (!dice.chance(0.2)) return item;
  return sequence(item, optional(dice.pick([' AS x', ' AS "Y z"', ' AS c1'])));
}

/** ORDER BY all result columns by their numbers, in any direction, or one expression. */
function randomOrder(
  dice: Dice,
  count: number,
  itemTypes: readonly Type[],
): { readonly sql: Tree; readonly total: boolean } {
  if (dice.chance(0.45) || itemTypes.includes('jsonb')) return NO_ORDER;
  const ordinals = Array.from({ length: count }, (_, index) => String(index + 1));
  const keys = dice
    .some(ordinals, count, count)
    .map((ordinal) =>
      sequence(
        ordinal,
        optional(dice.pick(['', ' ASC', ' DESC', ' DESC'])),
        optional(dice.pick(['', '', ' NULLS FIRST', ' NULLS LAST'])),
      ),
    );
  return { sql: sequence(' ORDER BY ', list(keys, ', ', count)), total: true };
}

function randomLimit(dice: Dice): Tree {
  if (dice.chance(0.5)) return '';
  return sequence(
    optional(` LIMIT ${dice.pick(['0', '1', '2', '3', '5', 'NULL', 'ALL'])}`),
    dice.chance(0.3) ? optional(` OFFSET ${dice.below(4)}`) : '',
  );
}

function randomWhere(dice: Dice, scope: Scope): Tree {
  if (dice.chance(0.3)) return '';
  return optional(' WHERE ', randomExpression(scope, 'boolean', dice.between(1, 3)));
}

function columnTypes(from: From): readonly Type[] {
  return from.columns.map(({ type }) => type);
}

function scopeOver(making: Making, columns: readonly ScopeColumn[]): Scope {
  const { dice, mistakes } = making;
  if (making.depth === 0) return { dice, columns, mistakes };
  return {
    dice,
    columns,
    mistakes,
    subquery: (type, single) => randomSubquery(making, columns, type, single),
  };
}

/** One table, or several joined. */
function randomFrom(making: Making): From {
  const { dice } = making;
  let from = relation(making);
  const more = dice.pick([0, 0, 0, 0, 1, 1, 2]);
  for (let index = 0; index < more; index++) from = joined(making, from, relation(making));
  return from;
}

function relation(making: Making): From {
  const { dice, tables, names } = making;
  if (making.depth > 0 && dice.chance(0.1)) return derived(making);
  const table = dice.pick(tables);
  const alias = names.next();
  return {
    sql: `${table.name} ${dice.chance(0.5) ? 'AS ' : ''}${alias}`,
    columns: table.columns.map(({ name, type }) => ({ sql: `${alias}.${name}`, type })),
  };
}

/** A view of one table, or of another view. */
export function randomView(dice: Dice, tables: readonly Table[], name: string): Definition {
  const making: Making = { dice, tables, names: new Names('r'), depth: 1, mistakes: { left: 0 } };
  const from = relation(making);
  const scope = scopeOver(making, from.columns);
  const items = dice.times(1, 4, (index) => ({
    type: dice.pick(columnTypes(from)),
    name: `c${index + 1}`,
  }));
  return {
    table: {
      name,
      columns: items.map((item) => ({ ...item, written: item.type, ...readOnly })),
    },
    create: sequence(
      `CREATE VIEW ${name} AS SELECT `,
      list(
        items.map((item) => sequence(randomExpression(scope, item.type, 1), ` AS ${item.name}`)),
      ),
      ' FROM ',
      from.sql,
      randomWhere(dice, scope),
    ),
  };
}

const readOnly = { hasDefault: false, notNull: false, isKey: false };

/** A subquery in FROM, whose columns are named by it or by the alias. */
function derived(making: Making): From {
  const { dice, names } = making;
  const inner: Making = { ...making, depth: making.depth - 1 };
  const from = relation(inner);
  const scope = scopeOver(inner, from.columns);
  const columnsOf = dice.times(1, 3, () => dice.pick(types));
  const items = columnsOf.map((type) => randomExpression(scope, type, 1));
  const alias = names.next();
  const isListed = dice.chance(0.5);
  const columns = columnsOf.map((type, index) => ({ sql: `${alias}.d${index}`, type }));
  const items_ = items.map((item, index) => (isListed ? item : sequence(item, ` AS d${index}`)));
  const aliases = columns.map((_, index) => `d${index}`).join(', ');
  return {
    sql: sequence(
      '(SELECT ',
      list(items_),
      ' FROM ',
      from.sql,
      randomWhere(dice, scope),
      `) AS ${alias}${isListed ? ` (${aliases})` : ''}`,
    ),
    columns,
  };
}

const joinWords = [
  ', ',
  ' CROSS JOIN ',
  ' JOIN ',
  ' INNER JOIN ',
  ' LEFT JOIN ',
  ' LEFT OUTER JOIN ',
  ' RIGHT JOIN ',
  ' FULL JOIN ',
];

function joined({ dice }: Making, left: From, right: From): From {
  const columns = [...left.columns, ...right.columns];
  const word = dice.pick(joinWords);
  if (!word.includes('JOIN') || word.includes('CROSS'))
    return { sql: sequence(left.sql, word, right.sql), columns };
  const pairs = left.columns.flatMap((a) =>
    right.columns
      .filter((b) => b.type === a.type && a.type !== 'jsonb')
      .map((b) => `${a.sql} = ${b.sql}`),
  );
  const conditions: Tree[] = pairs.length > 0 && dice.chance(0.85) ? [dice.pick(pairs)] : [];
  // PostgreSQL makes a FULL JOIN of equalities only.
  const isFree = !word.includes('FULL');
  if (isFree && (conditions.length === 0 || dice.chance(0.3)))
    conditions.push(randomExpression({ dice, columns }, 'boolean', dice.between(1, 2)));
  if (conditions.length === 0)
    return { sql: sequence(left.sql, ' CROSS JOIN ', right.sql), columns };
  return { sql: sequence(left.sql, word, right.sql, ' ON ', list(conditions, ' AND ')), columns };
}

/** With one column; `single` ones yield at most one row, by an aggregate or LIMIT. */
function randomSubquery(
  making: Making,
  outer: readonly ScopeColumn[],
  type: Type,
  single: boolean,
): Tree {
  const { dice } = making;
  const inner: Making = { ...making, depth: making.depth - 1 };
  const from = relation(inner);
  // Columns of the outer query make it correlated.
  const scope = scopeOver(inner, [...from.columns, ...(dice.chance(0.5) ? outer : [])]);
  const where = randomWhere(dice, scope);
  if (!single) {
    const item = randomExpression({ ...scope, columns: from.columns }, type, 1);
    return sequence('(SELECT ', item, ' FROM ', from.sql, where, ')');
  }
  const aggregate = randomAggregate({ dice, columns: from.columns }, type);
  if (aggregate !== undefined && dice.chance(0.7))
    return sequence('(SELECT ', aggregate, ' FROM ', from.sql, where, ')');
  if (type === 'jsonb')
    return sequence('(SELECT ', randomExpression({ dice, columns: [] }, type, 1), ')');
  const item = randomExpression({ dice, columns: from.columns }, type, 1);
  return sequence('(SELECT ', item, ' FROM ', from.sql, where, ' ORDER BY 1 LIMIT 1)');
}

/** min and max of PostgreSQL 15 exist for these. */
const orderedTypes: readonly Type[] = [...numberTypes, 'text', ...timeTypes];
const sums: Readonly<Partial<Record<Type, readonly Type[]>>> = {
  bigint: ['smallint', 'integer'],
  numeric: ['bigint', 'numeric'],
  real: ['real'],
  'double precision': ['double precision'],
};
const averages: Readonly<Partial<Record<Type, readonly Type[]>>> = {
  numeric: exactTypes,
  'double precision': ['real', 'double precision'],
};

/** An aggregate that yields `type`, or undefined if there is none. */
function randomAggregate(scope: Scope, type: Type): Tree | undefined {
  const { dice } = scope;
  const inner: Scope = { dice, columns: scope.columns };
  const call = (name: string, argument: Type): Tree =>
    sequence(
      `${name}(`,
      dice.chance(0.2) ? optional('DISTINCT ') : '',
      randomExpression(inner, argument, 1),
      ')',
      dice.chance(0.1)
        ? optional(' FILTER (WHERE ', randomExpression(inner, 'boolean', 1), ')')
        : '',
    );
  const choices: (() => Tree)[] = [];
  if (type === 'bigint') {
    choices.push(() => 'count(*)');
    choices.push(() => call('count', dice.pick(types.filter((each) => each !== 'jsonb'))));
  }
  if (type === 'boolean')
    choices.push(() => call(dice.pick(['bool_and', 'bool_or', 'every']), type));
  const summed = sums[type];
  if (summed !== undefined) choices.push(() => call('sum', dice.pick(summed)));
  const averaged = averages[type];
  if (averaged !== undefined) choices.push(() => call('avg', dice.pick(averaged)));
  if (orderedTypes.includes(type)) choices.push(() => call(dice.pick(['min', 'max']), type));
  return choices.length === 0 ? undefined : dice.pick(choices)();
}

/** GROUP BY columns and expressions, or none, with aggregates in the list, HAVING and ORDER BY. */
function groupedQuery(making: Making): RandomQuery {
  const { dice } = making;
  const from = randomFrom(making);
  const rowScope = scopeOver({ ...making, depth: 0 }, from.columns);
  const groupable = from.columns.filter(({ type }) => type !== 'jsonb');
  const keyed = groupable.length > 0 && dice.chance(0.75);
  const keys: ScopeColumn[] = keyed ? dice.some(groupable, 1, 2) : [];
  const byNumber = dice.chance(0.2);
  const aggregate = (type: Type): Tree | undefined => randomAggregate(rowScope, type);
  const scope: Scope = { dice, columns: keys, aggregate };
  const itemTypes: Type[] = keys.map(({ type }) => type);
  const items: Tree[] = keys.map(({ sql }) => sql);
  for (const type of dice.times(1, 3, () => dice.pick(aggregateTypes))) {
    itemTypes.push(type);
    items.push(dice.chance(0.5) ? (aggregate(type) as Tree) : randomExpression(scope, type, 2));
  }
  const order = randomOrder(dice, items.length, itemTypes);
  return {
    sql: sequence(
      'SELECT ',
      list(items.map((item) => named(dice, item))),
      ' FROM ',
      from.sql,
      randomWhere(dice, rowScope),
      keyed
        ? sequence(
            ' GROUP BY ',
            list(keys.map(({ sql }, index) => (byNumber ? `${index + 1}` : sql))),
          )
        : '',
      dice.chance(0.3) ? optional(' HAVING ', randomExpression(scope, 'boolean', 2)) : '',
      order.sql,
      order.total ? randomLimit(dice) : '',
    ),
    ordered: order.total,
  };
}

const aggregateTypes: readonly Type[] = [
  ...orderedTypes.filter((type) => type !== 'smallint'),
  'boolean',
];
