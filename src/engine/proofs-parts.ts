/** A signed checkpoint, and what it takes to make one. */
import type { LeafIndex, Scheduler } from '../base/index.ts';
import type { Command, LoggedCheckpoint } from '../kernel/index.ts';
import type { LogHead } from '../log/index.ts';
import type { Vkey } from '../proof/index.ts';
import type { CheckpointNotes } from './checkpoint-notes.ts';
import type { ProofSettings } from './checkpoint-times.ts';
import type { LogTree } from './log-tree.ts';
import type { HandOver, SigningKey } from './signing-keys.ts';
import type { StateHash } from './state-hasher.ts';

/** A signed checkpoint: the record is the last leaf under the note. */
export interface SignedCheckpoint {
  /** A C2SP signed note, cosignatures included. */
  readonly note: string;
  readonly size: number;
  readonly root: Uint8Array;
  readonly record: LoggedCheckpoint;
}

export interface ProofsParts {
  readonly tree: LogTree;
  readonly notes: CheckpointNotes;
  readonly scheduler: Scheduler;
  readonly origin: string;
  readonly settings: ProofSettings;
  /** Absent for a handle that only reads. */
  readonly submit: ((command: Command) => Promise<unknown>) | undefined;
  readonly signingKey: () => SigningKey;
  /** All keys of the log, the oldest first. */
  readonly vkeys: () => readonly Vkey[];
  /** How each of them but the first was handed over to. */
  readonly handOvers: () => readonly HandOver[];
  readonly head: () => LogHead;
  /** The value of a setting of the database. */
  readonly setting: (name: string) => unknown;
  readonly stateHash: () => Promise<StateHash>;
  /** As `stateHash` if that takes little for each change, else the newest that is known; undefined where none is kept. */
  readonly stateHashAtHand: () => Promise<StateHash | undefined>;
  /** As `stateHash`, of what is committed now, on this turn. */
  readonly stateHashNow: () => StateHash;
  /** The newest checkpoint record among what is committed. */
  readonly newestRecord: () => LoggedCheckpoint | undefined;
  /** The record at this leaf. */
  readonly recordAt: (leaf: LeafIndex) => LoggedCheckpoint | undefined;
}
