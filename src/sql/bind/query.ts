/** Binds a query: SELECT, VALUES, or several of them under UNION, INTERSECT and EXCEPT. */
import type { Node, SelectStmt } from 'libpg-query';
import { type ColumnType, sqlError } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import type { Catalog, ResultColumn } from '../contract.ts';
import type { SourceText } from '../parse/source.ts';
import type { BoundCombination, BoundQuery, BoundValues } from './bound-query.ts';
import { coerce, typeLabel } from './coerce.ts';
import {
  type BindContext,
  type Bound,
  deeper,
  errorAt,
  newContext,
  type ParameterTypes,
} from './context.ts';
import { bindExpression, coerceTo } from './expression.ts';
import { pendingSelect } from './select.ts';
import { bindSort } from './sort.ts';
import type { Target } from './targets.ts';
import { commonType, mixErrorCode, plainTypes, textType } from './type-rules.ts';
import { allowFields, firstLocation, unsupported } from './unsupported.ts';

/** A query whose result columns may still be of open type. */
export interface Pending {
  readonly targets: readonly Target[];
  /** The query with its results settled: those of open type as `types`, others converted to them. */
  finish(types?: readonly (ColumnType | undefined)[]): BoundQuery;
}

interface QueryScope {
  readonly source: SourceText;
  readonly catalog: Catalog;
  readonly parameters: ParameterTypes;
  /** The place around a query within a query. */
  readonly outer?: BindContext['outer'];
  readonly named?: BindContext['named'];
  readonly depth?: number;
}

/**
 * Binds a query. `into` are types that results of open type ('…', NULL, $n) take; others stay as they are.
 * Throws the SQL errors of binding with their offsets.
 */
export function bindQuery(
  statement: SelectStmt,
  scope: QueryScope,
  into: readonly (ColumnType | undefined)[] = [],
): BoundQuery {
  const { source, catalog, parameters, outer, named, depth = 0 } = scope;
  const context: BindContext = {
    ...newContext({ source, catalog, parameters, outer, depth, clause: 'SELECT' }),
    ...(named === undefined ? {} : { named }),
  };
  const pending = pendingQuery(context, statement);
  return pending.finish(
    pending.targets.map((target, index) =>
      target.bound.type === undefined ? into[index] : undefined,
    ),
  );
}

function pendingQuery(outer: BindContext, statement: SelectStmt): Pending {
  const context = withNamed(deeper(outer), statement);
  if (statement.op !== 'SETOP_NONE') return pendingCombination(context, statement);
  if (statement.valuesLists !== undefined) return pendingValues(context, statement);
  return pendingSelect(context, statement);
}

/** The context with the queries of WITH. */
export function withNamed(
  context: BindContext,
  { withClause }: Pick<SelectStmt, 'withClause'>,
): BindContext {
  if (withClause === undefined) return context;
  if (withClause.recursive === true)
    throw unsupported(context, 'WITH RECURSIVE', withClause.location ?? withClause);
  const named = new Map(context.named);
  let inner: BindContext = { ...context, named };
  for (const node of withClause.ctes ?? []) {
    if (!('CommonTableExpr' in node)) throw unsupported(context, 'This WITH', node);
    const { ctename = '', location } = node.CommonTableExpr;
    allowFields(context, node.CommonTableExpr, namedFields, namedFieldNames);
    if (inner.named?.has(ctename) === true && context.named?.has(ctename) !== true) {
      throw errorAt(
        context,
        'DUPLICATE_ALIAS',
        `WITH names "${ctename}" twice; use another name.`,
        location,
      );
    }
    named.set(ctename, { node: node.CommonTableExpr, context: inner });
    inner = { ...context, named: new Map(named) };
  }
  return inner;
}

const namedFields = new Set([
  'ctename',
  'ctequery',
  'ctematerialized',
  'location',
  'aliascolnames',
  'cterefcount',
]);
const namedFieldNames = { search_clause: 'SEARCH', cycle_clause: 'CYCLE' };

const combinationFields = new Set([
  'op',
  'all',
  'larg',
  'rarg',
  'sortClause',
  'limitCount',
  'limitOffset',
  'limitOption',
  'withClause',
]);
const operations = {
  SETOP_UNION: 'union',
  SETOP_INTERSECT: 'intersect',
  SETOP_EXCEPT: 'except',
} as const;

function pendingCombination(context: BindContext, statement: SelectStmt): Pending {
  allowFields(context, statement, combinationFields, { lockingClause: 'FOR UPDATE and the like' });
  const operation = operations[statement.op as keyof typeof operations];
  const left = pendingQuery(context, statement.larg as SelectStmt);
  const right = pendingQuery(context, statement.rarg as SelectStmt);
  const word = operation.toUpperCase();
  if (left.targets.length !== right.targets.length) {
    throw sqlError(
      'SYNTAX_ERROR',
      `Both sides of ${word} must have as many columns: ${left.targets.length} and ${right.targets.length}.`,
      right.targets[0]?.bound.offset,
    );
  }
  const types = left.targets.map((target, index) =>
    combinedType(target.bound, (right.targets[index] as Target).bound, word),
  );
  const targets = left.targets.map(({ name, bound }, index) => {
    const type = types[index];
    return { name, bound: { ...bound, type } };
  });
  return {
    targets,
    finish: (wanted = []) => {
      // Of open type are only results that are so on both sides; PostgreSQL makes them text too.
      const settled = types.map((type, index) => type ?? wanted[index] ?? textType);
      const columns = settled.map((type, index) => ({
        name: left.targets[index]?.name ?? '',
        type,
      }));
      const own: BoundCombination = {
        kind: 'combination',
        operation,
        all: statement.all === true,
        left: left.finish(settled),
        right: right.finish(settled),
        columns,
        ...bindTail(context, statement, { columns, targets }),
      };
      return convertResults(own, wanted);
    },
  };
}

