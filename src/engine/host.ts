import type { Clock, Disk, Entropy, Scheduler } from '../base/index.ts';
import type { CheckpointSettings } from './checkpointer.ts';
import type { PaceSettings } from './commit-pace.ts';
import type { ScratchFile } from '../store/index.ts';
import type { LogSizes } from './log-writer.ts';
import type { ProofSettings } from './checkpoint-times.ts';
import type { RarePath } from './rare-paths.ts';

/** Everything the engine needs from outside. The simulator passes its own. */
export interface EngineHost {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly scheduler: Scheduler;
  /** Other sizes than `defaultLogSizes`, e.g. small ones in tests. */
  readonly logSizes?: LogSizes;
  /** Another pace of the commit loop than `defaultPace`, e.g. in tests. */
  readonly pace?: PaceSettings;
  /** Other checkpoints than `defaultCheckpoints`, e.g. with a small cache, or more often in tests. */
  readonly checkpoints?: Partial<CheckpointSettings>;
  /** Other times for checkpoints of proofs than `defaultProofs`. */
  readonly proofs?: Partial<ProofSettings>;
  /** Opens a file for what only this process needs and its memory does not hold; absent: memory holds it. */
  readonly scratch?: () => ScratchFile;
  /** Told when a path is taken that is rarely taken; simulations count them. */
  readonly onRarePath?: (path: RarePath) => void;
}
