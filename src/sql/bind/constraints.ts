/** Constraints of CREATE TABLE and ALTER TABLE: which are supported, what they are called, what they say. */
import type { ColumnDef, Constraint, Node } from 'libpg-query';
import {
  type ErrorCode,
  limits,
  sqlError,
  utf8Length,
  type VerityError,
} from '../../base/index.ts';
import type { Check, Column, Expression, ForeignKey, TableSchema } from '../../codec/index.ts';
import type { Catalog } from '../contract.ts';
import type { StatementTree } from '../parse/script.ts';
import {
  columnsRead,
  constraintNamesOf,
  primaryKeyColumns,
  primaryKeyName,
} from '../schema/table-keys.ts';
import { indexesOf } from '../schema/table-layout.ts';
import { offsetOf } from './context.ts';
import { bindDefault, definitionContext } from './definition-context.ts';
import { bindCondition } from './expression.ts';
import { bindForeignKey } from './foreign-key.ts';
import { tableRelation } from './relation.ts';
import { bindTypeName } from './type-cast.ts';
import { allowFields, unsupported } from './unsupported.ts';

const columnFields = new Set(['colname', 'typeName', 'is_local', 'constraints', 'location']);
const columnNames = {
  collClause: 'COLLATE',
  storage_name: 'STORAGE',
  compression: 'COMPRESSION',
  fdwoptions: 'OPTIONS',
};
const constraintFields = new Set([
  'contype',
  'conname',
  'location',
  'raw_expr',
  'keys',
  'is_enforced',
  'initially_valid',
  'pktable',
  'fk_attrs',
  'pk_attrs',
  'fk_matchtype',
  'fk_upd_action',
  'fk_del_action',
]);
const constraintNames = {
  nulls_not_distinct: 'NULLS NOT DISTINCT',
  including: 'INCLUDE',
  is_no_inherit: 'NO INHERIT',
  deferrable: 'DEFERRABLE',
  initdeferred: 'DEFERRABLE',
  options: 'WITH (…)',
  indexname: 'USING INDEX',
  indexspace: 'USING INDEX TABLESPACE',
  without_overlaps: 'WITHOUT OVERLAPS',
  skip_validation: 'NOT VALID',
  fk_with_period: 'PERIOD',
  pk_with_period: 'PERIOD',
  fk_del_set_cols: 'SET NULL (…)',
};
const supportedConstraints = new Set([
  'CONSTR_NULL',
  'CONSTR_NOTNULL',
  'CONSTR_DEFAULT',
  'CONSTR_CHECK',
  'CONSTR_PRIMARY',
  'CONSTR_UNIQUE',
  'CONSTR_FOREIGN',
]);
const unsupportedConstraints: Readonly<Record<string, string>> = {
  CONSTR_IDENTITY: 'An identity column',
  CONSTR_GENERATED: 'A generated column',
  CONSTR_EXCLUSION: 'EXCLUDE',
  CONSTR_ATTR_DEFERRABLE: 'DEFERRABLE',
  CONSTR_ATTR_NOT_DEFERRABLE: 'DEFERRABLE',
  CONSTR_ATTR_DEFERRED: 'DEFERRABLE',
  CONSTR_ATTR_IMMEDIATE: 'DEFERRABLE',
  CONSTR_ATTR_NOT_ENFORCED: 'NOT ENFORCED',
};

/** A table while columns and constraints are added to it. */
export interface Draft {
  readonly tree: StatementTree;
  readonly catalog: Catalog;
  readonly name: string;
  /** The table as it is; undefined for a new one. */
  readonly base: TableSchema | undefined;
  readonly columns: Column[];
  readonly constraints: { readonly constraint: Constraint; readonly column: string | undefined }[];
}

/** A key, under its constraint's name; `name` undefined: the primary key's usual one. */
interface NamedKey {
  readonly name: string;
  readonly columns: readonly number[];
}

/** What a draft's constraints say, with names. */
export interface BoundConstraints {
  readonly primaryKey:
    | { readonly name: string | undefined; readonly columns: readonly number[] }
    | undefined;
  readonly uniques: readonly NamedKey[];
  readonly checks: readonly Check[];
  readonly foreignKeys: readonly ForeignKey[];
}

