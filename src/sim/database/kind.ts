import { type RarePath, rarePaths } from '../../engine/index.ts';
import { loadParser } from '../../sql/index.ts';
import type { WorldKind } from '../world.ts';
import type { DatabaseUnderTest } from './contract.ts';
import { DatabaseWorld } from './database-world.ts';
import { type DatabaseEvent, describeEvent } from './events.ts';
import { generateEvents } from './generate.ts';

export type DatabaseWorldKind = WorldKind<DatabaseEvent>;

/** Counted, and too rare to be asked of a few hundred seeds. */
const rarest: ReadonlySet<RarePath> = new Set<RarePath>([
  'empty tail given a command for rekeying',
  'root key renewed during a copy',
]);

/** Rare paths that the world itself sees. */
const worldPaths = [
  'copy interrupted',
  'derived files of proofs deleted',
  'reader went on under a new master key',
  'repair done again',
  'repair refused',
  'signing key rotated',
] as const;

/** The world of one embedded database, opened and repaired by `database` (`Verity.openOn`, `Verity.repairOn`). */
export function databaseWorld(database: DatabaseUnderTest): DatabaseWorldKind {
  return {
    name: 'database',
    generate: (seed) => generateEvents(seed).events,
    start: (context) => {
      const { engine, suite, readersHaveAllKeys } = generateEvents(context.seed).swarm;
      return new DatabaseWorld(context, { database, engine, suite, readersHaveAllKeys });
    },
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
        'planted damage',
        'power loss',
        'slow flushes',
      ],
      checkers: [
        'answers',
        'chain',
        'checkpoint record',
        'copy',
        'damage',
        'keys',
        'log tree',
        'mvcc',
        'no loss',
        'no phantom',
        'notes kept',
        'opens',
        'order',
        'reader',
        'repair',
        'row proof',
        'signed notes',
        'state',
        'state hash',
        'verify',
      ],
      marks: [...rarePaths.filter((path) => !rarest.has(path)), ...worldPaths],
    },
  };
}
