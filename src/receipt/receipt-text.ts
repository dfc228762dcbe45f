/**
 * Receipts as text, revision 1 (docs/format/receipt.md, Text): canonical JSON (RFC 8785) in both directions. Reading checks the form
 * only. Members are in ascending order of their names everywhere below, since that is the order in which they are written.
 */
import { utf8Length } from '../base/index.ts';
import { toBase64 } from '../proof/index.ts';
import { CanonicalReader } from './canonical-reader.ts';
import { check } from './checks.ts';
import { formatStateProof, readStateProof, type StateProof } from './state-proof.ts';

const receiptFormat = 'veritydb/receipt/v1';
export const receiptBytesMax = 64 << 20;
const saltBytes = 16;
const noteUnitsMax = 1 << 21;
const vkeyUnitsMax = 512;
const handOversMax = 1_000;
const timeStampsMax = 16;
const timeStampBytesMax = 1 << 18;
/** No more than fit into the text: each takes more than 32 characters. */
const eventsMax = receiptBytesMax / 32;
const fieldsMax = 4_096;
const stateProofsMax = 10_000;

const receiptKinds = ['position', 'range', 'row', 'state'] as const;
export type ReceiptKind = (typeof receiptKinds)[number];

/** An event of commitment kind 0: all of its bytes. */
export interface WholeEvent {
  readonly leaf: number;
  readonly event: Uint8Array;
  /** 16 bytes. */
  readonly salt: Uint8Array;
}

/** An event of commitment kind 1, field by field. */
export interface FieldedEvent {
  readonly leaf: number;
  readonly fields: readonly EventField[];
}

/** A field of an event: opened, or withheld and standing there as its commitment of 32 bytes. */
export type EventField =
  | { readonly bytes: Uint8Array; readonly salt: Uint8Array }
  | { readonly commitment: Uint8Array };

export type ReceiptEvent = WholeEvent | FieldedEvent;

/** A signing key handed over: `signature` is of the key `from` (docs/format/receipt.md, Hand-overs). */
export interface HandOver {
  readonly from: string;
  readonly to: string;
  /** 64 bytes. */
  readonly signature: Uint8Array;
}

export interface ReceiptCheckpoint {
  /** Oldest first. */
  readonly handOvers: readonly HandOver[];
  /** The signed note. */
  readonly note: string;
  /** The checkpoint record: the last leaf under the note. */
  readonly record: WholeEvent;
  /** RFC 3161 tokens, DER. */
  readonly timeStamps: readonly Uint8Array[];
}

/** What a receipt holds. Nothing of it is checked but its form. */
export interface Receipt {
  readonly kind: ReceiptKind;
  readonly checkpoint: ReceiptCheckpoint;
  /** Ascending by leaf, as `context`. */
  readonly events: readonly ReceiptEvent[];
  readonly context: readonly ReceiptEvent[];
  /** The hashes beside the opened leaves. */
  readonly proof: readonly Uint8Array[];
  /** There for kinds row and state, and for no other. */
  readonly state?: readonly StateProof[];
}

/** Reads a receipt's text. Throws CheckFailure 'format'. */
export function parseReceipt(text: string): Receipt {
  // In this order: the length in units is free, and bounds what counting bytes costs.
  check(
    'format',
    text.length <= receiptBytesMax && utf8Length(text) <= receiptBytesMax,
    'The receipt is larger than 64 MiB.',
  );
  const reader = new CanonicalReader(text);
  reader.take('{"checkpoint":');
  const checkpoint = readCheckpoint(reader);
  reader.take(',"context":');
  const context = readEvents(reader);
  reader.take(',"events":');
  const events = readEvents(reader);
  reader.take(`,"format":"${receiptFormat}","kind":`);
  const kind =
    receiptKinds.find((name) => reader.takeIf(`"${name}"`)) ??
    reader.fail('a kind of receipt is expected there');
  reader.take(',"proof":');
  const proof = reader.array(() => reader.base64(32), eventsMax);
  const state = hasState(kind) ? readState(reader) : undefined;
  reader.take('}');
  reader.end();
  return { kind, checkpoint, context, events, proof, ...(state !== undefined && { state }) };
}

function hasState(kind: ReceiptKind): boolean {
  return kind === 'row' || kind === 'state';
}

