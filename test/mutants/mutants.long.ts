/**
 * Plants every bug of the registry, one at a time, and runs the test that must notice it: first without
 * the bug, when it must pass, then with it, when it must fail within 20 seconds.
 *
 *   npx tsx test/mutants/mutants.long.ts [--only TEXT]
 *
 * Prints a line for each. Exits with 1 if one lives, or could not be planted.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { Copy, type Mutant, type Outcome, survival } from './mutants.ts';
import { mutants } from './registry.ts';

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });

const copy = new Copy();
try {
  main();
} finally {
  copy.remove();
}

function main(): void {
  const chosen = mutants.filter(({ name }) => name.includes(values.only));
  const clean = new Map<string, Outcome | string>();
  let killed = 0;
  for (const mutant of chosen) {
    const killer = `${mutant.test} "${mutant.named}"`;
    if (!clean.has(killer))
      clean.set(
        killer,
        attempt(() => copy.run(mutant)),
      );
    const problem = problemOf(mutant, clean.get(killer) as Outcome | string);
    if (problem === undefined) killed += 1;
    else console.log(`LIVES   ${mutant.name}: ${problem}`);
  }
  console.log(`${killed} of ${chosen.length} killed`);
  process.exitCode = chosen.length > 0 && killed === chosen.length ? 0 : 1;
}

function problemOf(mutant: Mutant, clean: Outcome | string): string | undefined {
  if (typeof clean === 'string') return clean;
  if (clean.failed.length > 0) return `the killer fails without it: ${clean.failed.join(', ')}`;
  const outcome = attempt(() => copy.runPlanted(mutant));
  if (typeof outcome === 'string') return outcome;
  const problem = survival(mutant, outcome);
  if (problem === undefined) {
    const seconds = outcome.seconds.toFixed(1);
    console.log(`killed  ${mutant.name} | ${mutant.test} "${mutant.named}" | ${seconds} s`);
  }
  return problem;
}

function attempt<T>(work: () => T): T | string {
  try {
    return work();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
