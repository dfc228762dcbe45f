/** Events as they were opened, decoded: what of them is known, and nothing that was not opened. */
import type { StoreKey } from '../base/index.ts';
import {
  type CommandMetadata,
  decodeEvent,
  DecodeError,
  type LogEvent,
  type RowEvent,
} from '../codec/index.ts';
import { CheckFailure } from './checks.ts';
import { decodeFields } from './event-fields.ts';
import type { EventField, ReceiptEvent } from './receipt-text.ts';

export interface DecodedEvent {
  readonly leaf: number;
  readonly commitment: Uint8Array;
  readonly position: number;
  readonly tenant: number;
  /** On the first event of a command, and only there. */
  readonly command?: CommandMetadata;
  readonly body: RowBody | OtherBody;
}

export type OtherBody = Exclude<LogEvent, RowEvent>;

/** What is known of a row event. */
export interface RowBody {
  readonly type: RowEvent['type'];
  readonly object: number;
  readonly schemaVersion: number;
  /** Absent: withheld. */
  readonly key?: StoreKey;
  readonly previousLeaf?: number;
  /** Absent when deleted. */
  readonly row?: Uint8Array | FieldedRow;
}

/** A row whose values are opened or withheld one by one. */
export interface FieldedRow {
  /** For each group of columns its null bitmap and its values. */
  readonly fields: readonly EventField[];
}

export function isRow(body: DecodedEvent['body']): body is RowBody {
  return body.type === 'rowInserted' || body.type === 'rowUpdated' || body.type === 'rowDeleted';
}

/** Throws CheckFailure 'event'. */
export function decodeOpened(opened: ReceiptEvent, commitment: Uint8Array): DecodedEvent {
  try {
    const { leaf } = opened;
    if ('fields' in opened) return { leaf, commitment, ...decodeFields(opened.fields) };
    const event = decodeEvent(opened.event);
    const { position, tenant, command } = event;
    return {
      leaf,
      commitment,
      position,
      tenant,
      ...(command !== undefined && { command }),
      body: event,
    };
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw new CheckFailure(
      'event',
      `The event at leaf ${opened.leaf} cannot be read: ${error.message}.`,
    );
  }
}
