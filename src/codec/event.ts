import {
  type LeafIndex,
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  type TimestampMicros,
  utf8Encode,
} from '../base/index.ts';
import { type BlobReference, encodeBlobReferences } from './blob-reference.ts';
import type { EventCut } from './event-cut.ts';
import { present, tag, typeCodes } from './event-tags.ts';
import type { Writer } from './writer.ts';

/**
 * Events, format revision 1 (docs/format/log.md). An event is its type, position and tenant, then
 * fields of (tag, length, bytes) in ascending order of tag. Readers skip tags they do not know: those
 * bytes are still part of the event and of its commitment.
 */
export type LogEvent = EventPlace &
  (
    | { readonly type: 'tenantCreated'; readonly created: TenantId; readonly name: string }
    | {
        readonly type: 'tableDefined';
        readonly object: ObjectId;
        /** The TableSchema as JSON, UTF-8. */ readonly schema: Uint8Array;
      }
    | RowEvent
    | {
        readonly type: 'streamAppended';
        readonly name: string;
        /** From 1. */ readonly version: number;
        /** JSON text, UTF-8. */ readonly data: Uint8Array;
      }
    | { readonly type: 'keyringChanged'; readonly generation: number; readonly digest: Uint8Array }
    | SegmentDigestEvent
    /** A command with a request id that changed nothing. */
    | { readonly type: 'requestNoted' }
    | SubjectPageEvent
    | IndexFilledEvent
    | CheckpointEvent
    | SettingChangedEvent
    | SigningKeyEvent
  );

export interface EventPlace {
  readonly position: Position;
  readonly tenant: TenantId;
  /** On the first event of each command, and only there. */
  readonly command?: CommandMetadata;
}

export interface RowEvent extends EventPlace {
  readonly type: 'rowInserted' | 'rowUpdated' | 'rowDeleted';
  readonly object: ObjectId;
  readonly schemaVersion: number;
  readonly key: StoreKey;
  /** The encoded row (row.ts); absent when deleted. */
  readonly row?: Uint8Array;
  /** The leaf of the event that wrote or deleted this key before; absent the first time. */
  readonly previousLeaf?: LeafIndex;
  /** What the row's large values are kept as; absent if it has none. */
  readonly blobs?: readonly BlobReference[];
  /** Of an event that is to be logged: it is committed to field by field, cut so. No part of its bytes. */
  readonly cut?: EventCut;
}

/** A finished segment's file as it is on the disk; a later record of the same segment replaces it. */
export interface SegmentDigestEvent extends EventPlace {
  readonly type: 'segmentDigest';
  readonly segment: Position;
  /** SHA-256 of the whole file. */
  readonly digest: Uint8Array;
  readonly lengthBytes: number;
}

/** A page of subject keys: what it will hold, logged before it is written, and again when it is on the disk. */
export interface SubjectPageEvent extends EventPlace {
  readonly type: 'subjectPage';
  /** The tenant whose subjects these are; the event itself is the system tenant's. */
  readonly owner: TenantId;
  readonly page: number;
  readonly generation: number;
  /** Slots taken so far. */
  readonly count: number;
  /** A bit a slot. */
  readonly erased: Uint8Array;
  readonly written: boolean;
}

/** The rows of a table whose keys lie in a range were entered into one of its indexes. */
export interface IndexFilledEvent extends EventPlace {
  readonly type: 'indexFilled';
  readonly object: ObjectId;
  readonly index: ObjectId;
  /** The first key; absent: from the beginning. */
  readonly from?: StoreKey;
  /** The key behind the last one; absent: to the end. */
  readonly to?: StoreKey;
}

