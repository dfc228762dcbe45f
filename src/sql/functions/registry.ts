import type { TypeName } from '../../base/index.ts';
import { arithmeticFunctions } from './arithmetic.ts';
import { comparisonFunctions } from './comparison.ts';
import { dateTimeFunctions } from './datetime.ts';
import { intervalFunctions } from './interval.ts';
import { jsonbFunctions } from './jsonb.ts';
import { makingFunctions } from './making.ts';
import { mathematicalFunctions } from './mathematics.ts';
import { moreTextFunctions } from './more-text.ts';
import type { ScalarFunction } from './scalar.ts';
import { textFunctions } from './text.ts';

const all: readonly ScalarFunction[] = [
  ...arithmeticFunctions,
  ...comparisonFunctions,
  ...textFunctions,
  ...moreTextFunctions,
  ...mathematicalFunctions,
  ...dateTimeFunctions,
  ...intervalFunctions,
  ...makingFunctions,
  ...jsonbFunctions,
];

const byName = new Map<string, ScalarFunction[]>();
for (const each of all) {
  const same = byName.get(each.name);
  if (same === undefined) byName.set(each.name, [each]);
  else same.push(each);
}
const bySignature = new Map(all.map((each) => [signature(each.name, each.args), each]));

/** Every overload of a function or operator name; empty if there is none. */
export const overloads = (name: string): readonly ScalarFunction[] => byName.get(name) ?? [];

/** The overload for exactly these argument types (varchar counts as text), or undefined. */
export function findScalar(name: string, args: readonly TypeName[]): ScalarFunction | undefined {
  return bySignature.get(signature(name, args));
}

function signature(name: string, args: readonly TypeName[]): string {
  return `${name}(${args.map((type) => (type === 'varchar' ? 'text' : type)).join()})`;
}
