import { rarePaths } from '../../engine/index.ts';
import { loadParser } from '../../sql/index.ts';
import type { WorldKind } from '../world.ts';
import type { OpenDatabase } from './contract.ts';
import { DatabaseWorld } from './database-world.ts';
import { type DatabaseEvent, describeEvent } from './events.ts';
import { generateEvents } from './generate.ts';

export type DatabaseWorldKind = WorldKind<DatabaseEvent>;

/** The world of one embedded database, opened by `open` (`Verity.openOn`). */
export function databaseWorld(open: OpenDatabase): DatabaseWorldKind {
  return {
    name: 'database',
    generate: (seed) => generateEvents(seed).events,
    start: (context) =>
      new DatabaseWorld(context, { open, engine: generateEvents(context.seed).swarm.engine }),
    describe: describeEvent,
    prepare: loadParser,
    least: {
      perRun: { acknowledged: 4, opens: 2 },
      average: { acknowledged: 15, opens: 3 },
      faults: 1,
      faultKinds: [
        'bit rot',
        'clock step',
        'crash',
        'failed flush',
        'false write',
        'full disk',
        'kill',
        'power loss',
        'slow flushes',
      ],
      checkers: [
        'answers',
        'chain',
        'damage',
        'mvcc',
        'no loss',
        'no phantom',
        'opens',
        'order',
        'reader',
        'state',
        'verify',
      ],
      marks: rarePaths,
    },
  };
}
