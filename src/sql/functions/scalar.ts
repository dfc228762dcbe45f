import type { TypeName, Value } from '../../base/index.ts';

/** A function or operator over values: strict (NULL in, NULL out) and without side effects. */
export interface ScalarFunction {
  readonly name: string;
  readonly args: readonly TypeName[];
  readonly result: TypeName;
  /** Called with as many values as `args`, none of them NULL and each of its type. */
  readonly call: (...args: readonly never[]) => Value;
}

/** Describes one overload; `call` takes the values in the form base/types.ts gives for `args`. */
export function scalar<Args extends readonly Value[]>(
  name: string,
  args: readonly TypeName[],
  result: TypeName,
  call: (...values: Args) => Value,
): ScalarFunction {
  return { name, args, result, call: call as unknown as ScalarFunction['call'] };
}
