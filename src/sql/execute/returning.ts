import type { Value } from '../../base/index.ts';
import type { BoundReturning } from '../bind/write.ts';
import type { ExecutionContext } from '../contract.ts';
import { compileProjection } from './projection.ts';
import { ResultSize } from './result-size.ts';

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
  return (rows, parameters, context) => {
    const size = new ResultSize();
    return rows.map(({ values }) => {
      const row = project === undefined ? values : project(values, parameters, context);
      size.add(row);
      return row;
    });
  };
}
