/** ALTER COLUMN … TYPE, where the values of both types are kept alike: a row that is there is read as it was written. */
import type { AlterTableCmd, Node } from 'libpg-query';
import type { ColumnType } from '../../base/index.ts';
import type { Column, TableSchema } from '../../codec/index.ts';
import type { StatementTree } from '../parse/script.ts';
import { typeName } from '../types/index.ts';
import { columnType } from './constraints.ts';
import type { DefinitionChanges } from './definition-changes.ts';
import { isText } from './type-rules.ts';
import { allowFields, unsupported } from './unsupported.ts';

interface Place {
  readonly tree: StatementTree;
  readonly changes: DefinitionChanges;
  readonly location: number | undefined;
}

export interface ChangedType {
  readonly column: Column;
  /** Values that are there may not fit: they must be looked at. */
  readonly narrows: boolean;
}

/** The column with its new type. Throws UNSUPPORTED_SQL where rows would have to be written anew. */
export function changedType(
  { tree, changes, location }: Place,
  table: TableSchema,
  column: Column,
  { def }: AlterTableCmd,
): ChangedType {
  const node = def !== undefined && 'ColumnDef' in def ? def.ColumnDef : {};
  allowFields(tree, node, new Set(['typeName', 'location']), {
    raw_default: 'USING',
    collClause: 'COLLATE',
  });
  if (node.typeName === undefined) throw unsupported(tree, 'A column without a type', node as Node);
  const type = columnType(tree, node.typeName);
  const reader = changes.relations().find(({ view }) => readsTable(view, table));
  const what = `Changing column "${column.name}" from ${typeName(column.type)} to ${typeName(type)}`;
  if (reader !== undefined)
    throw unsupported(tree, `${what} while view "${reader.name}" reads its table`, location);
  const narrows = narrowing(column.type, type);
  if (narrows === undefined)
    throw unsupported(tree, `${what}, whose values are kept in another form,`, node.typeName);
  return { column: { ...column, type }, narrows };
}

const readsTable = (view: TableSchema['view'], { id }: TableSchema): boolean =>
  view?.reads.some(({ table }) => table === id) === true;

/** Whether values of `from` may not fit `to`; undefined: they are kept in another form. */
function narrowing(from: ColumnType, to: ColumnType): boolean | undefined {
  if (isText(from.name) && isText(to.name)) {
    if (to.length === undefined) return false;
    return from.length === undefined || from.length > to.length;
  }
  if (from.name === 'numeric' && to.name === 'numeric') {
    if (to.precision === undefined) return false;
    if (from.precision === undefined) return true;
    const [scale, newScale] = [from.scale ?? 0, to.scale ?? 0];
    return scale !== newScale || from.precision > to.precision;
  }
  // Both count microseconds, and the only zone is UTC.
  const areStamps = [from, to].every(({ name }) => name === 'timestamp' || name === 'timestamptz');
  return areStamps || from.name === to.name ? false : undefined;
}
