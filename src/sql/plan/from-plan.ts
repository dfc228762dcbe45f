/** How the rows of FROM are made: a first source, then one step for each further one. Plain data. */
import type { ColumnType } from '../../base/index.ts';
import type { Expression, TableSchema } from '../../codec/index.ts';
import type { BoundQuery, TableFunction } from '../bind/bound-query.ts';
import type { Access } from './access.ts';

/** Something that yields rows of its own, of `width` columns; in the joined row they begin at `start`. */
export type Source = { readonly start: number; readonly width: number; readonly name: string } & (
  | {
      readonly kind: 'table';
      readonly table: TableSchema;
      readonly withEntry?: true;
      readonly access: Access;
      readonly reverse: boolean;
    }
  /** Conditions are over the source's own row. */
  | {
      readonly kind: 'query';
      readonly query: BoundQuery;
      readonly filter: readonly Expression[];
    }
  | {
      readonly kind: 'function';
      readonly call: TableFunction;
      readonly filter: readonly Expression[];
    }
  /** A join that must be made before what is around it. */
  | { readonly kind: 'joined'; readonly plan: FromPlan }
  | { readonly kind: 'full'; readonly left: FromPlan; readonly right: Step }
);

/** Adds the columns of a source to each row so far. */
export interface Step {
  readonly source: Source;
  /** A row without a match stays, with NULLs. */
  readonly outer: boolean;
  /** Before the source is asked for a row so far, these parameters take values of it. */
  readonly bindings: readonly Binding[];
  readonly method: JoinMethod;
  /** Conditions of the match over the source's own row and the bindings; 'lookup' has them in its access. */
  readonly match: readonly Expression[];
  /** Conditions over the row with the new columns. */
  readonly filter: readonly Expression[];
}

export interface Binding {
  readonly slot: number;
  /** Over the row so far. */
  readonly value: Expression;
}

export type JoinMethod =
  /** The source is read anew for each row so far: its access path uses the bindings. */
  | { readonly kind: 'lookup' }
  /** The source is read once, into a table by the values of its keys. */
  | { readonly kind: 'hash'; readonly keys: readonly HashKey[] }
  /** The source is read once and gone through for each row so far. */
  | { readonly kind: 'loop' };

export interface HashKey {
  /** Over the row so far. */
  readonly probe: Expression;
  /** Over the source's own row. */
  readonly build: Expression;
  readonly type: ColumnType;
}

export interface FromPlan {
  /** Conditions free of columns: unless all hold, there are no rows. */
  readonly gate: readonly Expression[];
  readonly first: Source;
  readonly steps: readonly Step[];
  /** Conditions over the whole row that no step has applied. */
  readonly filter: readonly Expression[];
  readonly width: number;
}
