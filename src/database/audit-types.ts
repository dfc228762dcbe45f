import type { Finding, OpenOptions, Progress, VerifyReport } from './types.ts';

export interface AuditOptions extends Pick<
  OpenOptions,
  'masterKey' | 'encryption' | 'cacheBytes' | 'scratchDirectory' | 'onProgress' | 'onWarning'
> {
  /** Only what needs no key: checksums, digests, layout, chain, tree and checkpoints. */
  readonly withoutKey?: boolean;
  /** How many threads read at the same time, at most 8; 1: the calling one. Default: as many as there are cores, for logs over 16 MiB. */
  readonly threads?: number;
  /** The text of a signed checkpoint of before: that the log goes on from it is proved, and only what came after is opened. */
  readonly since?: string;
  /** Certificates in PEM that time stamps must lead to; default: what the log names, which takes the key. */
  readonly timeStampCa?: string;
  /** A file that keeps what was found out, so that an audit that was interrupted goes on: made where it is not there. */
  readonly resume?: string;
  /** Phases: 'log', 'tree', 'replay' and 'store' (the store against the log), 'state'. */
  readonly onProgress?: (progress: Progress) => void;
}

/** What a finding affects, as far as it is known: by name with the key, else by number. */
export interface AffectedRecords {
  /** From the first to the last; without `last`: to the end, wherever that was. */
  readonly frames?: { readonly first: number; readonly last?: number };
  readonly positions?: { readonly first: number; readonly last?: number };
  readonly leaves?: { readonly first: number; readonly last?: number };
  readonly tenants: readonly (string | number)[];
  readonly tables: readonly {
    readonly tenant: string | number;
    readonly table: string | number;
    /** An index of the table; absent: its rows. */
    readonly index?: string;
    readonly versions: number;
    /** Some of the rows, and the positions that wrote them. */
    readonly rows: readonly { readonly key: string; readonly position: number }[];
  }[];
}

export interface AuditFinding extends Finding {
  readonly affected?: AffectedRecords;
}

/** What an audit found: docs/audit.md says it field by field. */
export interface AuditReport extends VerifyReport {
  readonly findings: AuditFinding[];
  /** Threads that read; 1: the calling one. */
  readonly threads: number;
  /** Events that were opened and checked against their commitments. */
  readonly eventsOpened: number;
  /** Segments that an interrupted audit had opened before. */
  readonly segmentsResumed: number;
  /** Versions of keys that the store has and the log yields, all of which were compared; absent where they were not, or differ. */
  readonly versionsCompared?: number;
  /** The tree over the log's leaves and what is signed of it; absent where the log is damaged. */
  readonly proofs?: {
    readonly treeSize: number;
    /** Hex. */
    readonly root: string;
    /** Signed checkpoints that were checked. */
    readonly checkpoints: number;
    /** Good signatures of witnesses that the database knows. */
    readonly cosignatures: number;
    /** Checkpoints of keys that cannot be known without the master key. */
    readonly unchecked: number;
    /** Time stamps of checkpoints that hold. */
    readonly timeStamps: number;
    /** Others, of authorities that are not trusted. */
    readonly timeStampsUnchecked: number;
  };
  /** Leaves of the checkpoint that was given as `since`, which is a beginning of this log. */
  readonly since?: number;
}
