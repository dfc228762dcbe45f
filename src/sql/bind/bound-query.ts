/** Queries with names and types settled; what is left is how to reach the rows. Plain data. */
import type { ColumnType, TenantId } from '../../base/index.ts';
import type { Expression, TableSchema } from '../../codec/index.ts';
import type { Catalog, ResultColumn } from '../contract.ts';
import type { AggregateCall, ParameterTypes, SortKey } from './context.ts';

export type BoundQuery = BoundSelect | BoundValues | BoundCombination;

interface Tail {
  readonly columns: readonly ResultColumn[];
  readonly limit: Expression | undefined;
  readonly offset: Expression | undefined;
}

export interface BoundSelect extends Tail {
  readonly kind: 'select';
  readonly from: From | undefined;
  readonly where: Expression | undefined;
  /** Outputs and sort keys are then over the row of a group: its keys, then its aggregates. */
  readonly grouping: Grouping | undefined;
  readonly outputs: readonly Expression[];
  readonly distinct: boolean;
  /** Over the row of FROM or of the group; with DISTINCT over the output row. */
  readonly sort: readonly SortKey[];
}

export interface Grouping {
  /** Empty: all rows are one group, even if there are none. */
  readonly keys: readonly Expression[];
  readonly aggregates: readonly AggregateCall[];
  /** Over the row of the group. */
  readonly having: Expression | undefined;
}

export interface BoundValues extends Tail {
  readonly kind: 'values';
  readonly rows: readonly (readonly Expression[])[];
  readonly sort: readonly SortKey[];
}

/** UNION, INTERSECT and EXCEPT; both sides have the columns' types. */
export interface BoundCombination extends Tail {
  readonly kind: 'combination';
  readonly operation: 'union' | 'intersect' | 'except';
  readonly all: boolean;
  readonly left: BoundQuery;
  readonly right: BoundQuery;
  /** Over the output row. */
  readonly sort: readonly SortKey[];
}

/** What FROM reads. The rows of its parts lie side by side in one row; `start` is the first ordinal of a part. */
export type From =
  | {
      readonly kind: 'table';
      readonly name: string;
      readonly table: TableSchema;
      /** Set: behind its columns the row holds its stored entry, for those who write it. */
      readonly withEntry?: true;
      readonly start: number;
      readonly width: number;
    }
  | {
      readonly kind: 'query';
      readonly name: string;
      readonly query: BoundQuery;
      readonly start: number;
      readonly width: number;
    }
  | {
      readonly kind: 'function';
      readonly name: string;
      readonly call: TableFunction;
      readonly start: number;
      readonly width: number;
    }
  | {
      readonly kind: 'join';
      /** RIGHT is LEFT with its sides changed over. */
      readonly join: 'inner' | 'left' | 'full';
      readonly left: From;
      readonly right: From;
      readonly condition: Expression | undefined;
    };

/** A function that yields rows. Arguments are free of columns. */
export type TableFunction =
  | {
      readonly kind: 'history';
      readonly table: TableSchema;
      readonly key: readonly Expression[];
    }
  | {
      readonly kind: 'diff';
      readonly table: TableSchema;
      readonly from: Expression;
      readonly to: Expression;
    }
  | {
      readonly kind: 'series';
      readonly type: ColumnType;
      readonly start: Expression;
      readonly stop: Expression;
      readonly step: Expression | undefined;
    };

/** An expression that runs a query: a call whose `args` are what the query reads of the row around it. */
export interface SubqueryCall {
  readonly kind: 'call';
  readonly type: ColumnType;
  readonly name: 'subquery exists' | 'subquery value' | 'subquery any' | 'subquery all';
  readonly args: readonly Expression[];
  /** The parameters that take the values of `args`. */
  readonly slots: readonly number[];
  readonly query: BoundQuery;
  readonly scope: {
    readonly tenant: TenantId;
    readonly parameters: Pick<ParameterTypes, 'allocateSlot'>;
    readonly statistics?: Catalog['statistics'];
  };
  /** How many of `args` the query itself reads, the first ones; the others are what ANY and ALL compare. */
  readonly ownCount: number;
  /** Of ANY and ALL: holds for a row of the query, whose values are in the parameters of `valueSlots`. */
  readonly test?: Expression;
  readonly valueSlots?: readonly number[];
}

export const isSubquery = (expression: Expression): boolean =>
  expression.kind === 'call' && expression.name.startsWith('subquery ');

/** The number of ordinals that FROM takes in its row. */
export function widthOf(from: From | undefined): number {
  if (from === undefined) return 0;
  return from.kind === 'join'
    ? Math.max(widthOf(from.left), widthOf(from.right))
    : from.start + from.width;
}
