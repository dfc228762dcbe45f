/** Plans as trees of steps: the planner's own data, told as PostgreSQL would. */
import type { Expression, TableSchema } from '../../codec/index.ts';
import type { BoundQuery, SubqueryCall, TableFunction } from '../bind/bound-query.ts';
import type { SortKey } from '../bind/context.ts';
import type { BoundRows } from '../bind/write.ts';
import { type Access, type AccessPath, planAccess } from '../plan/access.ts';
import type { FromPlan, Source, Step } from '../plan/from-plan.ts';
import type { PlanScope } from '../plan/join.ts';
import { planSelect, type SelectPlan } from '../plan/select.ts';
import type { TableStatistics } from '../plan/statistics.ts';
import { primaryKeyName } from '../schema/table-keys.ts';
import { expressionText, type Names } from './expression-text.ts';
import type { PlanNode } from './node.ts';

type ColumnName = (ordinal: number) => string;

/** Tells one statement's plan; numbers its subqueries. */
export class PlanTeller {
  readonly #scope: PlanScope;
  readonly #slots = new Map<number, string>();
  #subqueries: PlanNode[] = [];
  #count = 0;

  constructor(scope: PlanScope) {
    this.#scope = scope;
  }

  query(query: BoundQuery): PlanNode {
    let node = this.#body(query);
    if (query.limit !== undefined || query.offset !== undefined) {
      const column: ColumnName = () => '';
      const detail = [
        ...(query.limit === undefined ? [] : [`Limit: ${this.#text(query.limit, column)}`]),
        ...(query.offset === undefined ? [] : [`Offset: ${this.#text(query.offset, column)}`]),
      ];
      node = { label: 'Limit', details: detail, children: [node] };
    }
    return node;
  }

