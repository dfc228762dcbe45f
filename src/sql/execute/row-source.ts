import type { Value } from '../../base/index.ts';
import type { ReadView } from '../../store/index.ts';
import type { Catalog, ExecutionContext } from '../contract.ts';
import type { PlanScope } from '../plan/join.ts';

export type Row = readonly Value[];

/** Pulls rows one at a time; undefined at the end. */
export interface Rows {
  next(): Row | undefined;
}

export type OpenRows = (
  view: ReadView,
  parameters: readonly Value[],
  context: ExecutionContext,
) => Rows;

/** Whose trees are read, and where plans get numbers for parameters that they set themselves. */
export type TreeScope = Pick<Catalog, 'tenant'> & PlanScope;

export const scopeOf = (
  { tenant, statistics }: Catalog,
  parameters: PlanScope['parameters'],
): TreeScope => ({ tenant, parameters, statistics });
