import { Verity } from '../../database/index.ts';
import { type DatabaseWorldKind, databaseWorld } from '../../sim/index.ts';

/** The world that `verity sim` runs: the whole embedded database, opened and repaired as the SDK does it. */
export function embeddedDatabase(): DatabaseWorldKind {
  return databaseWorld({
    open: (host, options) => Verity.openOn(host, options),
    repair: (host, copy, options) => Verity.repairOn(host, copy, options),
  });
}
