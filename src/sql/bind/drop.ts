/** DROP TABLE, DROP VIEW and DROP INDEX. */
import type { DropStmt, Node } from 'libpg-query';
import { type ObjectId, sqlError, VerityError } from '../../base/index.ts';
import type { ForeignKey, Index, TableSchema } from '../../codec/index.ts';
import {
  isConstraint,
  primaryKeyName,
  referencedKey,
  supportingIndex,
} from '../schema/table-keys.ts';
import { DefinitionChanges, type DefinitionParts } from './definition-changes.ts';
import { allowFields } from './unsupported.ts';

const dropFields = new Set(['objects', 'removeType', 'behavior', 'missing_ok', 'concurrent']);
const words: Readonly<Record<string, string>> = {
  OBJECT_TABLE: 'table',
  OBJECT_VIEW: 'view',
  OBJECT_INDEX: 'index',
};

export function drop(parts: DefinitionParts, node: DropStmt): readonly TableSchema[] {
  const { tree, start } = parts;
  allowFields(tree, node, dropFields);
  const word = words[node.removeType ?? ''];
  if (word === undefined)
    throw sqlError(
      'UNSUPPORTED_SQL',
      'DROP of anything but a table, view or index is not supported.',
      start,
    );
  const changes = new DefinitionChanges(parts);
  const names = (node.objects ?? []).map((object) => nameOf(parts, object));
  const found = names.flatMap((name) => {
    const relation = changes.byName(name);
    const index = changes.index(name);
    const kind =
      index !== undefined ? 'index' : relation?.view !== undefined ? 'view' : relation && 'table';
    if (kind === word) return [{ name, relation, index }];
    if (kind !== undefined)
      throw sqlError(
        'WRONG_OBJECT_TYPE',
        `"${name}" is not a ${word} but a ${kind}; use DROP ${kind.toUpperCase()}.`,
        start,
      );
    const owner = changes.relations().find((each) => keyNameOf(each) === name);
    if (owner !== undefined && word === 'index') throw isConstraintIndex(name, owner);
    if (node.missing_ok === true) return [];
    throw sqlError(
      word === 'index' ? 'UNDEFINED_OBJECT' : 'UNDEFINED_TABLE',
      `There is no ${word} "${name}"; check the spelling, or use DROP ${word.toUpperCase()} IF EXISTS.`,
      start,
    );
  });
  const isCascade = node.behavior === 'DROP_CASCADE';
  for (const { relation } of found) if (relation !== undefined) changes.drop(relation);
  for (const { relation } of found) {
    if (relation !== undefined) dropDependents(changes, relation, isCascade);
  }
  for (const { name } of found) {
    const index = changes.index(name);
    if (index !== undefined) dropIndex(changes, index);
  }
  return changes.result();
}

function nameOf({ start }: DefinitionParts, object: Node): string {
  const names =
    'List' in object
      ? (object.List.items ?? []).map((item) => ('String' in item ? (item.String.sval ?? '') : ''))
      : [];
  if (names.length > 2 || (names.length === 2 && names[0] !== 'public'))
    throw sqlError(
      'UNSUPPORTED_SQL',
      `The schema "${names[0] ?? ''}" (only "public" exists) is not supported.`,
      start,
    );
  return names[names.length - 1] ?? '';
}

/** Views that read a dropped relation, and foreign keys that refer to it. */
function dropDependents(
  changes: DefinitionChanges,
  relation: TableSchema,
  isCascade: boolean,
): void {
  for (const other of changes.relations()) {
    const reads = other.view?.reads.some(({ table }) => table === relation.id) === true;
    const refers = other.foreignKeys?.some((key) => key.table === relation.id) === true;
    if (!reads && !refers) continue;
    if (!isCascade)
      throw new VerityError(
        'DEPENDENT_OBJECTS',
        `"${relation.name}" cannot be dropped: ${reads ? 'view' : 'a foreign key of table'} "${other.name}" rests on it. Drop that first, or use CASCADE.`,
        { details: { dependent: other.name } },
      );
    if (reads) {
      changes.drop(other);
      dropDependents(changes, other, true);
    } else {
      changes.set(withoutForeignKeys(other, (key) => key.table === relation.id));
    }
  }
}

/** The table without some of its foreign keys, and without the indexes that only they had. */
export function withoutForeignKeys(
  table: TableSchema,
  isGone: (key: ForeignKey) => boolean,
): TableSchema {
  const { foreignKeys = [], ...rest } = table;
  const left = foreignKeys.filter((key) => !isGone(key));
  const kept = left.length === 0 ? rest : { ...rest, foreignKeys: left };
  return {
    ...kept,
    indexes: table.indexes.filter(
      (index) =>
        index.origin !== 'foreignKey' || left.some((key) => supportingIndex(kept, key) === index),
    ),
  };
}

function dropIndex(
  changes: DefinitionChanges,
  { table, index }: { readonly table: TableSchema; readonly index: Index },
): void {
  if (isConstraint(index)) throw isConstraintIndex(index.name, table);
  const after = withoutIndex(table, index.id);
  checkForeignKeysServed(changes, after);
  changes.set(after);
}

const keyNameOf = (table: TableSchema): string | undefined =>
  table.primaryKey.length > 0 ? primaryKeyName(table) : undefined;

const isConstraintIndex = (name: string, table: TableSchema): VerityError =>
  new VerityError(
    'DEPENDENT_OBJECTS',
    `Index "${name}" belongs to a constraint of table "${table.name}"; use ALTER TABLE … DROP CONSTRAINT.`,
    { details: { dependent: name } },
  );

export function withoutIndex(table: TableSchema, id: ObjectId): TableSchema {
  const { building = [], ...rest } = table;
  const left = building.filter((each) => each.id !== id);
  return {
    ...rest,
    indexes: table.indexes.filter((each) => each.id !== id),
    ...(left.length > 0 && { building: left }),
  };
}

/** Throws DEPENDENT_OBJECTS unless every foreign key of or to the table still has its index and its key. */
export function checkForeignKeysServed(changes: DefinitionChanges, table: TableSchema): void {
  const fail = (key: ForeignKey): never => {
    throw new VerityError(
      'DEPENDENT_OBJECTS',
      `Foreign key "${key.name}" rests on what is to be dropped; drop that constraint first.`,
      { details: { dependent: key.name } },
    );
  };
  for (const key of table.foreignKeys ?? [])
    if (supportingIndex(table, key) === undefined) fail(key);
  for (const other of changes.relations()) {
    const { foreignKeys = [] } = other.id === table.id ? table : other;
    for (const key of foreignKeys)
      if (key.table === table.id && referencedKey(table, key.references) === undefined) fail(key);
  }
}
