import type { ColumnType, TypeName, Value } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import { behindPrefix, likePrefix } from '../functions/like.ts';
import { findScalar } from '../functions/registry.ts';
import { checkTextSize } from '../functions/text.ts';
import { comparator, formatText } from '../types/index.ts';
import type { Evaluate } from './compile.ts';
import { compileSubquery, isSubqueryCall } from './subquery.ts';

type Call = Extract<Expression, { kind: 'call' }>;
type Compile = (expression: Expression) => Evaluate;
type Test = (left: Value, right: Value) => boolean;

const microsecondsPerDay = 86_400_000_000;

/** Calls that are not strict, do not evaluate all arguments, or read the context. */
const forms: Readonly<Record<string, (call: Call, compile: Compile) => Evaluate>> = {
  now: () => (_row, _parameters, context) => BigInt(context.time),
  current_date: () => (_row, _parameters, context) => Math.floor(context.time / microsecondsPerDay),
  coalesce: (call, compile) => {
    const args = call.args.map(compile);
    return (row, parameters, context) => {
      for (let index = 0; index < args.length; index++) {
        const value = (args[index] as Evaluate)(row, parameters, context);
        if (value !== null) return value;
      }
      return null;
    };
  },
  nullif: (call, compile) => {
    const equal = test('=', call.args[0]);
    const [left, right] = call.args.map(compile) as [Evaluate, Evaluate];
    return (row, parameters, context) => {
      const one = left(row, parameters, context);
      const two = right(row, parameters, context);
      return one !== null && two !== null && equal(one, two) ? null : one;
    };
  },
  'is distinct from': (call, compile) => {
    const equal = test('=', call.args[0]);
    const [left, right] = call.args.map(compile) as [Evaluate, Evaluate];
    return (row, parameters, context) => {
      const one = left(row, parameters, context);
      const two = right(row, parameters, context);
      return one === null || two === null ? one !== two : !equal(one, two);
    };
  },
  greatest: (call, compile) => extreme(call, compile, 1),
  least: (call, compile) => extreme(call, compile, -1),
  'is true': (call, compile) => compareWith(call, compile, true),
  'is false': (call, compile) => compareWith(call, compile, false),
  between: (call, compile) => {
    const notBelow = test('>=', call.args[0]);
    const notAbove = test('<=', call.args[0]);
    const [arg, low, high] = call.args.map(compile) as [Evaluate, Evaluate, Evaluate];
    return (row, parameters, context) => {
      const value = arg(row, parameters, context);
      const from = low(row, parameters, context);
      // A bound that is NULL leaves the answer open unless the other one says no; the lower one is asked first.
      if (value !== null && from !== null && !notBelow(value, from)) return false;
      const to = high(row, parameters, context);
      if (value !== null && to !== null && !notAbove(value, to)) return false;
      return value === null || from === null || to === null ? null : true;
    };
  },
  /** Arguments: value, then pairs of what it is compared with and the result, then the result otherwise. */
  'case of': (call, compile) => {
    const equal = test('=', call.args[0]);
    const [arg, ...rest] = call.args.map(compile) as [Evaluate, ...Evaluate[]];
    const otherwise = rest[rest.length - 1] as Evaluate;
    return (row, parameters, context) => {
      const value = arg(row, parameters, context);
      for (let index = 0; index + 1 < rest.length; index += 2) {
        const other = (rest[index] as Evaluate)(row, parameters, context);
        if (value !== null && other !== null && equal(value, other))
          return (rest[index + 1] as Evaluate)(row, parameters, context);
      }
      return otherwise(row, parameters, context);
    };
  },
  /** A whole number in a narrower type; NULL if it does not fit, so that a key made of it matches nothing. */
  narrow: (call, compile) => {
    const arg = compile(call.args[0] as Expression);
    const bits = call.type.name === 'smallint' ? 16 : 32;
    return (row, parameters, context) => {
      const value = arg(row, parameters, context);
      if (value === null) return null;
      const whole = BigInt(value as number | bigint);
      return BigInt.asIntN(bits, whole) === whole ? Number(whole) : null;
    };
  },
  /** Between these lie the texts that a LIKE pattern may match; NULL: nothing lies behind them. */
  'like low': (call, compile) => {
    const arg = compile(call.args[0] as Expression);
    return (row, parameters, context) => {
      const pattern = arg(row, parameters, context);
      return pattern === null ? null : likePrefix(pattern as string);
    };
  },
  'like high': (call, compile) => {
    const arg = compile(call.args[0] as Expression);
    return (row, parameters, context) => {
      const pattern = arg(row, parameters, context);
      return pattern === null ? null : (behindPrefix(likePrefix(pattern as string)) ?? null);
    };
  },
  concat: (call, compile) => {
    const args = call.args.map(compile);
    const types = call.args.map((arg) => arg.type);
    return (row, parameters, context) => {
      let text = '';
      for (let index = 0; index < args.length; index++) {
        text = checkTextSize(
          text + outputText(types[index], (args[index] as Evaluate)(row, parameters, context)),
        );
      }
      return text;
    };
  },
  /** The first argument between the others that are not NULL. */
  concat_ws: (call, compile) => {
    const [separator, ...args] = call.args.map(compile) as [Evaluate, ...Evaluate[]];
    const types = call.args.map((arg) => arg.type);
    return (row, parameters, context) => {
      const between = separator(row, parameters, context);
      if (between === null) return null;
      const parts: string[] = [];
      for (let index = 0; index < args.length; index++) {
        const value = (args[index] as Evaluate)(row, parameters, context);
        if (value !== null) parts.push(outputText(types[index + 1], value));
      }
      return checkTextSize(parts.join(outputText(types[0], between)));
    };
  },
};

export function compileSpecial(call: Call, compile: Compile): Evaluate | undefined {
  if (isSubqueryCall(call)) return compileSubquery(call);
  return forms[call.name]?.(call, compile);
}

/** The extreme of the arguments that are not NULL. */
function extreme(call: Call, compile: Compile, sign: -1 | 1): Evaluate {
  const compare = comparator(call.type);
  const args = call.args.map(compile);
  return (row, parameters, context) => {
    let best: Value = null;
    for (const arg of args) {
      const value = arg(row, parameters, context);
      if (value !== null && (best === null || compare(value, best) === sign)) best = value;
    }
    return best;
  };
}

function compareWith(call: Call, compile: Compile, wanted: boolean): Evaluate {
  const arg = compile(call.args[0] as Expression);
  return (row, parameters, context) => arg(row, parameters, context) === wanted;
}

function test(operator: string, arg: Expression | undefined): Test {
  const name: TypeName = arg?.type?.name ?? 'text';
  return findScalar(operator, [name, name])?.call as Test;
}

/** A value's text as output functions give it: booleans are t and f, unlike in casts. */
function outputText(type: ColumnType | undefined, value: Value): string {
  if (value === null || type === undefined) return '';
  if (typeof value === 'boolean') return value ? 't' : 'f';
  return typeof value === 'string' && type.name !== 'jsonb' ? value : formatText(type, value);
}
