import type { FromPlan } from '../plan/from-plan.ts';
import { compileStep } from './joins.ts';
import type { OpenRows, Row, TreeScope } from './row-source.ts';
import { compileAll, compileSource, filtered, noRow, type SourceUse } from './source.ts';

/** The rows of FROM, each as wide as all its parts together. */
export function compileFrom(plan: FromPlan, scope: TreeScope, use?: SourceUse): OpenRows {
  const { first, steps, width } = plan;
  let open = compileSource(first, scope, use);
  if (first.start !== 0 || first.width !== width) open = placed(open, first.start, width);
  for (const step of steps) open = compileStep(step, scope, open);
  open = filtered(open, plan.filter);
  const gate = compileAll(plan.gate);
  if (gate === undefined) return open;
  return (view, parameters, context) =>
    gate(noRow, parameters, context) ? open(view, parameters, context) : { next: () => undefined };
}

/** Narrow rows at their place in wide ones. */
function placed(open: OpenRows, start: number, width: number): OpenRows {
  return (view, parameters, context) => {
    const rows = open(view, parameters, context);
    return {
      next: () => {
        const row = rows.next();
        if (row === undefined) return undefined;
        const wide: Row[number][] = new Array<Row[number]>(width).fill(null);
        for (let at = 0; at < row.length; at++) wide[start + at] = row[at] as Row[number];
        return wide;
      },
    };
  };
}
