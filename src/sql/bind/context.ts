import {
  type ColumnType,
  type ErrorCode,
  limits,
  sqlError,
  type VerityError,
} from '../../base/index.ts';
import type { Expression, TableSchema } from '../../codec/index.ts';
import type { Catalog } from '../contract.ts';
import type { SourceText } from '../parse/source.ts';
import { textType } from './type-rules.ts';

/** A bound expression while its type may still be open: `type` undefined for '…', NULL and $n until a place asks for one. */
export interface Bound {
  readonly expression: Expression;
  readonly type: ColumnType | undefined;
  /** Where it stands in the text, for errors. */
  readonly offset: number | undefined;
}

/** A column that names in a statement may mean. */
export interface RelationColumn {
  readonly name: string;
  /** Over the row that FROM yields. */
  readonly expression: Expression;
  /** Merged by USING or NATURAL: only its qualified name finds it. */
  readonly hidden?: boolean;
}

/** What FROM calls by one name; '' for the columns that a join merged. */
export interface Relation {
  readonly name: string;
  readonly columns: readonly RelationColumn[];
  readonly table?: TableSchema;
}

export interface TableRelation extends Relation {
  readonly table: TableSchema;
}

/** Its result is that of `name`; the hidden `first` is the value of the group's first row. */
export type AggregateName =
  | 'count'
  | 'sum'
  | 'avg'
  | 'min'
  | 'max'
  | 'bool_and'
  | 'bool_or'
  | 'every'
  | 'string_agg'
  | 'first';

export interface AggregateCall {
  readonly name: AggregateName;
  /** Undefined: count(*). */
  readonly argument: Expression | undefined;
  /** Of string_agg. */
  readonly delimiter?: Expression;
  readonly distinct: boolean;
  /** Only rows for which it is true count. */
  readonly filter?: Expression;
  /** The order in which string_agg takes its rows. */
  readonly sort?: readonly SortKey[];
  readonly type: ColumnType;
}

export interface SortKey {
  readonly expression: Expression;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** What a query within a query reads of the rows around it: before each run, slot i gets the value of args[i]. */
export interface Captures {
  /** Over the row of the query around. */
  readonly args: Expression[];
  /** Numbers of parameters, behind those of the statement. */
  readonly slots: number[];
}

/** What binding an expression needs to know, and what it finds out. */
export interface BindContext {
  readonly source: SourceText;
  readonly relations: readonly Relation[];
  readonly parameters: ParameterTypes;
  /** Named in errors: WHERE, CHECK, … */
  readonly clause: string;
  /** Finds the tables of subqueries; undefined where none may stand. */
  readonly catalog: Catalog | undefined;
  /** Queries of WITH, by name. */
  readonly named?: ReadonlyMap<string, unknown>;
  /** Collects aggregate calls; undefined where none may stand. */
  readonly aggregates: AggregateCall[] | undefined;
  /** The place around this query, and what this query reads there. */
  readonly outer: { readonly context: BindContext; readonly captures: Captures } | undefined;
  /** Depth of the expression being bound. */
  readonly depth: number;
}

/** A context with what most places leave at its default. */
export function newContext(
  parts: Pick<BindContext, 'source' | 'parameters' | 'clause'> & Partial<BindContext>,
): BindContext {
  return {
    relations: [],
    catalog: undefined,
    aggregates: undefined,
    outer: undefined,
    depth: 0,
    ...parts,
  };
}

/** The types of $1 … $n: each is fixed by the first place that asks for one. Also numbers the slots behind them. */
export class ParameterTypes {
  readonly #types: (ColumnType | undefined)[];
  #slots = 0;
  #relations = 0;
  #hasSubquery = false;
  #tellsCommands = false;

  constructor(count: number) {
    this.#types = new Array<ColumnType | undefined>(count).fill(undefined);
  }

  get(number: number): ColumnType | undefined {
    return this.#types[number - 1];
  }

  fix(number: number, type: ColumnType): void {
    this.#types[number - 1] ??= type;
  }

  /** All types; a parameter that no place gave a type is text. */
  list(): readonly ColumnType[] {
    return this.#types.map((type) => type ?? textType);
  }

  /** The number of a new parameter that the statement itself sets while it runs. */
  allocateSlot(): number {
    this.#slots++;
    return this.#types.length + this.#slots;
  }

  /** Counts a relation of FROM. Throws STATEMENT_TOO_COMPLEX past the limit: views of views can double at each level. */
  noteRelation(): void {
    if (++this.#relations > limits.relationsMax)
      throw sqlError(
        'STATEMENT_TOO_COMPLEX',
        `The statement reads more than ${limits.relationsMax} tables, views and queries, counted at each use; split it.`,
      );
  }

  noteHistory(): void {
    this.#tellsCommands = true;
  }

  /** Whether the statement tells when and by whom rows were written. */
  get tellsCommands(): boolean {
    return this.#tellsCommands;
  }

  noteSubquery(): void {
    this.#hasSubquery = true;
  }

  /** How many slots lie behind the parameters. */
  get slotCount(): number {
    return this.#slots;
  }

  /** Whether expressions of the statement run queries. */
  get hasSubquery(): boolean {
    return this.#hasSubquery;
  }
}

const columnPlaces = new WeakMap<
  Expression,
  { readonly name: string; readonly offset: number | undefined }
>();

/** Remembers where a column was read, for errors found when all is bound; returns the column. */
export function placed(expression: Expression, name: string, offset: number | undefined) {
  const own = { ...expression };
  columnPlaces.set(own, { name, offset });
  return own;
}

export const placeOf = (
  expression: Expression,
): { readonly name: string; readonly offset: number | undefined } | undefined =>
  columnPlaces.get(expression);

/** The context one level deeper. Throws STATEMENT_TOO_COMPLEX past the limit. */
export function deeper(context: BindContext): BindContext {
  // The nesting check before parsing bounds this; a node kind it does not count must not overflow the stack.
  if (context.depth > limits.statementDepthMax * 4) {
    throw sqlError('STATEMENT_TOO_COMPLEX', 'The statement nests too deeply; split it.');
  }
  return { ...context, depth: context.depth + 1 };
}

/** The index in the original text of a parser location. */
export function offsetOf(
  context: { readonly source: SourceText },
  location: number | undefined,
): number | undefined {
  return location === undefined || location < 0 ? undefined : context.source.indexOfByte(location);
}

export function errorAt(
  context: { readonly source: SourceText },
  code: ErrorCode,
  message: string,
  location: number | undefined,
): VerityError {
  return sqlError(code, message, offsetOf(context, location));
}
