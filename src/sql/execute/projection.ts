import type { ColumnType, Value } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import type { ExecutionContext } from '../contract.ts';
import { compile, type Evaluate } from './compile.ts';
import type { Row } from './row-source.ts';
import { mayBeBlob, valueOf } from './stored-values.ts';

export type Project = (row: Row, parameters: readonly Value[], context: ExecutionContext) => Row;

/** Makes result rows; undefined when a result is the source row of `width` columns as it is. */
export function compileProjection(
  outputs: readonly Expression[],
  width: number,
): Project | undefined {
  const identity =
    outputs.length === width &&
    outputs.every((output, index) => output.kind === 'column' && output.ordinal === index);
  const wide = outputs.flatMap((output, index) =>
    mayBeBlob(output.type as ColumnType) ? [index] : [],
  );
  if (identity) return wide.length === 0 ? undefined : loading(wide);
  const evaluates: readonly Evaluate[] = outputs.map((output) => compile(output));
  return (row, parameters, context) => {
    const result = new Array<Value>(evaluates.length);
    for (let index = 0; index < evaluates.length; index++)
      result[index] = (evaluates[index] as Evaluate)(row, parameters, context);
    return result;
  };
}

/** The row itself, unless it names values that it does not hold. */
function loading(wide: readonly number[]): Project {
  return (row, _parameters, context) => {
    let result: Value[] | undefined;
    for (const index of wide) {
      const stored = row[index] as Value;
      const value = valueOf(stored, context);
      if (value === stored) continue;
      result ??= row.slice();
      result[index] = value;
    }
    return result ?? row;
  };
}
