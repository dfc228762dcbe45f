/** Binds FROM: tables, queries and functions side by side, and the joins between them. */
import type { Alias, JoinExpr, Node, RangeFunction, RangeSubselect, RangeVar } from 'libpg-query';
import { assert, limits } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import type { ViewDefinition } from '../contract.ts';
import { parseScript, type StatementTree } from '../parse/script.ts';
import { type From, widthOf } from './bound-query.ts';
import {
  type BindContext,
  errorAt,
  newContext,
  type Relation,
  type RelationColumn,
} from './context.ts';
import { bindCondition } from './expression.ts';
import { mergeColumns, sharedNames } from './merged-columns.ts';
import { bindQuery } from './query.ts';
import { bindRelation, tableName } from './relation.ts';
import { bindTableFunction } from './table-functions.ts';
import { allowFields, unsupported } from './unsupported.ts';

/** A part of FROM and the names it brings, in the order of `*`. */
export interface FromPart {
  readonly from: From;
  readonly relations: readonly Relation[];
}

/** Binds FROM, behind `first` if it is given. Throws DUPLICATE_ALIAS, UNDEFINED_TABLE, UNSUPPORTED_SQL, … */
export function bindFrom(
  context: BindContext,
  nodes: readonly Node[],
  first?: FromPart,
): { readonly from: From | undefined; readonly relations: readonly Relation[] } {
  let whole = first;
  for (const node of nodes) {
    const part = bindPart(context, node, widthOf(whole?.from));
    whole =
      whole === undefined
        ? part
        : {
            from: {
              kind: 'join',
              join: 'inner',
              left: whole.from,
              right: part.from,
              condition: undefined,
            },
            relations: together(context, whole, part, node),
          };
  }
  return whole ?? { from: undefined, relations: [] };
}

function bindPart(context: BindContext, node: Node, start: number): FromPart {
  if ('JoinExpr' in node) return bindJoin(context, node.JoinExpr, start);
  context.parameters.noteRelation();
  if ('RangeVar' in node) return bindTable(context, node.RangeVar, start);
  if ('RangeSubselect' in node) return bindDerived(context, node.RangeSubselect, start);
  if ('RangeFunction' in node) return bindFunctionPart(context, node.RangeFunction, start);
  throw unsupported(context, 'This part of FROM', node);
}

function bindTable(context: BindContext, node: RangeVar, start: number): FromPart {
  const { catalog } = context;
  assert(catalog !== undefined, 'a query is bound with a catalog');
  const plainName = node.schemaname === undefined ? tableName(context, node) : '';
  const named = context.named?.get(plainName) as NamedQuery | undefined;
  if (named !== undefined) return bindNamed(context, node, named, start);
  const view = catalog.view(plainName === '' ? tableName(context, node) : plainName);
  if (view !== undefined) return bindView(context, node, view, start);
  const { alias, ...plain } = node;
  const { colnames, ...plainAlias } = alias ?? {};
  const relation = bindRelation(
    context,
    alias === undefined ? plain : { ...plain, alias: plainAlias },
    catalog,
    start,
  );
  const { table, name } = relation;
  const from: From = { kind: 'table', name, table, start, width: table.columns.length };
  const columns = renamed(context, relation, colnames, node.location);
  // Under other names its columns are not found by those of its primary key.
  return { from, relations: [colnames === undefined ? relation : { name, columns }] };
}

/** A query of WITH, bound anew at each use: parameters and slots are those of the use. */
export interface NamedQuery {
  readonly node: { readonly ctequery?: Node; readonly aliascolnames?: readonly Node[] };
  readonly context: BindContext;
}

function bindNamed(
  context: BindContext,
  node: RangeVar,
  { node: named, context: around }: NamedQuery,
  start: number,
): FromPart {
  const { ctequery } = named;
  if (ctequery === undefined || !('SelectStmt' in ctequery))
    throw unsupported(context, 'WITH of a statement that writes', node.location);
  const alias: Alias = {
    aliasname: node.alias?.aliasname ?? node.relname ?? '',
    ...(named.aliascolnames === undefined ? {} : { colnames: [...named.aliascolnames] }),
    ...(node.alias?.colnames === undefined ? {} : { colnames: node.alias.colnames }),
  };
  const inner = { ...around, depth: context.depth + 1, outer: context.outer };
  return bindSelectPart(inner, ctequery, { alias, start, location: node.location });
}

/** A view as the query it stands for, over what its names meant when it was made. */
function bindView(
  context: BindContext,
  node: RangeVar,
  view: ViewDefinition,
  start: number,
): FromPart {
  if (node.inh !== true) throw unsupported(context, 'ONLY', node.location);
  if (context.depth > limits.statementDepthMax)
    throw errorAt(
      context,
      'STATEMENT_TOO_COMPLEX',
      `Views stand upon views more than ${limits.statementDepthMax} deep.`,
      node.location,
    );
  const [statement] = parseScript(view.text);
  const tree = statement?.tree as StatementTree;
  assert('SelectStmt' in tree.statement, 'a view is a SELECT');
  const inner: BindContext = {
    ...newContext({ source: tree.source, parameters: context.parameters, clause: 'SELECT' }),
    catalog: view.catalog,
    depth: context.depth + 1,
  };
  const colnames = view.columns.map((sval): Node => ({ String: { sval } }));
  const part = bindSelectPart(inner, tree.statement, {
    alias: { aliasname: node.alias?.aliasname ?? node.relname ?? '', colnames },
    start,
    location: undefined,
  });
  const relations = part.relations.map((relation) => ({
    ...relation,
    columns: renamed(context, relation, node.alias?.colnames, node.location),
  }));
  return { from: part.from, relations };
}

