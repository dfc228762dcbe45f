import type { Clock, Disk, Entropy, Scheduler } from '../base/index.ts';
import type { LogSizes } from './log-writer.ts';

/** Everything the engine needs from outside. The simulator passes its own. */
export interface EngineHost {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly scheduler: Scheduler;
  /** Other sizes than `defaultLogSizes`, e.g. small ones in tests. */
  readonly logSizes?: LogSizes;
}
