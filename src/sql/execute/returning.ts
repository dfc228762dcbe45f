import type { Value } from '../../base/index.ts';
import type { BoundReturning } from '../bind/write.ts';
import type { ExecutionContext } from '../contract.ts';
import { compileProjection } from './projection.ts';

type Row = readonly Value[];
export type Returning = (
  rows: readonly { readonly values: Row }[],
  parameters: readonly Value[],
  context: ExecutionContext,
) => readonly Row[];

const nothing: readonly Row[] = [];

/** Makes the rows of RETURNING from rows of a table with `width` columns. */
export function compileReturning(returning: BoundReturning, width: number): Returning {
  if (returning.outputs.length === 0) return () => nothing;
  const project = compileProjection(returning.outputs, width);
  if (project === undefined) return (rows) => rows.map((row) => row.values);
  return (rows, parameters, context) => rows.map((row) => project(row.values, parameters, context));
}
