import type { Value } from '../../base/index.ts';
import { encodeKey } from '../../codec/index.ts';
import type { AggregateCall } from '../bind/context.ts';
import { type Accumulator, accumulator } from '../functions/aggregates.ts';
import { compile, type Evaluate } from './compile.ts';
import type { OpenRows } from './select.ts';

/** Folds all rows into one: the result of each aggregate, in order. */
export function compileAggregates(calls: readonly AggregateCall[], open: OpenRows): OpenRows {
  const evaluates = calls.map((call) => call.argument && compile(call.argument));
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    let done = false;
    return {
      next: () => {
        if (done) return undefined;
        done = true;
        const accumulators = calls.map(newAccumulator);
        for (let row = rows.next(); row !== undefined; row = rows.next()) {
          for (let index = 0; index < accumulators.length; index++) {
            const evaluate: Evaluate | undefined = evaluates[index];
            const value: Value = evaluate === undefined ? true : evaluate(row, parameters, context);
            if (value !== null) (accumulators[index] as Accumulator).add(value);
          }
        }
        return accumulators.map((each) => each.result());
      },
    };
  };
}

function newAccumulator(call: AggregateCall): Accumulator {
  const type = call.argument?.type;
  const inner = accumulator(call.name, type);
  if (!call.distinct || type === undefined) return inner;
  const seen = new Set<string>();
  return {
    add: (value) => {
      const key = encodeKey([type], [value]);
      if (seen.has(key)) return;
      seen.add(key);
      inner.add(value);
    },
    result: () => inner.result(),
  };
}
