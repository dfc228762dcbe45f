/** Queries within expressions. They run to their end, or as far as the answer needs, before the expression goes on. */
import { assert, type Value, VerityError } from '../../base/index.ts';
import type { Expression } from '../../codec/index.ts';
import type { SubqueryCall } from '../bind/bound-query.ts';
import type { ExecutionContext } from '../contract.ts';
import { typeOf } from '../bind/select.ts';
import { isIdentical } from '../functions/comparison.ts';
import { compile, type Evaluate } from './compile.ts';
import { type Execution, executionOf, setSlot } from './execution.ts';
import { compileQuery } from './query.ts';
import type { OpenRows, Rows } from './row-source.ts';
import { noRow } from './source.ts';

/** The closure of a call that runs a query. */
export function compileSubquery(call: SubqueryCall): Evaluate {
  const open = compileQuery(call.query, call.scope);
  const args = call.args.map((arg, index) => ({
    slot: call.slots[index] as number,
    evaluate: compile(arg),
  }));
  const answer = answerOf(call, open);
  const isFixed = call.args.length === 0;
  return (row, parameters, context) => {
    const execution = executionOf(context);
    if (isFixed && execution.memo.has(call)) return execution.memo.get(call) as Value;
    for (const { slot, evaluate } of args)
      setSlot(parameters, slot, evaluate(row, parameters, context));
    const value = answer(parameters, execution);
    if (isFixed) execution.memo.set(call, value);
    return value;
  };
}

type Answer = (parameters: readonly Value[], execution: Execution) => Value;

function answerOf(call: SubqueryCall, open: OpenRows): Answer {
  switch (call.name) {
    case 'subquery exists':
      return running(open, (rows) => rows.next() !== undefined);
    case 'subquery value':
      return running(open, (rows) => {
        const row = rows.next();
        if (row === undefined) return null;
        if (rows.next() !== undefined) {
          throw new VerityError(
            'CARDINALITY_VIOLATION',
            'A subquery used as a value yields more than one row; add LIMIT 1, or a condition.',
          );
        }
        return row[0] as Value;
      });
    case 'subquery any':
      return membership(call, open) ?? quantified(call, open, true);
    case 'subquery all':
      return quantified(call, open, false);
  }
}

/** Runs the query for one answer; what it held goes with it. */
function running(open: OpenRows, take: (rows: Rows) => Value): Answer {
  return (parameters, execution) => {
    const { held } = execution;
    const value = take(open(execution.view, parameters, execution));
    execution.release(held);
    return value;
  };
}

/** ANY (`decisive` true) and ALL: the decisive result wins, else NULL if one is NULL. */
function quantified(call: SubqueryCall, open: OpenRows, decisive: boolean): Answer {
  const { test, valueSlots = [] } = call;
  assert(test !== undefined, 'ANY and ALL have a test');
  const holds = compile(test);
  return (parameters, execution) => {
    let sawNull = false;
    const run = running(open, (rows) => {
      for (let row = rows.next(); row !== undefined; row = rows.next()) {
        for (let at = 0; at < valueSlots.length; at++)
          setSlot(parameters, valueSlots[at] as number, row[at] as Value);
        const value = holds(noRow, parameters, execution);
        if (value === decisive) return decisive;
        if (value === null) sawNull = true;
      }
      return sawNull ? null : !decisive;
    });
    return run(parameters, execution);
  };
}

interface Members {
  readonly values: ReadonlySet<Value>;
  readonly hasNull: boolean;
}

/** What the query of an IN yields, as the type it is compared in; run once. */
export function compileMembers(
  call: SubqueryCall,
): (view: unknown, parameters: readonly Value[], context: ExecutionContext) => ReadonlySet<Value> {
  const { test, valueSlots = [] } = call;
  const [slot] = valueSlots;
  const right = test?.kind === 'call' ? test.args[1] : undefined;
  assert(slot !== undefined && right !== undefined, 'a list of members is that of an IN');
  const open = compileQuery(call.query, call.scope);
  const member = compile(right);
  return (_view, parameters, context) => {
    const execution = executionOf(context);
    const known = execution.memo.get(call.slots) as ReadonlySet<Value> | undefined;
    if (known !== undefined) return known;
    const values = new Set<Value>();
    const rows = open(execution.view, parameters, execution);
    for (let row = rows.next(); row !== undefined; row = rows.next()) {
      setSlot(parameters, slot, row[0] as Value);
      const value = member(noRow, parameters, execution);
      execution.countHeld([value]);
      values.add(value);
    }
    execution.memo.set(call.slots, values);
    return values;
  };
}

/** IN over a query that reads nothing of the row around it: run once, then looked up. Undefined for other calls. */
function membership(call: SubqueryCall, open: OpenRows): Answer | undefined {
  const { test, valueSlots = [], ownCount } = call;
  const [slot] = valueSlots;
  if (ownCount > 0 || test?.kind !== 'call' || test.name !== '=' || slot === undefined)
    return undefined;
  const [left, right] = test.args as readonly [Expression, Expression];
  if (!isIdentical(typeOf(left).name)) return undefined;
  const [wanted, member] = [compile(left), compile(right)];
  const collect = (parameters: readonly Value[], execution: Execution): Members => {
    const values = new Set<Value>();
    let hasNull = false;
    const rows = open(execution.view, parameters, execution);
    for (let row = rows.next(); row !== undefined; row = rows.next()) {
      setSlot(parameters, slot, row[0] as Value);
      const value = member(noRow, parameters, execution);
      if (value === null) hasNull = true;
      else if (!values.has(value)) {
        execution.countHeld([value]);
        values.add(value);
      }
    }
    return { values, hasNull };
  };
  return (parameters, execution) => {
    let members = execution.memo.get(call.query) as Members | undefined;
    if (members === undefined) {
      members = collect(parameters, execution);
      execution.memo.set(call.query, members);
    }
    if (members.values.size === 0 && !members.hasNull) return false;
    const value = wanted(noRow, parameters, execution);
    if (value === null) return null;
    return members.values.has(value) ? true : members.hasNull ? null : false;
  };
}

export const isSubqueryCall = (call: { readonly name: string }): call is SubqueryCall =>
  call.name.startsWith('subquery ');
