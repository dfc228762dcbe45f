import type { Disk, Entropy, ErrorCode, Position, Scheduler } from '../base/index.ts';
import type { MasterKeyProvider } from '../crypto/index.ts';
import type { KeyHierarchy, LoggedCut, SecurityMonitor } from '../engine/index.ts';
import type { ScratchFile } from '../store/index.ts';
import type { Affected } from './affected.ts';
import type { LiveState } from './live.ts';

export type { LoggedCut } from '../engine/index.ts';

export interface VerificationFinding {
  readonly code: ErrorCode;
  /** Relative to the database's directory. */
  readonly file: string;
  readonly offset: number;
  readonly message: string;
  /** What cannot be read or relied on for it; absent where that is not known. */
  readonly affected?: Affected;
}

export interface Verification {
  readonly ok: boolean;
  readonly filesRead: number;
  readonly bytesRead: number;
  readonly frames: number;
  readonly events: number;
  readonly position: Position;
  /** Hex. */
  readonly chainHash: string;
  readonly findings: readonly VerificationFinding[];
  /** An unfinished write at the end of the log, never acknowledged; the next open cuts it. */
  readonly tornTail:
    | { readonly file: string; readonly offset: number; readonly length: number }
    | undefined;
  /** False without a key: seals, commitments and the anchor's MAC were not checked, and no state was rebuilt. */
  readonly opened: boolean;
  /** Finished segments whose file is as the log records it. */
  readonly segmentsCompared: number;
  /** The position of the store's checkpoint, all rows and versions of which were compared with the log's. */
  readonly storeCompared?: Position;
  /** The state hash that the log yields, at a position: the one that was compared with what is kept, if any is. */
  readonly stateHash?: { readonly hash: string; readonly position: Position };
  /** Values that are kept as blobs; absent without a key, and where there are none. */
  readonly blobs?: {
    /** Those that rows name, or named once. Every byte of them was read. */
    readonly checked: number;
    /** Of these values. */
    readonly bytes: number;
    /** Files that no row names, which the next open for writing removes. */
    readonly unnamed: readonly string[];
  };
  /** What `repair --cut-tail` cut from this log, oldest first. */
  readonly cuts: readonly LoggedCut[];
}

export interface VerificationSettings {
  readonly disk: Disk;
  /** So that keys that were chosen to collide cannot slow the rebuild down; absent where nobody else chose them. */
  readonly entropy?: Entropy;
  /** Opens a file for what the log yields and memory does not hold; absent, or without entropy: memory holds it. */
  readonly scratch?: () => ScratchFile;
  /** Memory for pages of what the log yields; default 256 MiB. Of no use without `scratch`. */
  readonly cacheBytes?: number;
  /** Gives other work its turn between frames; absent where there is none. */
  readonly scheduler?: Scheduler;
  /** The keys of an open handle, or a provider to unwrap them; 'none' checks what needs no key. */
  readonly root: KeyHierarchy | MasterKeyProvider | 'none';
  /** What an open handle knows, asked whenever a segment is read, so that commits meanwhile do not look like damage. */
  readonly live?: () => LiveState;
  /** Counts the findings that may mean an attack. */
  readonly security?: SecurityMonitor;
  readonly onProgress?: (done: number, total: number) => void;
}
