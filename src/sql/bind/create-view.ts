/** CREATE VIEW: the SELECT is kept as text and bound again by whatever reads the view. */
import type { Node, ViewStmt } from 'libpg-query';
import { type ObjectId, sqlError } from '../../base/index.ts';
import type { Column, TableSchema } from '../../codec/index.ts';
import type { ParsedStatement } from '../contract.ts';
import { tokenize } from '../parse/lexer.ts';
import { offsetOf } from './context.ts';
import { checkNewName, DefinitionChanges, type DefinitionParts } from './definition-changes.ts';
import { tableName } from './relation.ts';
import { plain } from './type-rules.ts';
import { allowFields, unsupported } from './unsupported.ts';

const viewFields = new Set(['view', 'aliases', 'query', 'replace', 'withCheckOption']);

export function createView(
  parts: DefinitionParts,
  node: ViewStmt,
  statement: ParsedStatement,
): readonly TableSchema[] {
  const { tree, context } = parts;
  allowFields(tree, node, viewFields, { options: 'WITH (…)' });
  const location = node.view?.location;
  const offset = offsetOf(tree, location);
  if (node.withCheckOption !== 'NO_CHECK_OPTION')
    throw unsupported(tree, 'WITH CHECK OPTION', location);
  if (statement.parameterCount > 0)
    throw sqlError('UNDEFINED_PARAMETER', 'A view has no parameters; write the value.', offset);
  const name = tableName(tree, node.view ?? {});
  const changes = new DefinitionChanges(parts);
  const known = changes.byName(name);
  const isReplaced = node.replace === true && known?.view !== undefined;
  if (!isReplaced) checkNewName(changes, tree, name, location);
  const query = queryText(statement.text);
  const columns = viewColumns(parts, node, query);
  if (isReplaced) checkReplaced(known, columns, offset);
  const reads = namesRead(node.query).flatMap((each) => {
    const relation = changes.byName(each);
    return relation === undefined ? [] : [{ table: relation.id, version: relation.version }];
  });
  if (isReplaced && reachesItself(changes, reads, known.id))
    throw sqlError('INVALID_TABLE_DEFINITION', `View "${name}" would read itself.`, offset);
  changes.set({
    id: isReplaced ? known.id : context.allocateObject(),
    name,
    version: 1,
    columns,
    primaryKey: [],
    indexes: [],
    checks: [],
    view: { query, reads },
  });
  return changes.result();
}

/** The text behind the AS of CREATE VIEW … AS. */
function queryText(text: string): string {
  let depth = 0;
  for (const token of tokenize(text)) {
    const word = text.slice(token.start, token.end);
    if (word === '(') depth++;
    else if (word === ')') depth--;
    else if (depth === 0 && token.kind === 'word' && word.toLowerCase() === 'as')
      return text.slice(token.end).trim();
  }
  return text;
}

function viewColumns(parts: DefinitionParts, node: ViewStmt, query: string): readonly Column[] {
  const given = (node.aliases ?? []).map((alias) =>
    'String' in alias ? (alias.String.sval ?? '') : '',
  );
  const results = parts.columnsOf(query, parts.catalog);
  const offset = offsetOf(parts.tree, node.view?.location);
  if (given.length > results.length)
    throw sqlError(
      'SYNTAX_ERROR',
      `The view names ${given.length} columns, but its SELECT gives ${results.length}.`,
      offset,
    );
  const names = results.map((column, place) => given[place] ?? column.name);
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (twice !== undefined)
    throw sqlError(
      'DUPLICATE_COLUMN',
      `The view has two columns "${twice}"; give one another name with AS.`,
      offset,
    );
  return results.map((column, place) => ({
    name: names[place] ?? column.name,
    type: plain(column.type),
    notNull: false,
  }));
}

/** A view can be replaced by one with the same columns, and more behind them. */
function checkReplaced(
  known: TableSchema,
  columns: readonly Column[],
  offset: number | undefined,
): void {
  const isSame = known.columns.every(
    (column, place) =>
      columns[place]?.name === column.name && columns[place].type.name === column.type.name,
  );
  if (!isSame)
    throw sqlError(
      'INVALID_TABLE_DEFINITION',
      `View "${known.name}" can only be replaced by one that begins with the same columns; drop it first.`,
      offset,
    );
}

/** Whether something read is the view itself, directly or through other views. */
function reachesItself(
  changes: DefinitionChanges,
  reads: readonly { readonly table: ObjectId }[],
  id: ObjectId,
): boolean {
  const seen = new Set<ObjectId>();
  const left = reads.map((each) => each.table);
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (next === id) return true;
    if (seen.has(next)) continue;
    seen.add(next);
    for (const { table } of changes.byId(next)?.view?.reads ?? []) left.push(table);
  }
  return false;
}

/** The names of tables and views anywhere in a statement. */
function namesRead(query: Node | undefined): string[] {
  const names = new Set<string>();
  const left: unknown[] = [query];
  while (left.length > 0) {
    const node = left.pop();
    if (typeof node !== 'object' || node === null) continue;
    for (const [field, value] of Object.entries(node)) {
      if (field === 'RangeVar') {
        const { relname } = value as { readonly relname?: string };
        if (relname !== undefined) names.add(relname);
      }
      left.push(value);
    }
  }
  return [...names];
}
