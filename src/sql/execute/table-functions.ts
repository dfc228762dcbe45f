/** Functions in FROM: their rows. */
import type { Value } from '../../base/index.ts';
import type { TableFunction } from '../bind/bound-query.ts';
import { compile } from './compile.ts';
import { compileDiff, compileHistory } from './history.ts';
import type { OpenRows, TreeScope } from './row-source.ts';
import { noRow } from './source.ts';
import { executionOf } from './execution.ts';
import { VerityError } from '../../base/index.ts';

export function compileTableFunction(call: TableFunction, scope: TreeScope): OpenRows {
  switch (call.kind) {
    case 'history':
      return compileHistory(call, scope);
    case 'diff':
      return compileDiff(call, scope);
    case 'series':
      return compileSeries(call);
  }
}

function compileSeries(call: Extract<TableFunction, { kind: 'series' }>): OpenRows {
  const evaluates = [call.start, call.stop, ...(call.step === undefined ? [] : [call.step])].map(
    (each) => compile(each),
  );
  const isBigint = call.type.name === 'bigint';
  return (_view, parameters, context) => {
    const values = evaluates.map((evaluate) => evaluate(noRow, parameters, context));
    if (values.includes(null)) return { next: () => undefined };
    const [start, stop, step = 1n] = values.map((value) => BigInt(value as number | bigint)) as [
      bigint,
      bigint,
      bigint?,
    ];
    if (step === 0n) {
      throw new VerityError('INVALID_ARGUMENT', 'The step of generate_series must not be zero.');
    }
    const execution = executionOf(context);
    let at = start;
    return {
      next: () => {
        if (step > 0n ? at > stop : at < stop) return undefined;
        execution.countRead();
        const value: Value = isBigint ? at : Number(at);
        at += step;
        return [value];
      },
    };
  };
}
