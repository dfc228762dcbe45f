import type {
  ObjectId,
  Position,
  StoreKey,
  TenantId,
  TimestampMicros,
  Value,
  VerityError,
} from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import type { ParsedStatement, ResultColumn, RowChange } from '../sql/index.ts';
import type { BoundParameters, StagedBlob } from './blobs.ts';
import type { BuildPlace } from './definitions.ts';
import type { ReadSet } from './read-set.ts';
import type { CheckpointRecord } from './checkpoints.ts';
import type { SigningKeyRecord } from './signing-keys.ts';

/** Who and why, fixed by the shell. */
export interface CommandOrigin {
  readonly actor?: string;
  readonly reason?: string;
  readonly request?: RequestIdentity;
}

/** What a request is known by again: keyed digests, which tell nothing of what they are made of. */
export interface RequestIdentity {
  /** Of the caller's request id: 16 bytes. */
  readonly id: Uint8Array;
  /** Of all that the command is to do: 32 bytes. */
  readonly content: Uint8Array;
}

/** Everything that can change the state. Time and randomness are part of it, so `decide` needs neither. */
export type Command =
  | { readonly kind: 'createTenant'; readonly name: string; readonly origin: CommandOrigin }
  | {
      readonly kind: 'statement';
      readonly tenant: TenantId;
      readonly statement: ParsedStatement;
      readonly parameters: readonly unknown[];
      /** Large values that it makes, durable by now. */
      readonly blobs?: readonly StagedBlob[];
      /** The parameters as they were bound when it was decided first. */
      readonly bound?: BoundParameters;
      readonly origin: CommandOrigin;
    }
  | {
      readonly kind: 'append';
      readonly tenant: TenantId;
      readonly stream: string;
      /** JSON texts, UTF-8. */
      readonly events: readonly Uint8Array[];
      readonly expectedVersion: number | undefined;
      readonly origin: CommandOrigin;
    }
  | {
      readonly kind: 'transaction';
      readonly tenant: TenantId;
      readonly snapshot: Position;
      readonly reads: ReadSet;
      readonly changes: readonly RowChange[];
      /** The normalised statements, in order. */
      readonly statements: readonly string[];
      /** What its caller gets, as text; kept with the request id. */
      readonly value?: string;
      readonly origin: CommandOrigin;
    }
  /** Changes nothing: asks for the answer that a request was given. */
  | { readonly kind: 'findRequest'; readonly tenant: TenantId; readonly origin: CommandOrigin }
  | {
      readonly kind: 'keyringChanged';
      readonly generation: number;
      readonly digest: Uint8Array;
      readonly origin: CommandOrigin;
    }
  | {
      readonly kind: 'segmentDigest';
      /** First position of the finished segment. */
      readonly segment: Position;
      readonly digest: Uint8Array;
      readonly lengthBytes: number;
      readonly origin: CommandOrigin;
    }
  | {
      /** Says what the log and the state were. */
      readonly kind: 'checkpoint';
      readonly record: CheckpointRecord;
      readonly origin: CommandOrigin;
    }
  | {
      /** Sets a setting of the whole database. */
      readonly kind: 'changeSetting';
      readonly name: string;
      /** What JSON can say; null or undefined: as if it had never been set. */
      readonly value: unknown;
      readonly origin: CommandOrigin;
    }
  | {
      /** Another key signs from now on. */
      readonly kind: 'changeSigningKey';
      readonly record: SigningKeyRecord;
      readonly origin: CommandOrigin;
    }
  | {
      /** Enters rows from a key on into an index being built. */
      readonly kind: 'buildIndex';
      readonly tenant: TenantId;
      readonly table: ObjectId;
      readonly index: ObjectId;
      readonly from: StoreKey | undefined;
      readonly origin: CommandOrigin;
    }
  | {
      /** Gives up an index being built. */
      readonly kind: 'abandonIndex';
      readonly tenant: TenantId;
      readonly table: ObjectId;
      readonly index: ObjectId;
      readonly origin: CommandOrigin;
    }
  | {
      /** Says, before anything is written, what pages of subject keys will hold. */
      readonly kind: 'subjectPagesChanging';
      readonly tenant: TenantId;
      /** How many new subjects get keys. */
      readonly create: number;
      /** Subjects whose keys are destroyed. */
      readonly erase: readonly number[];
      /** Whether all other pages of the tenant are written anew too, under the newest of its secrets. */
      readonly renew: boolean;
      readonly origin: CommandOrigin;
    }
  | {
      /** Says that pages are on the disk as the log said they would be. */
      readonly kind: 'subjectPagesWritten';
      readonly pages: readonly { readonly owner: TenantId; readonly page: number }[];
      readonly origin: CommandOrigin;
    };

export interface Outcome {
  /** Indexes that a definition leaves to be built. */
  readonly building?: readonly BuildPlace[];
  /** Where the next step of building an index begins. */
  readonly next?: StoreKey;
  readonly rowCount: number;
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly (readonly Value[])[];
  /** The tenant made by createTenant. */
  readonly tenant?: TenantId;
  /** The number of the first subject that was given a key. */
  readonly firstSubject?: number;
  /** The stream's version after an append. */
  readonly version?: number;
  /** What a transaction with a request id gave its caller, as text. */
  readonly value?: string;
  /** The answer of an earlier command with the same request id. */
  readonly repeated?: true;
}

export type Decision =
  | {
      readonly kind: 'accepted';
      readonly position: Position;
      readonly events: readonly LogEvent[];
      readonly outcome: Outcome;
    }
  /** Done before, under the same request id. */
  | { readonly kind: 'repeated'; readonly position: Position; readonly outcome: Outcome }
  /** Nothing to change: an UPDATE that matches no row, a transaction without writes. */
  | { readonly kind: 'unchanged'; readonly outcome: Outcome }
  /** It makes values too large for rows: to be decided again when they are durable. */
  | {
      readonly kind: 'wanting';
      readonly values: readonly (string | Uint8Array)[];
      readonly bound: BoundParameters;
    }
  | { readonly kind: 'rejected'; readonly error: VerityError };

export interface DecisionContext {
  /** The command's time, from KernelState.timeAt. */
  readonly time: TimestampMicros;
}