function combinedType(left: Bound, right: Bound, word: string): ColumnType | undefined {
  if (left.type === undefined && right.type === undefined) return undefined;
  const type = commonType([left.type, right.type]);
  if (type !== undefined) return type;
  throw sqlError(
    mixErrorCode(left.type, right.type),
    `${word} cannot match ${typeLabel(left.type)} and ${typeLabel(right.type)}; add a cast.`,
    right.offset,
  );
}

/** A query whose results already have types, with those of `wanted` converted: a SELECT over it. */
function convertResults(
  query: BoundQuery,
  wanted: readonly (ColumnType | undefined)[],
): BoundQuery {
  if (query.columns.every(({ type }, index) => same(type, wanted[index]))) return query;
  const width = query.columns.length;
  const outputs = query.columns.map(({ type }, ordinal): Expression => {
    const column: Expression = { kind: 'column', type, ordinal };
    const to = wanted[ordinal];
    return to === undefined || same(type, to)
      ? column
      : { kind: 'cast', type: to, arg: column, explicit: false };
  });
  return {
    kind: 'select',
    from: { kind: 'query', name: '', query, start: 0, width },
    where: undefined,
    grouping: undefined,
    outputs,
    distinct: false,
    sort: [],
    columns: query.columns.map(({ name }, index) => ({
      name,
      type: outputs[index]?.type ?? textType,
    })),
    limit: undefined,
    offset: undefined,
  };
}

const same = (type: ColumnType, wanted: ColumnType | undefined): boolean =>
  wanted === undefined || type.name === wanted.name;

const valuesFields = new Set([
  'valuesLists',
  'op',
  'sortClause',
  'limitCount',
  'limitOffset',
  'limitOption',
  'withClause',
]);

function pendingValues(context: BindContext, statement: SelectStmt): Pending {
  allowFields(context, statement, valuesFields);
  const lists = (statement.valuesLists ?? []).map((list) =>
    'List' in list ? (list.List.items ?? []) : [],
  );
  const [first = []] = lists;
  const odd = lists.find((list) => list.length !== first.length);
  if (odd !== undefined) {
    throw errorAt(
      context,
      'SYNTAX_ERROR',
      'The rows of VALUES differ in length; give each as many values.',
      firstLocation(odd[0]),
    );
  }
  const rows = lists.map((list) =>
    list.map((node) => bindExpression({ ...context, clause: 'VALUES' }, node)),
  );
  const targets = first.map((_, index): Target => {
    const column = rows.map((row) => row[index] as Bound);
    return {
      name: `column${index + 1}`,
      bound: { ...(column[0] as Bound), type: listType(column) },
    };
  });
  return {
    targets,
    finish: (wanted = []) => {
      const types = targets.map(({ bound }, index) => bound.type ?? wanted[index] ?? textType);
      const columns = types.map((type, index) => ({ name: targets[index]?.name ?? '', type }));
      const own: BoundValues = {
        kind: 'values',
        rows: rows.map((row) =>
          row.map((value, index) =>
            coerce(value, types[index] as ColumnType, 'implicit', context.parameters),
          ),
        ),
        columns,
        ...bindTail(context, statement, { columns, targets }),
      };
      return convertResults(own, wanted);
    },
  };
}

/** The one type of a column of VALUES; undefined while all are open. */
function listType(values: readonly Bound[]): ColumnType | undefined {
  const first = values.find((value) => value.type !== undefined);
  if (first === undefined) return undefined;
  const type = commonType(values.map((value) => value.type));
  if (type !== undefined)
    return values.every((value) => value.type === first.type) ? first.type : type;
  const other = values.find((value) => commonType([first.type, value.type]) === undefined);
  throw sqlError(
    mixErrorCode(first.type, other?.type),
    `VALUES cannot match ${typeLabel(first.type)} and ${typeLabel(other?.type)}; add a cast.`,
    other?.offset,
  );
}

/** ORDER BY, LIMIT and OFFSET over finished results. */
function bindTail(
  context: BindContext,
  statement: SelectStmt,
  {
    columns,
    targets,
  }: { readonly columns: readonly ResultColumn[]; readonly targets: readonly Target[] },
) {
  const outputs = columns.map(({ type }, ordinal): Expression => ({
    kind: 'column',
    type,
    ordinal,
  }));
  const sort = bindSort({ ...context, clause: 'ORDER BY' }, statement.sortClause ?? [], {
    targets,
    outputs,
    distinct: false,
    combined: true,
  });
  return { sort, ...bindLimits(context, statement) };
}

/** LIMIT and OFFSET; neither reads columns of the query. */
export function bindLimits(context: BindContext, statement: SelectStmt) {
  if (statement.limitOption === 'LIMIT_OPTION_WITH_TIES')
    throw unsupported(context, 'WITH TIES', statement.limitCount);
  const boundless: BindContext = { ...context, relations: [], aggregates: undefined };
  return {
    limit: bindCount(boundless, statement.limitCount, 'LIMIT'),
    offset: bindCount(boundless, statement.limitOffset, 'OFFSET'),
  };
}

function bindCount(
  context: BindContext,
  node: Node | undefined,
  clause: string,
): Expression | undefined {
  if (node === undefined) return undefined;
  const bound: Bound = bindExpression({ ...context, clause }, node);
  if (bound.type?.name === 'bigint' || bound.type === undefined) {
    return coerce(bound, plainTypes.bigint, 'implicit', context.parameters);
  }
  return coerceTo(context, bound, plainTypes.bigint, clause);
}
