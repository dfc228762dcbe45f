import type { FaultEvent } from '../world.ts';
import type { Spec } from './model.ts';

/** What goes wrong. Numbers of calls, flushes and writes count from the event on. */
export type Fault =
  /** The machine stops in the middle of this call of the disk. */
  | { readonly kind: 'crash at call'; readonly calls: number }
  /** The machine stops in the middle of this flush: when most is under way. */
  | { readonly kind: 'crash at flush'; readonly flushes: number }
  /** The process is killed before this call. */
  | { readonly kind: 'kill at call'; readonly calls: number }
  /** A call fails with EIO, once or for good. */
  | { readonly kind: 'failed call'; readonly calls: number; readonly forGood: boolean }
  | { readonly kind: 'failed flush'; readonly flushes: number }
  /** A file does not take the place of another: a keyring, a segment. */
  | { readonly kind: 'failed rename'; readonly renames: number }
  /** A call that takes space fails with ENOSPC, once or for good. */
  | { readonly kind: 'full at call'; readonly calls: number; readonly forGood: boolean }
  /** From now on the files may grow by so many bytes together. */
  | { readonly kind: 'full disk'; readonly spareBytes: number }
  /** The next write that makes a file grow is refused: the batch that waits for it is dropped. */
  | { readonly kind: 'refused growth'; readonly growths: number }
  /** Background flushes take up to so long. */
  | { readonly kind: 'slow flushes'; readonly micros: number }
  /** The wall clock jumps. */
  | { readonly kind: 'clock step'; readonly micros: number }
  /** A bit at rest flips. */
  | { readonly kind: 'bit rot'; readonly pick: number; readonly mask: number }
  /** A write is acknowledged, flushed, and made nowhere, or elsewhere. */
  | { readonly kind: 'lost write'; readonly writes: number }
  | { readonly kind: 'stray write'; readonly writes: number; readonly pick: number }
  /** Everything that was armed or lasts, and has not struck, ends. */
  | { readonly kind: 'all clear' };

export type FaultKind = Fault['kind'];

export type DatabaseEvent =
  | { readonly kind: 'tenant'; readonly tenant: string }
  /** Sends a command and does not wait. */
  | { readonly kind: 'send'; readonly tenant: string; readonly spec: Spec }
  /** Waits for all answers. */
  | { readonly kind: 'settle' }
  | { readonly kind: 'wait'; readonly milliseconds: number }
  /** Reads at a position: the newest if `back` is 0, else that share of the way back to the start. */
  | { readonly kind: 'look'; readonly tenant: string; readonly back: number }
  /** Another process looks: it follows the log of this one. */
  | { readonly kind: 'reader'; readonly tenant: string }
  | { readonly kind: 'verify' }
  /** Compares what this process serves with a fresh replay of a copy of its files. */
  | { readonly kind: 'replay' }
  /** Ends the process, and perhaps the machine, and starts another. */
  | {
      readonly kind: 'restart';
      readonly how: 'close' | 'kill' | 'power';
      readonly dice: number;
      /** Somebody deletes this of what is derived from the log, while nobody has it open. */
      readonly without?: 'tiles' | 'record of the tree';
    }
  /** Asks for a signed checkpoint, and does not wait. */
  | { readonly kind: 'checkpoint' }
  /** Begins to rotate the key that signs checkpoints, and does not wait. */
  | { readonly kind: 'rotate signing' }
  /** Begins to rotate a tenant's key or the master key, and does not wait. */
  | { readonly kind: 'rotate'; readonly tenant?: string }
  /** Begins to seal anew what older keys sealed, and does not wait. */
  | { readonly kind: 'rekey'; readonly bytesPerSecond: number; readonly stopAfterMs?: number }
  /** Copies the database to another machine, which may stop at a call; the copy is opened and compared. */
  | {
      readonly kind: 'copy';
      readonly by: 'owner' | 'another process';
      readonly crashAtCall?: number;
      readonly dice: number;
    }
  /** Closes the database, damages files at rest, and repairs it from the newest copy; a crash may come in between. */
  | {
      readonly kind: 'repair';
      readonly damages: readonly Damage[];
      readonly crashAtCall?: number;
      readonly dice: number;
    }
  | FaultEvent<Fault>;

/** Rotten bytes: some of the log that the copy has, or of any file. */
export interface Damage {
  readonly where: 'copied log' | 'any file';
  readonly pick: number;
  readonly lengthBytes: number;
  readonly mask: number;
}

export function describeEvent(event: DatabaseEvent): string {
  const { kind, ...rest } = event.kind === 'fault' ? event.fault : event;
  const text = JSON.stringify(rest, (_name, value: unknown) =>
    typeof value === 'string' && value.length > 40
      ? `${value.slice(0, 8)}…×${value.length}`
      : value,
  );
  return `${event.kind === 'fault' ? 'fault: ' : ''}${kind} ${text}`;
}
