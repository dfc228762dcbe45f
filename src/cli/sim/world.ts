import { Verity } from '../../database/index.ts';
import { type DatabaseWorldKind, databaseWorld } from '../../sim/index.ts';

/** The world that `verity sim` runs: the whole embedded database, opened as the SDK opens it. */
export function embeddedDatabase(): DatabaseWorldKind {
  return databaseWorld((host, options) => Verity.openOn(host, options));
}
