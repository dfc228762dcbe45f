import {
  type ColumnType,
  type ErrorCode,
  limits,
  sqlError,
  type VerityError,
} from '../../base/index.ts';
import type { Expression, TableSchema } from '../../codec/index.ts';
import type { SourceText } from '../parse/source.ts';
import { textType } from './type-rules.ts';

/** A bound expression while its type may still be open: `type` undefined for '…', NULL and $n until a place asks for one. */
export interface Bound {
  readonly expression: Expression;
  readonly type: ColumnType | undefined;
  /** Where it stands in the text, for errors. */
  readonly offset: number | undefined;
}

/** A table that a statement reads, under the name by which the statement calls it. */
export interface Relation {
  readonly name: string;
  readonly table: TableSchema;
}

export type AggregateName = 'count' | 'sum' | 'avg' | 'min' | 'max';

export interface AggregateCall {
  readonly name: AggregateName;
  /** Undefined: count(*). */
  readonly argument: Expression | undefined;
  readonly distinct: boolean;
  readonly type: ColumnType;
}

/** What binding an expression needs to know, and what it finds out. */
export interface BindContext {
  readonly source: SourceText;
  readonly relations: readonly Relation[];
  readonly parameters: ParameterTypes;
  /** Named in errors: WHERE, CHECK, … */
  readonly clause: string;
  /** Collects aggregate calls; undefined where none may stand. */
  readonly aggregates: AggregateCall[] | undefined;
  /** Hears of every column read outside an aggregate's argument. */
  readonly onColumn: ((name: string, offset: number | undefined) => void) | undefined;
  /** Depth of the expression being bound. */
  readonly depth: number;
}

/** The types of $1 … $n: each is fixed by the first place that asks for one. */
export class ParameterTypes {
  readonly #types: (ColumnType | undefined)[];

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
}

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