function readState(reader: CanonicalReader): StateProof[] {
  reader.take(',"state":');
  return reader.array(() => readStateProof(reader), stateProofsMax);
}

function readCheckpoint(reader: CanonicalReader): ReceiptCheckpoint {
  reader.take('{"handovers":');
  const handOvers = reader.array(() => readHandOver(reader), handOversMax);
  reader.take(',"note":');
  const note = reader.string(noteUnitsMax);
  reader.take(',"record":');
  const record = readEvent(reader);
  if (!('event' in record)) reader.fail('a record is an event of kind 0');
  reader.take(',"timestamps":');
  const timeStamps = reader.array(() => reader.base64({ max: timeStampBytesMax }), timeStampsMax);
  reader.take('}');
  return { handOvers, note, record, timeStamps };
}

function readHandOver(reader: CanonicalReader): HandOver {
  reader.take('{"from":');
  const from = reader.string(vkeyUnitsMax);
  reader.take(',"signature":');
  const signature = reader.base64(64);
  reader.take(',"to":');
  const to = reader.string(vkeyUnitsMax);
  reader.take('}');
  return { from, signature, to };
}

function readEvents(reader: CanonicalReader): ReceiptEvent[] {
  return reader.array(() => readEvent(reader), eventsMax);
}

function readEvent(reader: CanonicalReader): ReceiptEvent {
  if (reader.takeIf('{"event":')) {
    const event = reader.base64({ max: receiptBytesMax });
    const leaf = readLeaf(reader);
    reader.take(',"salt":');
    const salt = reader.base64(saltBytes);
    reader.take('}');
    return { event, leaf, salt };
  }
  reader.take('{"fields":');
  const fields = reader.array(() => readField(reader), fieldsMax);
  if (fields.length === 0) reader.fail('an event has at least one field');
  const leaf = readLeaf(reader);
  reader.take('}');
  return { fields, leaf };
}

function readLeaf(reader: CanonicalReader): number {
  reader.take(',"leaf":');
  return reader.number();
}

function readField(reader: CanonicalReader): EventField {
  if (reader.takeIf('{"bytes":')) {
    const bytes = reader.base64({ max: receiptBytesMax });
    reader.take(',"salt":');
    const salt = reader.base64(saltBytes);
    reader.take('}');
    return { bytes, salt };
  }
  reader.take('{"commitment":');
  const commitment = reader.base64(32);
  reader.take('}');
  return { commitment };
}

/** The one text of a receipt. */
export function formatReceipt(receipt: Receipt): string {
  const { kind, checkpoint, context, events, proof, state } = receipt;
  const parts = [
    `{"checkpoint":${formatCheckpoint(checkpoint)}`,
    `"context":${list(context, formatEvent)}`,
    `"events":${list(events, formatEvent)}`,
    `"format":"${receiptFormat}"`,
    `"kind":"${kind}"`,
    `"proof":${list(proof, base64)}`,
    ...(state === undefined ? [] : [`"state":${list(state, formatStateProof)}`]),
  ];
  return `${parts.join(',')}}`;
}

function formatCheckpoint({ handOvers, note, record, timeStamps }: ReceiptCheckpoint): string {
  const handed = list(
    handOvers,
    ({ from, signature, to }) =>
      `{"from":${JSON.stringify(from)},"signature":${base64(signature)},"to":${JSON.stringify(to)}}`,
  );
  return `{"handovers":${handed},"note":${JSON.stringify(note)},"record":${formatEvent(record)},"timestamps":${list(timeStamps, base64)}}`;
}

function formatEvent(opened: ReceiptEvent): string {
  if ('event' in opened)
    return `{"event":${base64(opened.event)},"leaf":${opened.leaf},"salt":${base64(opened.salt)}}`;
  return `{"fields":${list(opened.fields, formatField)},"leaf":${opened.leaf}}`;
}

function formatField(field: EventField): string {
  if ('commitment' in field) return `{"commitment":${base64(field.commitment)}}`;
  return `{"bytes":${base64(field.bytes)},"salt":${base64(field.salt)}}`;
}

function list<T>(items: readonly T[], format: (item: T) => string): string {
  return `[${items.map(format).join(',')}]`;
}

function base64(bytes: Uint8Array): string {
  return `"${toBase64(bytes)}"`;
}
