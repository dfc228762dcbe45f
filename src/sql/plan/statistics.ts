/** What is known of a table's rows when a statement is planned. It decides how rows are reached, never which. */
import type { ObjectId } from '../../base/index.ts';
import type { TableSchema } from '../../codec/index.ts';

export interface TableStatistics {
  /** Rows there were, counted up to a limit. */
  readonly rows: number;
  /** There may be more rows than were counted. */
  readonly more: boolean;
  /** Different values in the leading column of an index, or of the table's own key, counted up to a limit. */
  readonly distinct: (tree: ObjectId) => number | undefined;
}

/** Tells of a table; undefined where nothing is known. */
export type Statistics = (table: TableSchema) => TableStatistics | undefined;

/** What is assumed where nothing is known. */
export const usualStatistics: TableStatistics = {
  rows: 1_000,
  more: true,
  distinct: () => undefined,
};