/** What the log and the state were: the last leaf under the note that signs it (system tenant). */
export interface CheckpointEvent extends EventPlace {
  readonly type: 'checkpoint';
  /** Leaves at the end of the frame at which it was taken; not more than the leaf of this event. */
  readonly size: number;
  /** Root of the tree of these leaves. */
  readonly root: Uint8Array;
  /** The newest position at the end of that frame. */
  readonly covered: Position;
  /** Chain hash of that frame. */
  readonly chainHash: Uint8Array;
  /** The state at a position not behind `covered`. */
  readonly state?: { readonly position: Position; readonly hash: Uint8Array };
  /** Number of the signing key. */
  readonly keyNumber: number;
}

/** A setting of the whole database, from now on (system tenant). */
export interface SettingChangedEvent extends EventPlace {
  readonly type: 'settingChanged';
  readonly name: string;
  /** JSON text, UTF-8. */
  readonly data: Uint8Array;
}

/** Another key signs from now on (system tenant). */
export interface SigningKeyEvent extends EventPlace {
  readonly type: 'signingKeyChanged';
  /** The number of the new key, one more than that of the key before it. */
  readonly keyNumber: number;
  /** Ed25519 public keys, of the key before it and its own: 32 bytes each. */
  readonly previousKey: Uint8Array;
  readonly publicKey: Uint8Array;
  /** Ed25519 signature by the key before it over the hand-over: 64 bytes. */
  readonly signature: Uint8Array;
}

/** Who, when, why and by what statement. Never a literal or a parameter. */
export interface CommandMetadata {
  readonly time: TimestampMicros;
  /** How many events the command has. */
  readonly eventCount: number;
  readonly actor?: string;
  readonly reason?: string;
  /** Keyed fingerprint of the request id: 16 bytes. */
  readonly request?: Uint8Array;
  /** With a request id: digest of the command's content (32 bytes) and the outcome as JSON. */
  readonly receipt?: Uint8Array;
  /** The normalised statement. */
  readonly statement?: string;
}

const statementsKeptMax = 1_000;
const statementLengthMax = 1_000;
/** The UTF-8 of statements: a program runs few different ones, each many times. */
const statementBytes = new Map<string, Uint8Array>();

/** Appends the encoded event to `writer`. */
export function encodeEvent(writer: Writer, event: LogEvent): void {
  writer.u8(typeCodes[event.type]);
  writer.varint(event.position);
  writer.varint(event.tenant);
  if (event.command !== undefined) {
    writer.u8(tag.command);
    encodeCommand(writer, event.command);
  }
  switch (event.type) {
    case 'rowInserted':
    case 'rowUpdated':
    case 'rowDeleted':
      encodeRowFields(writer, event);
      break;
    case 'tenantCreated':
      writer.u8(tag.name);
      writer.text(event.name);
      numberField(writer, tag.created, event.created);
      break;
    case 'tableDefined':
      numberField(writer, tag.object, event.object);
      writer.u8(tag.schema);
      writer.bytes(event.schema);
      break;
    case 'streamAppended':
      writer.u8(tag.name);
      writer.text(event.name);
      numberField(writer, tag.version, event.version);
      writer.u8(tag.data);
      writer.bytes(event.data);
      break;
    case 'keyringChanged':
      numberField(writer, tag.generation, event.generation);
      writer.u8(tag.digest);
      writer.bytes(event.digest);
      break;
    case 'segmentDigest':
      writer.u8(tag.digest);
      writer.bytes(event.digest);
      numberField(writer, tag.segment, event.segment);
      numberField(writer, tag.lengthBytes, event.lengthBytes);
      break;
    case 'requestNoted':
      break;
    case 'subjectPage':
      encodeSubjectPage(writer, event);
      break;
    case 'indexFilled':
      encodeIndexFilled(writer, event);
      break;
    case 'checkpoint':
      encodeCheckpoint(writer, event);
      break;
    case 'settingChanged':
      writer.u8(tag.name);
      writer.text(event.name);
      writer.u8(tag.data);
      writer.bytes(event.data);
      break;
    case 'signingKeyChanged':
      encodeSigningKey(writer, event);
      break;
  }
}