  #body(query: BoundQuery): PlanNode {
    if (query.kind === 'select') return this.#select(planSelect(query, this.#scope));
    const names: ColumnName = (ordinal) => query.columns[ordinal]?.name ?? '';
    if (query.kind === 'values')
      return this.#sorted({ label: 'Values Scan', details: [], children: [] }, query.sort, names);
    const children = [this.query(query.left), this.query(query.right)];
    const word = query.operation.replace(/^./, (first) => first.toUpperCase());
    const label =
      query.operation === 'union' && query.all
        ? 'Append'
        : query.operation === 'union'
          ? 'HashAggregate of Append'
          : `HashSetOp ${word}${query.all ? ' All' : ''}`;
    return this.#sorted({ label, details: [], children }, query.sort, names);
  }

  #select(plan: SelectPlan): PlanNode {
    const { select, from } = plan;
    const outer = this.#subqueries;
    this.#subqueries = [];
    const names = from === undefined ? () => '' : columnNames(from);
    let node =
      from === undefined
        ? {
            label: 'Result',
            details: this.#conditions('One-Time Filter', plan.gate, names),
            children: [],
          }
        : this.#from(from);
    let rowNames: ColumnName = names;
    const { grouping } = select;
    if (grouping !== undefined) {
      const keys = grouping.keys.map((key) => this.#text(key, names));
      rowNames = (ordinal) =>
        keys[ordinal] ?? grouping.aggregates[ordinal - keys.length]?.name ?? '';
      node = {
        label: keys.length === 0 ? 'Aggregate' : 'HashAggregate',
        details: [
          ...(plan.ends === undefined
            ? []
            : [
                `Why: the ${plan.ends === 'both' ? 'first and the last row are' : 'first row is'} all it needs`,
              ]),
          ...(keys.length === 0 ? [] : [`Group Key: ${keys.join(', ')}`]),
          ...this.#conditions(
            'Filter',
            grouping.having === undefined ? [] : [grouping.having],
            rowNames,
          ),
        ],
        children: [node],
      };
    }
    if (!select.distinct && !plan.sorted) node = this.#sorted(node, select.sort, rowNames);
    // Their subqueries are to be told, too.
    const outputs = select.outputs.map((output) => this.#text(output, rowNames));
    if (select.distinct) {
      const unique = { label: 'Unique', details: [`Key: ${outputs.join(', ')}`], children: [node] };
      node = this.#sorted(unique, select.sort, (ordinal) => outputs[ordinal] ?? '');
    }
    const told = { ...node, children: [...node.children, ...this.#subqueries] };
    this.#subqueries = outer;
    return told;
  }

  #sorted(node: PlanNode, sort: readonly SortKey[], names: ColumnName): PlanNode {
    if (sort.length === 0) return node;
    const keys = sort.map(({ expression, descending, nullsFirst }) => {
      const nulls = nullsFirst === descending ? '' : nullsFirst ? ' NULLS FIRST' : ' NULLS LAST';
      return `${this.#text(expression, names)}${descending ? ' DESC' : ''}${nulls}`;
    });
    return { label: 'Sort', details: [`Sort Key: ${keys.join(', ')}`], children: [node] };
  }

  #from(plan: FromPlan): PlanNode {
    const names = columnNames(plan);
    let node = this.#source(plan.first);
    for (const step of plan.steps) node = this.#step(step, node, names);
    const details = [
      ...this.#conditions('One-Time Filter', plan.gate, names),
      ...this.#conditions('Filter', plan.filter, names),
    ];
    return details.length === 0 ? node : { ...node, details: [...details, ...node.details] };
  }

  #step(step: Step, left: PlanNode, names: ColumnName): PlanNode {
    for (const { slot, value } of step.bindings) this.#slots.set(slot, this.#text(value, names));
    const { source, method } = step;
    const kind = step.outer ? ' Left Join' : method.kind === 'hash' ? ' Join' : '';
    const own = this.#source(source);
    const ownNames = sourceNames(source);
    const matches = this.#conditions('Join Filter', step.match, ownNames);
    const filters = this.#conditions('Filter', step.filter, names);
    if (method.kind === 'hash') {
      const keys = method.keys.map(
        ({ probe, build }) => `(${this.#text(probe, names)} = ${this.#text(build, ownNames)})`,
      );
      return {
        label: `Hash${kind}`,
        details: [`Hash Cond: ${keys.join(' AND ')}`, ...matches, ...filters],
        children: [left, { label: 'Hash', details: [], children: [own] }],
      };
    }
    const right =
      method.kind === 'loop' ? { label: 'Materialize', details: [], children: [own] } : own;
    return {
      label: `Nested Loop${kind}`,
      details: [...matches, ...filters],
      children: [left, right],
    };
  }

  #source(source: Source): PlanNode {
    switch (source.kind) {
      case 'table':
        return this.#scan(source.table, source.access, source);
      case 'query': {
        const details = this.#conditions('Filter', source.filter, sourceNames(source));
        const label = `Subquery Scan${source.name === '' ? '' : ` on ${source.name}`}`;
        return { label, details, children: [this.query(source.query)] };
      }
      case 'function': {
        const details = this.#conditions('Filter', source.filter, sourceNames(source));
        return { label: `Function Scan on ${functionName(source.call)}`, details, children: [] };
      }
      case 'joined':
        return this.#from(source.plan);
      case 'full': {
        const names = columnNames(source.left);
        const joined = this.#step(source.right, this.#from(source.left), names);
        return { ...joined, label: joined.label.replace('Left', 'Full') };
      }
    }
  }

  /** UPDATE and DELETE: how the rows are found, and the subqueries of the values that they get. */
  change(
    word: string,
    { table, where, joined }: BoundRows,
    values: readonly Expression[],
  ): PlanNode {
    const found =
      joined === undefined
        ? this.#scan(table, planAccess(table, where, { statistics: this.#scope.statistics }), {
            name: '',
            reverse: false,
          })
        : this.query(joined);
    const names: ColumnName = (ordinal) => table.columns[ordinal]?.name ?? '';
    for (const value of values) this.#text(value, names);
    const children = [found, ...this.#subqueries];
    return { label: `${word} on ${table.name}`, details: [], children };
  }

  /** How a table's rows are reached, and why so. */
  #scan(
    table: TableSchema,
    { path, rest, used, counted, weight }: Access,
    { name, reverse }: { readonly name: string; readonly reverse: boolean },
  ): PlanNode {
    const names: ColumnName = (ordinal) => table.columns[ordinal]?.name ?? '';
    const on = name === '' || name === table.name ? table.name : `${table.name} ${name}`;
    const backward = reverse ? ' Backward' : '';
    const index = indexName(table, path);
    const isOnly = path.kind === 'index' && path.covering;
    const label =
      index === undefined
        ? `Seq Scan${backward} on ${on}`
        : `Index ${isOnly ? 'Only ' : ''}Scan${backward} using ${index} on ${on}`;
    return {
      label,
      details: [
        ...this.#conditions('Index Cond', used, names),
        ...this.#conditions('Filter', rest, names),
        ...(counted === undefined ? [] : [estimateText(weight, counted)]),
        `Why: ${reasonOf(path, rest.length > 0)}`,
      ],
      children: [],
    };
  }

  #conditions(what: string, conditions: readonly Expression[], names: ColumnName): string[] {
    if (conditions.length === 0) return [];
    return [`${what}: ${conditions.map((each) => this.#text(each, names)).join(' AND ')}`];
  }

  #text(expression: Expression, column: ColumnName): string {
    const names: Names = {
      column,
      slot: (number) => this.#slots.get(number),
      subquery: (call) => this.#subquery(call, column),
    };
    return expressionText(expression, names);
  }

  #subquery(call: SubqueryCall, column: ColumnName): string {
    this.#count++;
    const name = `SubPlan ${this.#count}`;
    call.args.forEach((arg, index) => {
      this.#slots.set(call.slots[index] as number, this.#text(arg, column));
    });
    const plan = this.query(call.query);
    this.#subqueries.push({
      label: name,
      details:
        call.ownCount === 0 ? ['Why: it reads nothing of the row around it, so it runs once'] : [],
      children: [plan],
    });
    if (call.name === 'subquery exists') return `EXISTS(${name})`;
    if (call.name === 'subquery value') return `(${name})`;
    const [left] = call.test?.kind === 'call' ? call.test.args : [];
    const operator = call.test?.kind === 'call' ? call.test.name : '=';
    const word = call.name === 'subquery any' ? 'ANY' : 'ALL';
    return `(${left === undefined ? 'ROW' : this.#text(left, column)} ${operator} ${word} (${name}))`;
  }
}

