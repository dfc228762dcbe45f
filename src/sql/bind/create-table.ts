/** CREATE TABLE as a table definition. */
import type { ColumnDef, Constraint, CreateStmt, Node } from 'libpg-query';
import {
  type ErrorCode,
  limits,
  type ObjectId,
  sqlError,
  utf8Length,
  type VerityError,
} from '../../base/index.ts';
import type { Check, Column, Expression, Index, TableSchema } from '../../codec/index.ts';
import type { StatementTree } from '../parse/script.ts';
import { type BindContext, offsetOf, ParameterTypes } from './context.ts';
import { bindCondition } from './expression.ts';
import { tableName } from './relation.ts';
import { bindTypeName } from './type-cast.ts';
import { allowFields, unsupported } from './unsupported.ts';
import { bindAssigned } from './write.ts';

/** A table still without object ids. */
export interface TableDefinition {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly primaryKey: readonly number[];
  readonly uniques: readonly { readonly name: string; readonly columns: readonly number[] }[];
  readonly checks: readonly Check[];
}

const createFields = new Set(['relation', 'tableElts', 'oncommit', 'if_not_exists']);
const createNames = {
  inhRelations: 'INHERITS or PARTITION OF',
  partbound: 'PARTITION OF',
  partspec: 'PARTITION BY',
  ofTypename: 'OF type',
  options: 'WITH (…)',
  tablespacename: 'TABLESPACE',
  accessMethod: 'USING',
  constraints: 'This constraint',
};
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
};

/** What the elements of a table are collected into. */
interface Draft {
  readonly tree: StatementTree;
  readonly name: string;
  readonly columns: Column[];
  readonly constraints: { readonly constraint: Constraint; readonly column: string | undefined }[];
}

export function bindCreateTable(tree: StatementTree, statement: CreateStmt): TableDefinition {
  allowFields(tree, statement, createFields, createNames);
  if (statement.oncommit !== 'ONCOMMIT_NOOP')
    throw unsupported(tree, 'ON COMMIT', statement.relation);
  const name = tableName(tree, statement.relation ?? {});
  const draft: Draft = { tree, name, columns: [], constraints: [] };
  for (const element of statement.tableElts ?? []) addElement(draft, element);
  if (draft.columns.length === 0 || draft.columns.length > limits.columnsMax) {
    const what =
      draft.columns.length === 0
        ? 'has no column; give it one'
        : `has more than ${limits.columnsMax} columns; split it`;
    throw sqlError(
      'INVALID_TABLE_DEFINITION',
      `Table "${name}" ${what}.`,
      offsetOf(tree, statement.relation?.location),
    );
  }
  return finish(draft);
}

function addElement(draft: Draft, element: Node): void {
  const { tree, columns, constraints } = draft;
  if ('Constraint' in element) {
    constraints.push({
      constraint: checkedConstraint(tree, element.Constraint),
      column: undefined,
    });
  } else if ('ColumnDef' in element) {
    columns.push(bindColumnDefinition(draft, element.ColumnDef));
  } else {
    throw unsupported(tree, 'LIKE in CREATE TABLE', element);
  }
}

function bindColumnDefinition(draft: Draft, node: ColumnDef): Column {
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
  const column: Column = { name: colname, type: bindTypeName(tree, typeName), notNull: false };
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
        throw contradiction(draft, `Column "${colname}" is both NULL and NOT NULL`, constraint);
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
  return fallback === undefined ? whole : { ...whole, default: fallback };
}

const supportedConstraints = new Set([
  'CONSTR_NULL',
  'CONSTR_NOTNULL',
  'CONSTR_DEFAULT',
  'CONSTR_CHECK',
  'CONSTR_PRIMARY',
  'CONSTR_UNIQUE',
]);
const unsupportedConstraints: Readonly<Record<string, string>> = {
  CONSTR_FOREIGN: 'A foreign key',
  CONSTR_IDENTITY: 'An identity column',
  CONSTR_GENERATED: 'A generated column',
  CONSTR_EXCLUSION: 'EXCLUDE',
  CONSTR_ATTR_DEFERRABLE: 'DEFERRABLE',
  CONSTR_ATTR_NOT_DEFERRABLE: 'DEFERRABLE',
  CONSTR_ATTR_DEFERRED: 'DEFERRABLE',
  CONSTR_ATTR_IMMEDIATE: 'DEFERRABLE',
  CONSTR_ATTR_NOT_ENFORCED: 'NOT ENFORCED',
};

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

/** A DEFAULT: free of columns and parameters; undefined for DEFAULT NULL, which is no default. */
function bindDefault(tree: StatementTree, node: Node, column: Column): Expression | undefined {
  const expression = bindAssigned(definitionContext(tree, [], 'DEFAULT'), node, column);
  return expression?.kind === 'literal' && expression.value === null ? undefined : expression;
}

