import type { Position, TenantId, TimestampMicros, Value, VerityError } from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import type { ParsedStatement, ResultColumn, RowChange } from '../sql/index.ts';
import type { ReadSet } from './read-set.ts';

/** Who and why, fixed by the shell. */
export interface CommandOrigin {
  readonly actor?: string;
  readonly reason?: string;
  /** Keyed fingerprint of the request id: 16 bytes. */
  readonly request?: Uint8Array;
}

/** Everything that can change the state. Time and randomness are part of it, so `decide` needs neither. */
export type Command =
  | { readonly kind: 'createTenant'; readonly name: string; readonly origin: CommandOrigin }
  | {
      readonly kind: 'statement';
      readonly tenant: TenantId;
      readonly statement: ParsedStatement;
      readonly parameters: readonly unknown[];
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
      readonly origin: CommandOrigin;
    }
  | {
      readonly kind: 'keyringChanged';
      readonly generation: number;
      readonly digest: Uint8Array;
      readonly origin: CommandOrigin;
    };

export interface Outcome {
  readonly rowCount: number;
  readonly columns: readonly ResultColumn[];
  readonly rows: readonly (readonly Value[])[];
  /** The tenant made by createTenant. */
  readonly tenant?: TenantId;
  /** The stream's version after an append. */
  readonly version?: number;
}

export type Decision =
  | {
      readonly kind: 'accepted';
      readonly position: Position;
      readonly events: readonly LogEvent[];
      readonly outcome: Outcome;
    }
  /** Nothing to change: an UPDATE that matches no row, a transaction without writes. */
  | { readonly kind: 'unchanged'; readonly outcome: Outcome }
  | { readonly kind: 'rejected'; readonly error: VerityError };

export interface DecisionContext {
  /** The command's time, from KernelState.timeAt. */
  readonly time: TimestampMicros;
}