/** The names of the columns of the whole row of FROM. */
function columnNames(plan: FromPlan): ColumnName {
  const sources = [plan.first, ...plan.steps.map((step) => step.source)];
  return (ordinal) => {
    const source = sources.find(({ start, width }) => ordinal >= start && ordinal < start + width);
    if (source === undefined) return '';
    const own = sourceNames(source)(ordinal - source.start);
    return sources.length === 1 || source.name === '' ? own : `${source.name}.${own}`;
  };
}

function sourceNames(source: Source): ColumnName {
  switch (source.kind) {
    case 'table':
      return (ordinal) => source.table.columns[ordinal]?.name ?? '';
    case 'query':
      return (ordinal) => source.query.columns[ordinal]?.name ?? '';
    case 'joined':
      return columnNames(source.plan);
    case 'full':
      return (ordinal) => {
        const { left, right } = source;
        return ordinal < right.source.start
          ? columnNames(left)(ordinal)
          : sourceNames(right.source)(ordinal - right.source.start);
      };
    case 'function':
      return (ordinal) => `column${ordinal + 1}`;
  }
}

function estimateText(weight: number, { rows, more }: TableStatistics): string {
  return `Rows: about ${Math.ceil(weight)} of ${rows}${more ? ' or more' : ''}`;
}

const functionName = (call: TableFunction): string =>
  call.kind === 'series' ? 'generate_series' : `verity_${call.kind}`;

function indexName(table: TableSchema, path: AccessPath): string | undefined {
  if (path.kind === 'all') return undefined;
  if (path.kind === 'union') {
    const names = path.paths.map((each) => indexName(table, each));
    return [...new Set(names)].join(', ');
  }
  return path.kind === 'get' || path.kind === 'range' ? primaryKeyName(table) : path.index.name;
}

function reasonOf(path: AccessPath, hasRest: boolean): string {
  switch (path.kind) {
    case 'get':
      return 'every column of the primary key has one value, so there is one row at most';
    case 'unique':
      return 'every column of a unique index has one value, so there is one row at most';
    case 'all':
      return hasRest
        ? 'no key or index begins with a column that is restricted'
        : 'all rows are asked for';
    case 'union':
      return 'each part of the OR has a key or index; a row that several find is taken once';
    case 'range':
    case 'index': {
      const { prefix, low, high, ranges, list, members } = path;
      const what = path.kind === 'range' ? 'the primary key' : 'the index';
      const parts = [
        ...(prefix.length === 0
          ? []
          : [`${prefix.length} leading column(s) of ${what} equal a value`]),
        ...(members === undefined
          ? []
          : [`a column of ${what} is one of those that a query yields`]),
        ...(list === undefined ? [] : [`a column of ${what} is one of ${list.length} value(s)`]),
        ...(low === undefined && high === undefined ? [] : [`a column of ${what} lies in a range`]),
        ...(ranges === undefined
          ? []
          : [
              `a column of ${what} lies in ${ranges.length === 1 ? 'a range' : `one of ${ranges.length} ranges`}`,
            ]),
      ];
      if (parts.length === 0) parts.push('its order is the one asked for');
      if (path.kind === 'index' && path.covering) parts.push('its keys hold every column read');
      return parts.join('; ');
    }
  }
}