const derivedFields = new Set(['subquery', 'alias']);

function bindDerived(context: BindContext, node: RangeSubselect, start: number): FromPart {
  allowFields(context, node, derivedFields, { lateral: 'LATERAL' });
  const { subquery, alias } = node;
  return bindSelectPart(context, subquery as Node, {
    alias: alias ?? {},
    start,
    location: undefined,
  });
}

function bindSelectPart(
  context: BindContext,
  node: Node,
  { alias, start, location }: { alias: Alias; start: number; location: number | undefined },
): FromPart {
  const { catalog, source, parameters, outer, named, depth } = context;
  if (!('SelectStmt' in node) || catalog === undefined)
    throw unsupported(context, 'This query in FROM', node);
  const scope = { source, catalog, parameters, outer, depth };
  const query = bindQuery(node.SelectStmt, named === undefined ? scope : { ...scope, named });
  const name = alias.aliasname ?? '';
  const relation: Relation = {
    name,
    columns: query.columns.map(({ name: column, type }, index) => ({
      name: column,
      expression: { kind: 'column', type, ordinal: start + index },
    })),
  };
  const from: From = { kind: 'query', name, query, start, width: query.columns.length };
  const columns = renamed(context, relation, alias.colnames, location);
  return { from, relations: [{ name, columns }] };
}

function bindFunctionPart(context: BindContext, node: RangeFunction, start: number): FromPart {
  const { call, name, columns: own } = bindTableFunction(context, node);
  const alias = node.alias?.aliasname ?? name;
  const relation: Relation = {
    name: alias,
    columns: own.map(({ name: column, type }, index) => ({
      // A function that yields one column calls it by the alias, as PostgreSQL does.
      name: own.length === 1 && node.alias?.aliasname !== undefined ? alias : column,
      expression: { kind: 'column', type, ordinal: start + index },
    })),
  };
  const from: From = { kind: 'function', name: alias, call, start, width: own.length };
  const columns = renamed(context, relation, node.alias?.colnames, undefined);
  return { from, relations: [{ name: alias, columns }] };
}

/** The columns under the names of an alias's list; those behind its end keep theirs. */
function renamed(
  context: BindContext,
  { name, columns }: Relation,
  names: readonly Node[] | undefined,
  location: number | undefined,
): readonly RelationColumn[] {
  if (names === undefined) return columns;
  if (names.length > columns.length) {
    throw errorAt(
      context,
      'INVALID_COLUMN_REFERENCE',
      `"${name}" has ${columns.length} columns, but its alias names ${names.length}.`,
      location,
    );
  }
  return columns.map((column, index) => {
    const other = names[index];
    return other !== undefined && 'String' in other
      ? { ...column, name: other.String.sval ?? '' }
      : column;
  });
}

const joinFields = new Set([
  'jointype',
  'isNatural',
  'larg',
  'rarg',
  'usingClause',
  'quals',
  'rtindex',
]);
const joinFieldNames = { alias: 'An alias of a join', join_using_alias: 'An alias of USING' };

function bindJoin(context: BindContext, node: JoinExpr, start: number): FromPart {
  allowFields(context, node, joinFields, joinFieldNames);
  const left = bindPart(context, node.larg as Node, start);
  const right = bindPart(context, node.rarg as Node, widthOf(left.from));
  const relations = together(context, left, right, node.rarg as Node);
  const names =
    node.isNatural === true
      ? sharedNames(left.relations, right.relations)
      : node.usingClause?.map((each) => ('String' in each ? (each.String.sval ?? '') : ''));
  const merged =
    names === undefined ? undefined : mergeColumns(context, { left, right, names, node });
  const conditions: Expression[] = [...(merged?.conditions ?? [])];
  if (node.quals !== undefined) {
    const inner: BindContext = { ...context, relations, clause: 'JOIN', aggregates: undefined };
    conditions.push(bindCondition(inner, node.quals, 'JOIN ON'));
  }
  const condition: Expression | undefined =
    conditions.length < 2
      ? conditions[0]
      : { kind: 'and', type: { name: 'boolean' }, args: conditions };
  const sides =
    node.jointype === 'JOIN_RIGHT'
      ? { join: 'left' as const, left: right.from, right: left.from }
      : { join: joinKind(context, node), left: left.from, right: right.from };
  return { from: { kind: 'join', ...sides, condition }, relations: merged?.relations ?? relations };
}

function joinKind(context: BindContext, node: JoinExpr): 'inner' | 'left' | 'full' {
  if (node.jointype === 'JOIN_INNER') return 'inner';
  if (node.jointype === 'JOIN_LEFT') return 'left';
  if (node.jointype === 'JOIN_FULL') return 'full';
  throw unsupported(context, 'This join', node);
}

/** The names of both parts. Throws DUPLICATE_ALIAS when both use one. */
function together(
  context: BindContext,
  left: FromPart,
  right: FromPart,
  node: Node,
): readonly Relation[] {
  const twice = right.relations.find(
    (each) => each.name !== '' && left.relations.some((other) => other.name === each.name),
  );
  if (twice !== undefined) {
    throw errorAt(
      context,
      'DUPLICATE_ALIAS',
      `FROM uses the name "${twice.name}" twice; give one of the two another alias.`,
      'RangeVar' in node ? node.RangeVar.location : undefined,
    );
  }
  return [...left.relations, ...right.relations];
}