/** Adds a column; its constraints other than NULL, NOT NULL and DEFAULT go to the draft's. */
export function addColumn(draft: Draft, node: ColumnDef): void {
  const { tree, columns } = draft;
  const { colname = '', typeName } = node;
  allowFields(tree, node, columnFields, columnNames);
  if (typeName === undefined) throw unsupported(tree, 'A column without a type', node);
  if (columns.some((column) => column.name === colname)) {
    throw sqlError(
      'DUPLICATE_COLUMN',
      `Column "${colname}" is defined twice; rename one.`,
      offsetOf(tree, node.location),
    );
  }
  const column: Column = { name: colname, type: columnType(tree, typeName), notNull: false };
  let notNull: boolean | undefined;
  let fallback: Expression | undefined;
  let hasDefault = false;
  for (const each of node.constraints ?? []) {
    if (!('Constraint' in each)) throw unsupported(tree, 'This constraint', each);
    const constraint = checkedConstraint(tree, each.Constraint);
    const { contype } = constraint;
    if (contype === 'CONSTR_NOTNULL' || contype === 'CONSTR_NULL') {
      const wanted = contype === 'CONSTR_NOTNULL';
      if (notNull !== undefined && notNull !== wanted)
        throw contradiction(
          draft,
          `Column "${colname}" is both NULL and NOT NULL`,
          constraint,
          'SYNTAX_ERROR',
        );
      notNull = wanted;
    } else if (contype === 'CONSTR_DEFAULT') {
      if (hasDefault)
        throw contradiction(draft, `Column "${colname}" has two defaults`, constraint);
      hasDefault = true;
      fallback = bindDefault(tree, constraint.raw_expr as Node, column);
    } else {
      draft.constraints.push({ constraint, column: colname });
    }
  }
  const whole = { ...column, notNull: notNull === true };
  columns.push(fallback === undefined ? whole : { ...whole, default: fallback });
}

/** The type of a column. Throws UNSUPPORTED_SQL for one that only expressions have. */
export function columnType(
  tree: StatementTree,
  node: NonNullable<ColumnDef['typeName']>,
): Column['type'] {
  const type = bindTypeName(tree, node);
  if (type.name === 'interval')
    throw unsupported(tree, 'A column of type interval (keep it as text, or as a number)', node);
  return type;
}

/** Adds a constraint of the table as a whole. */
export function addConstraint(draft: Draft, node: Constraint): void {
  draft.constraints.push({ constraint: checkedConstraint(draft.tree, node), column: undefined });
}

function checkedConstraint(tree: StatementTree, constraint: Constraint): Constraint {
  const { contype = '' } = constraint;
  if (!supportedConstraints.has(contype)) {
    throw unsupported(
      tree,
      unsupportedConstraints[contype] ?? 'This constraint',
      constraint.location ?? constraint,
    );
  }
  allowFields(tree, constraint, constraintFields, constraintNames);
  if (contype === 'CONSTR_CHECK' && constraint.is_enforced !== true)
    throw unsupported(tree, 'NOT ENFORCED', constraint.location);
  return constraint;
}

function contradiction(
  draft: Draft,
  what: string,
  constraint: Constraint,
  code: ErrorCode = 'INVALID_TABLE_DEFINITION',
): VerityError {
  return sqlError(code, `${what}; keep one.`, offsetOf(draft.tree, constraint.location));
}

/** What the draft's constraints say. `shape` is the table with the draft's columns. */
export function bindConstraints(draft: Draft, shape: TableSchema): BoundConstraints {
  const { tree, name, columns, constraints } = draft;
  const names = new ConstraintNames(draft);
  let primaryKey: BoundConstraints['primaryKey'];
  const uniques: NamedKey[] = [];
  const checks: Check[] = [];
  const foreignKeys: ForeignKey[] = [];
  const namesOf = (keys: readonly number[]): string[] =>
    keys.map((key) => columns[key]?.name ?? '');
  for (const { constraint, column } of constraints) {
    if (constraint.contype === 'CONSTR_CHECK') {
      const context = definitionContext(tree, [tableRelation(name, shape)], 'CHECK');
      const expression = bindCondition(context, constraint.raw_expr as Node, 'CHECK');
      const read = columnsRead(expression);
      const parts = [...(read.length === 1 ? namesOf(read) : []), 'check'];
      checks.push({ name: names.take(constraint, parts), expression });
      continue;
    }
    const listed = constraint.contype === 'CONSTR_FOREIGN' ? constraint.fk_attrs : constraint.keys;
    const keys = columnOrdinals(
      draft,
      column === undefined ? (listed ?? []) : [{ String: { sval: column } }],
      offsetOf(tree, constraint.location),
    );
    if (constraint.contype === 'CONSTR_PRIMARY') {
      if (primaryKey !== undefined || hasPrimaryKey(draft.base))
        throw contradiction(draft, `Table "${name}" has two primary keys`, constraint);
      primaryKey = { name: constraint.conname, columns: keys };
    } else if (constraint.contype === 'CONSTR_UNIQUE') {
      uniques.push({ name: names.take(constraint, [...namesOf(keys), 'key']), columns: keys });
    } else {
      const own = names.take(constraint, [...namesOf(keys), 'fkey']);
      // A key that a new table is defined with can be referred to; one that a table gets later is an index yet to be built.
      const isNew = draft.base === undefined;
      const keyed = isNew && primaryKey ? { ...shape, primaryKey: primaryKey.columns } : shape;
      foreignKeys.push(
        bindForeignKey(
          { tree, catalog: draft.catalog, constraint, name: own, keys },
          keyed,
          isNew ? uniques : [],
        ),
      );
    }
  }
  return { primaryKey, uniques, checks, foreignKeys };
}

