/** What witnesses and time-stamp authorities are told of, and what comes of it is kept in: a view of the engine's proofs. */
import type { NoteSignature, Vkey } from '../proof/index.ts';

export interface AttestedLog {
  readonly origin: string;
  /** Of every signing key that the log had. */
  readonly vkeys: readonly Vkey[];
  /** Leaves now. */
  readonly size: number;
  /** The newest checkpoint: its note with all signatures that are kept. */
  readonly newest: { readonly note: string; readonly size: number } | undefined;
  /** Every checkpoint, the oldest first. */
  all(): Iterable<{ readonly note: string; readonly size: number }>;
  /** Signs a new checkpoint, or returns the newest when nothing was committed behind it. */
  checkpoint(): Promise<{ readonly note: string; readonly size: number }>;
  /** The root of the first `size` leaves; size is at most that of the log. */
  root(size: number): Uint8Array | Promise<Uint8Array>;
  consistencyProof(
    from: number,
    to: number,
  ): readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
  /** Keeps signatures with the checkpoint of this size. */
  amend(size: number, signatures: readonly NoteSignature[]): void;
  /** A setting's value, or undefined. */
  setting(name: string): unknown;
  changeSetting(name: string, value: unknown): Promise<void>;
}
