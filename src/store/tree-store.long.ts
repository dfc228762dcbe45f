/**
 * The model test of the store on pages for as long as wanted.
 *
 *   npx tsx src/store/tree-store.long.ts [--runs 5000] [--commands 60] [--seed N]
 *
 * Prints how much happened. Exits with 1 and the shortest failing list of commands if there is one.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import fc from 'fast-check';
import { compareStores, newSetup, storeCommands } from './testing/store-commands.fuzz.ts';

const { values } = parseArgs({
  options: {
    runs: { type: 'string', default: '5000' },
    commands: { type: 'string', default: '60' },
    seed: { type: 'string' },
  },
});
const seed = values.seed === undefined ? Date.now() | 0 : Number(values.seed);
const commandLists = fc.commands(storeCommands, {
  maxCommands: Number(values.commands),
  size: 'max',
});
const counts = { runs: 0, changes: 0, pagesRead: 0, pagesWritten: 0 };

fc.assert(
  fc.property(commandLists, (commands) => {
    let setup = newSetup();
    fc.modelRun(() => (setup = newSetup()), commands);
    compareStores(setup.model, setup.real);
    counts.runs++;
    counts.changes += setup.model.leaves;
    counts.pagesRead += setup.real.device.reads;
    counts.pagesWritten += setup.real.device.writes;
  }),
  { numRuns: Number(values.runs), seed },
);
process.stdout.write(`${JSON.stringify({ seed, ...counts })}\n`);
