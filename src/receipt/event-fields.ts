/** The fields of an event of commitment kind 1 (docs/format/events.md, Fields): row events only, cut where a column may be withheld. */
import { concatBytes, type StoreKey, type TimestampMicros } from '../base/index.ts';
import { type CommandMetadata, decodeEvent, DecodeError, Reader } from '../codec/index.ts';
import type { DecodedEvent, FieldedRow, RowBody } from './decoded-event.ts';
import type { EventField } from './receipt-text.ts';

const tags = { command: 1, key: 4, row: 5 } as const;
const flags = { actor: 1, reason: 2, request: 4, statement: 8, answer: 16 } as const;
const rowTypes: Readonly<Record<number, RowBody['type'] | undefined>> = {
  3: 'rowInserted',
  4: 'rowUpdated',
  5: 'rowDeleted',
};

type Known = Pick<DecodedEvent, 'position' | 'tenant' | 'command' | 'body'>;

/** What is known of a row event from its fields. Throws DecodeError. */
export function decodeFields(fields: readonly EventField[]): Known {
  const left = [...fields];
  const next = (): EventField => left.shift() ?? fail('an event has too few fields');
  const head = new Reader(bytesOf(next()));
  const type = rowTypes[head.u8()] ?? fail('an event with fields is not of a row');
  const position = head.varint();
  const tenant = head.varint();
  const command = readCommand(head, next);
  const table = bytesOf(next());
  const key = openedKey(next());
  const blobs = left.pop() ?? fail('an event has too few fields');
  const previous = bytesOf(left.pop() ?? fail('an event has too few fields'));
  const row = type === 'rowDeleted' ? undefined : readRow(left);
  if (type === 'rowDeleted' && left.length > 0) fail('a deletion has fields of a row');
  const named = readNamed([table, key ?? emptyKey, previous, openedOrNone(blobs)]);
  const body: RowBody = {
    type,
    object: named.object,
    schemaVersion: named.schemaVersion,
    ...(key !== undefined && { key: named.key }),
    ...(named.previousLeaf !== undefined && { previousLeaf: named.previousLeaf }),
    ...(row !== undefined && { row }),
  };
  return { position, tenant, ...(command !== undefined && { command }), body };
}

/** Throws DecodeError where it is withheld. */
function bytesOf(field: EventField): Uint8Array {
  return 'bytes' in field ? field.bytes : fail('a field that is never withheld is');
}

function openedOrNone(field: EventField): Uint8Array {
  return 'bytes' in field ? field.bytes : nothing;
}
const nothing = new Uint8Array();

/** The command as it stands in the head, or in the three fields behind it where it has an answer. */
function readCommand(head: Reader, next: () => EventField): CommandMetadata | undefined {
  if (head.remaining === 0) return undefined;
  if (head.u8() !== tags.command) fail('a head has fields of another kind');
  if (head.remaining > 0) {
    const whole = new Reader(head.bytes());
    head.end();
    const { command, hasAnswer } = readCommandParts(whole);
    return hasAnswer ? fail('an answer is not in fields of its own') : command;
  }
  const length = next();
  const bytes = bytesOf(next());
  const answer = next();
  const { command, hasAnswer } = readCommandParts(new Reader(bytes));
  if (!hasAnswer) fail('fields of an answer are there without one');
  if ('bytes' in length !== 'bytes' in answer)
    fail('the length of a command is not withheld with its answer');
  if (!('bytes' in length) || !('bytes' in answer)) return command;
  const sum = new Reader(length.bytes);
  if (sum.varint() !== bytes.length + answer.bytes.length) fail('a command has not its length');
  sum.end();
  const receipt = new Reader(answer.bytes);
  const withAnswer = { ...command, receipt: receipt.bytes() };
  receipt.end();
  return withAnswer;
}

function readCommandParts(reader: Reader): {
  readonly command: CommandMetadata;
  readonly hasAnswer: boolean;
} {
  const time = reader.varint() as TimestampMicros;
  const eventCount = reader.varint();
  const present = reader.u8();
  const command: CommandMetadata = {
    time,
    eventCount,
    ...((present & flags.actor) !== 0 && { actor: reader.text() }),
    ...((present & flags.reason) !== 0 && { reason: reader.text() }),
    ...((present & flags.request) !== 0 && { request: reader.bytes() }),
    ...((present & flags.statement) !== 0 && { statement: reader.text() }),
  };
  reader.end();
  return { command, hasAnswer: (present & flags.answer) !== 0 };
}

/** The key field's bytes, or undefined where it is withheld. */
function openedKey(field: EventField): Uint8Array | undefined {
  if (!('bytes' in field)) return undefined;
  const reader = new Reader(field.bytes);
  if (reader.u8() !== tags.key) fail('a key has not its tag');
  reader.bytes();
  reader.end();
  return field.bytes;
}

/** Object, schema version, key, previous leaf. */
function readNamed(parts: readonly Uint8Array[]): {
  readonly object: number;
  readonly schemaVersion: number;
  readonly key: StoreKey;
  readonly previousLeaf?: number;
} {
  // As a deletion: it has what every row event has, and no more.
  const event = decodeEvent(concatBytes(deletion, ...parts));
  if (event.type !== 'rowDeleted' || event.command !== undefined)
    return fail('a field holds what belongs to another');
  return event;
}
const deletion = Uint8Array.of(5, 0, 0);
const emptyKey = Uint8Array.of(tags.key, 0);

/** The row's length and behind it bitmaps and values; the length is withheld exactly where a value is. */
function readRow([length, ...fields]: readonly EventField[]): FieldedRow {
  if (length === undefined) return fail('a row has no fields');
  const isWhole = fields.every((field) => 'bytes' in field);
  if ('bytes' in length !== isWhole) fail('the length of a row is not withheld with its values');
  if (!('bytes' in length)) return { fields };
  const reader = new Reader(length.bytes);
  if (reader.u8() !== tags.row) fail('a row has not its tag');
  const sum = fields.reduce((total, field) => total + bytesOf(field).length, 0);
  if (reader.varint() !== sum) fail('a row has not its length');
  reader.end();
  return { fields };
}

function fail(what: string): never {
  throw new DecodeError(what, 0);
}
