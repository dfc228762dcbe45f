/** Functions in FROM: their rows. */
import { type TypeName, type Value, VerityError } from '../../base/index.ts';
import type { TableFunction } from '../bind/bound-query.ts';
import { isTime } from '../bind/type-rules.ts';
import { findScalar } from '../functions/registry.ts';
import { compareValues } from '../types/index.ts';
import { compile, type Evaluate } from './compile.ts';
import { compileDiff, compileHistory } from './history.ts';
import type { OpenRows, TreeScope } from './row-source.ts';
import { noRow } from './source.ts';
import { executionOf } from './execution.ts';

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

/** Times with an interval between them: months may differ in length, so each is reckoned from the one before. */
function compileTimes(type: TypeName, evaluates: readonly Evaluate[]): OpenRows {
  const add = findScalar('+', [type, 'interval'])?.call as (time: bigint, span: string) => bigint;
  return (_view, parameters, context) => {
    const [start, stop, step] = evaluates.map((each) => each(noRow, parameters, context));
    if (typeof start !== 'bigint' || typeof stop !== 'bigint' || typeof step !== 'string')
      return { next: () => undefined };
    const direction = compareValues({ name: 'interval' }, step, '0 0 0');
    if (direction === 0)
      throw new VerityError('INVALID_ARGUMENT', 'The step of generate_series must not be zero.');
    const execution = executionOf(context);
    let at = start;
    return {
      next: () => {
        if (direction > 0 ? at > stop : at < stop) return undefined;
        execution.countRead();
        const value = at;
        at = add(at, step);
        return [value];
      },
    };
  };
}

function compileSeries(call: Extract<TableFunction, { kind: 'series' }>): OpenRows {
  const evaluates = [call.start, call.stop, ...(call.step === undefined ? [] : [call.step])].map(
    (each) => compile(each),
  );
  if (isTime(call.type.name)) return compileTimes(call.type.name, evaluates);
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
