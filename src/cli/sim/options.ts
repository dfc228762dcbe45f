import type { Command } from 'commander';
import { runSim, type SimInvocation, type SimRequest } from '../commands/sim.ts';
import { type ExitCode, usageError } from '../failure.ts';

const example =
  '  $ verity sim --seed 7\n' +
  '  $ verity sim --seed 1 --runs 100000 --jobs 4\n' +
  '  $ verity sim --seed 7 --keep 3,7,9 --trace';

/** Adds the verb `sim` to the command. */
export function addSim(
  program: Command,
  invocation: SimInvocation,
  exit: (code: ExitCode) => void,
): void {
  program
    .command('sim')
    .description(
      'Run the whole database in simulated worlds, with crashes and faults of the disk, and check that it keeps ' +
        'its promises. A seed decides everything: the same one gives the same trace.',
    )
    .option('--seed <N>', 'first seed (default: 1)', wholeNumber)
    .option('--runs <M>', 'how many seeds (default: 1)', wholeNumber)
    .option('--jobs <J>', 'processes that share the seeds (default: 1)', wholeNumber)
    .option('--keep <LIST>', 'do only these events of the seed, e.g. 3,7,9', numberList)
    .option('--trace', 'print everything that happens, line by line')
    .option('--json', 'print one JSON document; errors as JSON on standard error')
    .addHelpText(
      'after',
      `\nExit codes: 0 done, 1 a violation or too little load, 2 wrong usage.\n\nExample:\n${example}`,
    )
    .action(async (options: Partial<SimRequest>) => {
      const { seed = 1, runs = 1, jobs = 1 } = options;
      exit(await runSim(invocation, { ...options, seed, runs, jobs }));
    });
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && Number.isSafeInteger(value)) return value;
  throw usageError(`${text} is not a whole number from 1.`);
}

function numberList(text: string): number[] {
  if (/^(\d+(,\d+)*)?$/.test(text)) return text === '' ? [] : text.split(',').map(Number);
  throw usageError('--keep takes numbers separated by commas, as an earlier run printed them.');
}
