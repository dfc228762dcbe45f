/** Foreign keys: what they refer to, and the index by which their rows are found. */
import type { Constraint, Node } from 'libpg-query';
import { type ObjectId, sqlError } from '../../base/index.ts';
import type { ForeignKey, TableSchema } from '../../codec/index.ts';
import type { Catalog } from '../contract.ts';
import type { StatementTree } from '../parse/script.ts';
import { primaryKeyColumns, sameColumns } from '../schema/table-keys.ts';
import { typeLabel } from './coerce.ts';
import { offsetOf } from './context.ts';
import { bindRelation, tableName } from './relation.ts';
import { isInteger, sameForm } from './type-rules.ts';
import { unsupported } from './unsupported.ts';

/** The id by which a foreign key of a table that has none yet refers to itself. */
export const ownTable = 0 as ObjectId;

const actions: Readonly<Record<string, ForeignKey['onDelete']>> = { a: 'noAction', r: 'restrict' };

interface Source {
  readonly tree: StatementTree;
  readonly catalog: Catalog;
  readonly constraint: Constraint;
  readonly name: string;
  /** Ordinals of the referring columns. */
  readonly keys: readonly number[];
}

/** `own`: the table whose foreign key it is; `uniques`: keys that it is getting too. */
export function bindForeignKey(
  source: Source,
  own: TableSchema,
  uniques: readonly { readonly columns: readonly number[] }[],
): ForeignKey {
  const { tree, constraint, name, keys } = source;
  const offset = offsetOf(tree, constraint.location);
  const onDelete = actions[constraint.fk_del_action ?? 'a'];
  const onUpdate = actions[constraint.fk_upd_action ?? 'a'];
  if (onDelete === undefined || onUpdate === undefined)
    throw unsupported(
      tree,
      'A foreign key with CASCADE, SET NULL or SET DEFAULT (NO ACTION and RESTRICT are)',
      constraint.location,
    );
  if ((constraint.fk_matchtype ?? 's') !== 's')
    throw unsupported(tree, 'MATCH FULL or PARTIAL', constraint.location);
  const isOwn = tableName(tree, constraint.pktable ?? {}) === own.name;
  const target = isOwn ? own : bindRelation(tree, constraint.pktable ?? {}, source.catalog).table;
  const references = referencedColumns(source, target);
  if (references.length !== keys.length)
    throw sqlError(
      'INVALID_FOREIGN_KEY',
      `Foreign key "${name}" has ${keys.length} columns, but refers to ${references.length}; name as many.`,
      offset,
    );
  const candidates = [
    target.primaryKey,
    ...target.indexes.filter((index) => index.unique).map((index) => index.columns),
    ...(isOwn ? uniques.map((each) => each.columns) : []),
  ];
  if (!candidates.some((each) => sameColumns(each, references)))
    throw sqlError(
      'INVALID_FOREIGN_KEY',
      `Foreign key "${name}" refers to columns of table "${target.name}" that are neither its primary key nor unique; add a UNIQUE constraint.`,
      offset,
    );
  keys.forEach((key, index) => {
    const from = own.columns[key]?.type;
    const to = target.columns[references[index] ?? 0]?.type;
    if (from === undefined || to === undefined) return;
    if (!sameForm(from.name, to.name) && !(isInteger(from.name) && isInteger(to.name)))
      throw sqlError(
        'TYPE_MISMATCH',
        `Foreign key "${name}" compares ${typeLabel(from)} with ${typeLabel(to)}; give both columns one type.`,
        offset,
      );
  });
  return { name, columns: keys, table: isOwn ? own.id : target.id, references, onDelete, onUpdate };
}

function referencedColumns({ tree, constraint }: Source, target: TableSchema): readonly number[] {
  const offset = offsetOf(tree, constraint.location);
  if (constraint.pk_attrs === undefined) {
    const key = primaryKeyColumns(target);
    if (key === undefined)
      throw sqlError(
        'UNDEFINED_OBJECT',
        `Table "${target.name}" has no primary key to refer to; name the columns.`,
        offset,
      );
    return key;
  }
  return constraint.pk_attrs.map((node: Node) => {
    const name = 'String' in node ? (node.String.sval ?? '') : '';
    const ordinal = target.columns.findIndex((column) => column.name === name);
    if (ordinal === -1)
      throw sqlError(
        'UNDEFINED_COLUMN',
        `The foreign key refers to column "${name}", which table "${target.name}" does not have.`,
        offset,
      );
    return ordinal;
  });
}
