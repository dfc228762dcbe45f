/** What a receipt that holds shows. Everything here can be written as JSON. */
import type { ReceiptCheck } from './checks.ts';
import type { TimeStamp } from './options.ts';
import type { ReceiptKind } from './receipt-text.ts';
import type { ShownValue } from './shown-value.ts';
import type { FollowedHandOver } from './trust.ts';

/** A row, or its key: column name → value. Columns that are withheld are not in it. */
export type ShownRow = { readonly [column: string]: ShownValue };

export interface ReceiptFacts {
  readonly kind: ReceiptKind;
  /** The log's name. */
  readonly origin: string;
  readonly checkpoint: CheckpointFacts;
  readonly tenant: TenantFacts;
  /** The claimed events by command, oldest first. */
  readonly commands: readonly CommandFacts[];
  /** Leaves between the first and the last claimed one that are not opened: others' events, or ones left out. */
  readonly leavesBetween: number;
  /** For kind row. */
  readonly history?: HistoryFacts;
  /** For kinds row and state. */
  readonly state?: readonly StateRowFacts[];
}

export interface CheckpointFacts {
  /** Leaves of the log. */
  readonly size: number;
  /** Root of the tree, hex. */
  readonly root: string;
  /** When the checkpoint was taken, by the database's clock: ISO 8601 in UTC. */
  readonly time: string;
  /** The newest position that it covers. */
  readonly position: number;
  /** Hex; absent where no state was taken. */
  readonly stateHash?: string;
  readonly statePosition?: number;
  /** Verifier keys of the log that have signed. */
  readonly signedBy: readonly string[];
  /** Those that made a key believed that was not given. */
  readonly handOvers: readonly FollowedHandOver[];
  readonly cosignatures: readonly { readonly witness: string; readonly time: string }[];
  readonly timeStamps: readonly TimeStamp[];
  /** Time stamps that nobody checked. */
  readonly timeStampsUnchecked: number;
}

export interface TenantFacts {
  readonly id: number;
  /** Absent where the receipt does not open the event that created it. */
  readonly name?: string;
}

export interface CommandFacts {
  readonly position: number;
  /** Absent, as the four behind it, where the first event of the command is not opened. */
  readonly time?: string;
  readonly actor?: string;
  readonly reason?: string;
  readonly statement?: string;
  /** The command's events, if all are opened. */
  readonly eventCount?: number;
  readonly events: readonly EventFacts[];
}

export type EventFacts = RowFacts | OtherFacts;

export interface RowFacts {
  readonly leaf: number;
  readonly change: 'insert' | 'update' | 'delete';
  readonly table: string;
  /** The table's id within the tenant. */
  readonly object: number;
  /** Absent where withheld. */
  readonly key?: ShownRow;
  /** The row as it was before; absent for the first event of a key, after a deletion, and where it is not opened. */
  readonly before?: ShownRow;
  /** The row as it was written; absent when deleted. */
  readonly after?: ShownRow;
  /** Columns of the written row whose values are withheld. */
  readonly withheld: readonly string[];
}

export interface OtherFacts {
  readonly leaf: number;
  readonly change: 'define' | 'append' | 'other';
  /** The type of the event. */
  readonly event: string;
  /** Of a definition: the table's. Of an append: the stream's. */
  readonly name?: string;
  /** Of an append. */
  readonly version?: number;
  /** Of an append: JSON text. */
  readonly data?: string;
}

export interface HistoryFacts {
  readonly table: string;
  readonly key: ShownRow;
  readonly changes: number;
  /** The position up to which it is the whole history. */
  readonly position: number;
  /** False after a deletion: that nothing was written and deleted again behind it is not proved. */
  readonly endProved: boolean;
}

export interface StateRowFacts {
  /** By the definition that the receipt shows, which may not be the newest: `object` says which table it is. */
  readonly table: string;
  /** The table's number. */
  readonly object: number;
  readonly key: ShownRow;
  /** The position of the state. */
  readonly position: number;
  /** Absent: there is no row of this key. */
  readonly row?: ShownRow;
}

/** What verifyReceipt answers. */
export type ReceiptResult =
  | { readonly ok: true; readonly receipt: ReceiptFacts }
  | {
      readonly ok: false;
      /** The first check that does not hold. */
      readonly check: ReceiptCheck;
      /** What is wrong: a sentence. */
      readonly message: string;
    };
