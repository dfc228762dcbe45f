import fc from 'fast-check';
import { test } from 'vitest';
import { compareStores, newSetup, storeCommands } from './testing/store-commands.fuzz.ts';

test('a store on pages answers as one in memory does, through evictions, checkpoints and restarts', () => {
  fc.assert(
    fc.property(fc.commands(storeCommands, { maxCommands: 60, size: 'max' }), (commands) => {
      let setup = newSetup();
      fc.modelRun(() => (setup = newSetup()), commands);
      compareStores(setup.model, setup.real);
    }),
    { numRuns: 15 },
  );
}, 60_000);