const hasPrimaryKey = (table: TableSchema | undefined): boolean =>
  table !== undefined && primaryKeyColumns(table) !== undefined;

/** The ordinals of columns named in a key. Throws UNDEFINED_COLUMN, DUPLICATE_COLUMN. */
function columnOrdinals(
  draft: Pick<Draft, 'name' | 'columns'>,
  keys: readonly Node[],
  offset: number | undefined,
): readonly number[] {
  const ordinals = keys.map((key) => {
    const name = 'String' in key ? (key.String.sval ?? '') : '';
    const ordinal = draft.columns.findIndex((column) => column.name === name);
    if (ordinal === -1)
      throw sqlError(
        'UNDEFINED_COLUMN',
        `The key names column "${name}", which table "${draft.name}" does not have.`,
        offset,
      );
    return ordinal;
  });
  if (new Set(ordinals).size !== ordinals.length) {
    throw sqlError('DUPLICATE_COLUMN', 'A key names a column twice; name it once.', offset);
  }
  return ordinals;
}

/** The names of all tables, views and indexes, which share one space. */
export function relationNames(catalog: Pick<Catalog, 'relations'>): Set<string> {
  return new Set(
    catalog
      .relations()
      .flatMap((each) => [
        each.name,
        ...(each.primaryKey.length > 0 ? [primaryKeyName(each)] : []),
        ...indexesOf(each).map((index) => index.name),
      ]),
  );
}

/** Gives constraints PostgreSQL's names, numbered when taken. */
class ConstraintNames {
  readonly #draft: Draft;
  readonly #taken: Set<string>;

  constructor(draft: Draft) {
    this.#draft = draft;
    const { base, name, constraints } = draft;
    const own = new Set(base === undefined ? [] : constraintNamesOf(base));
    const relations = relationNames(draft.catalog);
    this.#taken = new Set([`${name}_pkey`, ...own, ...relations]);
    for (const { constraint } of constraints) {
      const given = constraint.conname;
      if (given === undefined) continue;
      const isIndex =
        constraint.contype === 'CONSTR_UNIQUE' || constraint.contype === 'CONSTR_PRIMARY';
      if (isIndex && (relations.has(given) || given === name))
        throw sqlError(
          'DUPLICATE_TABLE',
          `"${given}" is the name of a table, view or index already; use another name.`,
          offsetOf(draft.tree, constraint.location),
        );
      if (own.has(given))
        throw sqlError(
          'DUPLICATE_OBJECT',
          `Table "${name}" already has a constraint "${given}"; use another name.`,
          offsetOf(draft.tree, constraint.location),
        );
      if (constraints.filter((each) => each.constraint.conname === given).length > 1)
        throw contradiction(draft, `Two constraints are named "${given}"`, constraint);
      this.#taken.add(given);
    }
  }

  take(constraint: Constraint, parts: readonly string[]): string {
    if (constraint.conname !== undefined) return constraint.conname;
    const name = freeName([this.#draft.name, ...parts], this.#taken);
    this.#taken.add(name);
    return name;
  }
}

/** The parts joined, shortened, and numbered if that is taken. */
export function freeName(parts: readonly string[], taken: ReadonlySet<string>): string {
  const base = shortened(parts.join('_'));
  let name = base;
  for (let number = 1; taken.has(name); number++) name = `${base}${number}`;
  return name;
}

/** A generated name cut to where a number still fits. */
function shortened(name: string): string {
  const characters = Array.from(name);
  while (utf8Length(characters.join('')) > limits.nameBytesMax - 5) characters.pop();
  return characters.join('');
}