function encodeSigningKey(writer: Writer, event: SigningKeyEvent): void {
  numberField(writer, tag.keyNumber, event.keyNumber);
  writer.u8(tag.previousKey);
  writer.bytes(event.previousKey);
  writer.u8(tag.publicKey);
  writer.bytes(event.publicKey);
  writer.u8(tag.signature);
  writer.bytes(event.signature);
}

function encodeCheckpoint(writer: Writer, event: CheckpointEvent): void {
  numberField(writer, tag.size, event.size);
  writer.u8(tag.root);
  writer.bytes(event.root);
  numberField(writer, tag.covered, event.covered);
  writer.u8(tag.chainHash);
  writer.bytes(event.chainHash);
  if (event.state !== undefined) {
    numberField(writer, tag.statePosition, event.state.position);
    writer.u8(tag.stateHash);
    writer.bytes(event.state.hash);
  }
  numberField(writer, tag.keyNumber, event.keyNumber);
}

function encodeIndexFilled(writer: Writer, event: IndexFilledEvent): void {
  numberField(writer, tag.object, event.object);
  numberField(writer, tag.index, event.index);
  if (event.from !== undefined) {
    writer.u8(tag.from);
    writer.binary(event.from);
  }
  if (event.to !== undefined) {
    writer.u8(tag.to);
    writer.binary(event.to);
  }
}

function encodeSubjectPage(writer: Writer, event: SubjectPageEvent): void {
  numberField(writer, tag.generation, event.generation);
  numberField(writer, tag.owner, event.owner);
  numberField(writer, tag.page, event.page);
  numberField(writer, tag.count, event.count);
  writer.u8(tag.erased);
  writer.bytes(event.erased);
  numberField(writer, tag.written, event.written ? 1 : 0);
}

function encodeRowFields(writer: Writer, event: RowEvent): void {
  numberField(writer, tag.object, event.object);
  numberField(writer, tag.schemaVersion, event.schemaVersion);
  writer.u8(tag.key);
  writer.binary(event.key);
  if (event.row !== undefined) {
    writer.u8(tag.row);
    writer.bytes(event.row);
  }
  if (event.previousLeaf !== undefined) numberField(writer, tag.previousLeaf, event.previousLeaf);
  if (event.blobs !== undefined) {
    writer.u8(tag.blobs);
    writer.bytes(encodeBlobReferences(event.blobs));
  }
}

function numberField(writer: Writer, fieldTag: number, value: number): void {
  writer.u8(fieldTag);
  if (value < 0x80) {
    writer.u8(1);
    writer.u8(value);
    return;
  }
  let length = 1;
  for (let rest = value; rest > 0x7f; rest = Math.floor(rest / 0x80)) length += 1;
  writer.u8(length);
  writer.varint(value);
}

function encodeCommand(writer: Writer, command: CommandMetadata): void {
  const start = writer.beginBytes(1);
  writer.varint(command.time);
  writer.varint(command.eventCount);
  const { actor, reason, request, statement, receipt } = command;
  writer.u8(
    (actor === undefined ? 0 : present.actor) |
      (reason === undefined ? 0 : present.reason) |
      (request === undefined ? 0 : present.request) |
      (statement === undefined ? 0 : present.statement) |
      (receipt === undefined ? 0 : present.receipt),
  );
  if (actor !== undefined) writer.text(actor);
  if (reason !== undefined) writer.text(reason);
  if (request !== undefined) writer.bytes(request);
  if (statement !== undefined) writer.bytes(bytesOfStatement(statement));
  if (receipt !== undefined) writer.bytes(receipt);
  writer.endBytes(start, 1);
}

function bytesOfStatement(statement: string): Uint8Array {
  let bytes = statementBytes.get(statement);
  if (bytes !== undefined) return bytes;
  bytes = utf8Encode(statement);
  if (statement.length <= statementLengthMax) {
    if (statementBytes.size >= statementsKeptMax) statementBytes.clear();
    statementBytes.set(statement, bytes);
  }
  return bytes;
}