const definitionContext = (
  tree: StatementTree,
  relations: BindContext['relations'],
  clause: string,
): BindContext => ({
  source: tree.source,
  relations,
  parameters: new NoParameters(),
  clause,
  aggregates: undefined,
  onColumn: undefined,
  depth: 0,
});

/** A definition is kept for ever and run without parameters. */
class NoParameters extends ParameterTypes {
  constructor() {
    super(0);
  }
  override get(number: number): never {
    throw sqlError(
      'UNDEFINED_PARAMETER',
      `A table definition cannot refer to $${number}; write the value.`,
    );
  }
}

function contradiction(
  draft: Draft,
  what: string,
  constraint: Constraint,
  code: ErrorCode = 'INVALID_TABLE_DEFINITION',
): VerityError {
  return sqlError(code, `${what}; keep one.`, offsetOf(draft.tree, constraint.location));
}

function finish(draft: Draft): TableDefinition {
  const { tree, name, columns, constraints } = draft;
  const names = new ConstraintNames(draft);
  let primaryKey: readonly number[] | undefined;
  const uniques: { name: string; columns: readonly number[] }[] = [];
  const checks: Check[] = [];
  const shape: TableSchema = {
    id: 0 as ObjectId,
    name,
    version: 1,
    columns,
    primaryKey: [],
    indexes: [],
    checks: [],
  };
  for (const { constraint, column } of constraints) {
    if (constraint.contype === 'CONSTR_CHECK') {
      const context = definitionContext(tree, [{ name, table: shape }], 'CHECK');
      const expression = bindCondition(context, constraint.raw_expr as Node, 'CHECK');
      checks.push({
        name: names.take(constraint, column === undefined ? ['check'] : [column, 'check']),
        expression,
      });
      continue;
    }
    const keys =
      column === undefined
        ? keyColumns(draft, constraint)
        : [columns.findIndex((each) => each.name === column)];
    if (constraint.contype === 'CONSTR_PRIMARY') {
      if (primaryKey !== undefined)
        throw contradiction(draft, `Table "${name}" has two primary keys`, constraint);
      primaryKey = keys;
    } else {
      uniques.push({
        name: names.take(constraint, [...keys.map((key) => columns[key]?.name ?? ''), 'key']),
        columns: keys,
      });
    }
  }
  return {
    name,
    columns: requireKey(columns, primaryKey ?? []),
    primaryKey: primaryKey ?? [],
    uniques,
    checks,
  };
}

const requireKey = (columns: readonly Column[], primaryKey: readonly number[]): readonly Column[] =>
  columns.map((column, ordinal) =>
    primaryKey.includes(ordinal) ? { ...column, notNull: true } : column,
  );

function keyColumns(draft: Draft, constraint: Constraint): readonly number[] {
  const offset = offsetOf(draft.tree, constraint.location);
  const ordinals = (constraint.keys ?? []).map((key) => {
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

/** Gives constraints PostgreSQL's names, numbered when taken. */
class ConstraintNames {
  readonly #draft: Draft;
  readonly #taken: Set<string>;

  constructor(draft: Draft) {
    this.#draft = draft;
    const given = draft.constraints.flatMap(({ constraint }) => constraint.conname ?? []);
    this.#taken = new Set([`${draft.name}_pkey`, ...given]);
    const duplicate = draft.constraints.find(
      ({ constraint }, index) =>
        constraint.conname !== undefined &&
        draft.constraints.findIndex((each) => each.constraint.conname === constraint.conname) !==
          index,
    );
    if (duplicate !== undefined)
      throw contradiction(
        draft,
        `Two constraints are named "${duplicate.constraint.conname ?? ''}"`,
        duplicate.constraint,
      );
  }

  take(constraint: Constraint, parts: readonly string[]): string {
    if (constraint.conname !== undefined) return constraint.conname;
    const base = shortened([this.#draft.name, ...parts].join('_'));
    let name = base;
    for (let number = 1; this.#taken.has(name); number++) name = `${base}${number}`;
    this.#taken.add(name);
    return name;
  }
}

/** A generated name cut to where a number still fits. */
function shortened(name: string): string {
  const characters = Array.from(name);
  while (utf8Length(characters.join('')) > limits.nameBytesMax - 5) characters.pop();
  return characters.join('');
}

/** The definition as the catalog holds it; `allocate` draws the ids of the table and of its indexes. */
export function tableSchemaOf(definition: TableDefinition, allocate: () => ObjectId): TableSchema {
  const { name, columns, primaryKey, uniques, checks } = definition;
  const id = allocate();
  const indexes = uniques.map((each): Index => ({
    id: allocate(),
    name: each.name,
    unique: true,
    columns: each.columns,
  }));
  return { id, name, version: 1, columns, primaryKey, indexes, checks };
}
