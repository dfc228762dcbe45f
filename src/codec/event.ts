import {
  type LeafIndex,
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  type TimestampMicros,
  utf8Encode,
} from '../base/index.ts';
import {
  type BlobReference,
  decodeBlobReferences,
  encodeBlobReferences,
} from './blob-reference.ts';
import { DecodeError, Reader } from './reader.ts';
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

const typeCodes = {
  tenantCreated: 1,
  tableDefined: 2,
  rowInserted: 3,
  rowUpdated: 4,
  rowDeleted: 5,
  streamAppended: 6,
  keyringChanged: 7,
  segmentDigest: 8,
  subjectPage: 9,
  requestNoted: 10,
  indexFilled: 11,
} as const;
const typesByCode = new Map(
  Object.entries(typeCodes).map(([type, code]) => [code, type as LogEvent['type']]),
);

const tag = {
  command: 1,
  object: 2,
  schemaVersion: 3,
  key: 4,
  row: 5,
  previousLeaf: 6,
  name: 7,
  schema: 8,
  version: 9,
  data: 10,
  generation: 11,
  digest: 12,
  created: 13,
  segment: 14,
  lengthBytes: 15,
  owner: 16,
  page: 17,
  count: 18,
  erased: 19,
  written: 20,
  index: 21,
  from: 22,
  to: 23,
  blobs: 24,
} as const;

const present = { actor: 1, reason: 2, request: 4, statement: 8, receipt: 16 } as const;
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
  }
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

function decodeCommand(bytes: Uint8Array): CommandMetadata {
  const reader = new Reader(bytes);
  const time = reader.varint() as TimestampMicros;
  const eventCount = reader.varint();
  const flags = reader.u8();
  return {
    time,
    eventCount,
    ...((flags & present.actor) !== 0 && { actor: reader.text() }),
    ...((flags & present.reason) !== 0 && { reason: reader.text() }),
    ...((flags & present.request) !== 0 && { request: reader.bytes() }),
    ...((flags & present.statement) !== 0 && { statement: reader.text() }),
    ...((flags & present.receipt) !== 0 && { receipt: reader.bytes() }),
  };
}

interface Fields {
  command?: CommandMetadata;
  object?: number;
  schemaVersion?: number;
  key?: StoreKey;
  row?: Uint8Array;
  previousLeaf?: number;
  name?: string;
  schema?: Uint8Array;
  version?: number;
  data?: Uint8Array;
  generation?: number;
  digest?: Uint8Array;
  created?: number;
  segment?: number;
  lengthBytes?: number;
  owner?: number;
  page?: number;
  count?: number;
  erased?: Uint8Array;
  written?: number;
  index?: number;
  from?: StoreKey;
  to?: StoreKey;
  blobs?: readonly BlobReference[];
}

/** Decodes one event; byte fields are views into `bytes`. Throws DecodeError. */
export function decodeEvent(bytes: Uint8Array): LogEvent {
  const reader = new Reader(bytes);
  const type = typesByCode.get(reader.u8() as 1);
  if (type === undefined) throw new DecodeError('an event has an unknown type', 0);
  const position = reader.varint() as Position;
  const tenant = reader.varint() as TenantId;
  const fields = decodeFields(reader);
  const place: EventPlace =
    fields.command === undefined
      ? { position, tenant }
      : { position, tenant, command: fields.command };
  return eventOf(type, place, fields);
}

function decodeFields(reader: Reader): Fields {
  const fields: Fields = {};
  let last = 0;
  while (reader.remaining > 0) {
    const at = reader.offset;
    const fieldTag = reader.u8();
    if (fieldTag <= last) throw new DecodeError('event fields are out of order', at);
    last = fieldTag;
    decodeField(fields, fieldTag, reader);
  }
  return fields;
}

function decodeField(fields: Fields, fieldTag: number, reader: Reader): void {
  switch (fieldTag) {
    case tag.command:
      fields.command = decodeCommand(reader.bytes());
      break;
    case tag.object:
      fields.object = decodeNumber(reader);
      break;
    case tag.schemaVersion:
      fields.schemaVersion = decodeNumber(reader);
      break;
    case tag.key:
      fields.key = reader.binary() as StoreKey;
      break;
    case tag.row:
      fields.row = reader.bytes();
      break;
    case tag.previousLeaf:
      fields.previousLeaf = decodeNumber(reader);
      break;
    case tag.name:
      fields.name = reader.text();
      break;
    case tag.schema:
      fields.schema = reader.bytes();
      break;
    case tag.version:
      fields.version = decodeNumber(reader);
      break;
    case tag.data:
      fields.data = reader.bytes();
      break;
    case tag.generation:
      fields.generation = decodeNumber(reader);
      break;
    case tag.digest:
      fields.digest = reader.bytes();
      break;
    case tag.created:
      fields.created = decodeNumber(reader);
      break;
    case tag.segment:
      fields.segment = decodeNumber(reader);
      break;
    case tag.lengthBytes:
      fields.lengthBytes = decodeNumber(reader);
      break;
    default:
      decodeSubjectField(fields, fieldTag, reader);
  }
}

function decodeSubjectField(fields: Fields, fieldTag: number, reader: Reader): void {
  switch (fieldTag) {
    case tag.owner:
      fields.owner = decodeNumber(reader);
      break;
    case tag.page:
      fields.page = decodeNumber(reader);
      break;
    case tag.count:
      fields.count = decodeNumber(reader);
      break;
    case tag.erased:
      fields.erased = reader.bytes();
      break;
    case tag.written:
      fields.written = decodeNumber(reader);
      break;
    case tag.index:
      fields.index = decodeNumber(reader);
      break;
    case tag.from:
      fields.from = reader.binary() as StoreKey;
      break;
    case tag.to:
      fields.to = reader.binary() as StoreKey;
      break;
    case tag.blobs:
      fields.blobs = decodeBlobReferences(reader.bytes());
      break;
    default:
      reader.bytes();
  }
}

function decodeNumber(reader: Reader): number {
  const inner = new Reader(reader.bytes());
  const value = inner.varint();
  inner.end();
  return value;
}

function eventOf(type: LogEvent['type'], place: EventPlace, fields: Fields): LogEvent {
  switch (type) {
    case 'rowInserted':
    case 'rowUpdated':
    case 'rowDeleted':
      return {
        ...place,
        type,
        object: required(fields.object, 'object') as ObjectId,
        schemaVersion: required(fields.schemaVersion, 'schema version'),
        key: required(fields.key, 'key'),
        ...(type !== 'rowDeleted' && { row: required(fields.row, 'row') }),
        ...optionalOfRow(fields),
      };
    case 'tenantCreated':
      return {
        ...place,
        type,
        created: required(fields.created, 'tenant') as TenantId,
        name: required(fields.name, 'name'),
      };
    case 'tableDefined':
      return {
        ...place,
        type,
        object: required(fields.object, 'object') as ObjectId,
        schema: required(fields.schema, 'schema'),
      };
    case 'streamAppended':
      return {
        ...place,
        type,
        name: required(fields.name, 'name'),
        version: required(fields.version, 'version'),
        data: required(fields.data, 'data'),
      };
    case 'keyringChanged':
      return {
        ...place,
        type,
        generation: required(fields.generation, 'generation'),
        digest: required(fields.digest, 'digest'),
      };
    case 'segmentDigest':
      return {
        ...place,
        type,
        segment: required(fields.segment, 'segment') as Position,
        digest: required(fields.digest, 'digest'),
        lengthBytes: required(fields.lengthBytes, 'length'),
      };
    case 'requestNoted':
      return { ...place, type };
    case 'indexFilled':
      return indexFilledOf(place, fields);
    case 'subjectPage':
      return {
        ...place,
        type,
        owner: required(fields.owner, 'owner') as TenantId,
        page: required(fields.page, 'page'),
        generation: required(fields.generation, 'generation'),
        count: required(fields.count, 'count'),
        erased: required(fields.erased, 'erased slots'),
        written: required(fields.written, 'state') === 1,
      };
  }
}

function optionalOfRow({ previousLeaf, blobs }: Fields): Pick<RowEvent, 'previousLeaf' | 'blobs'> {
  return {
    ...(previousLeaf !== undefined && { previousLeaf: previousLeaf as LeafIndex }),
    ...(blobs !== undefined && { blobs }),
  };
}

function indexFilledOf(place: EventPlace, { object, index, from, to }: Fields): IndexFilledEvent {
  return {
    ...place,
    type: 'indexFilled',
    object: required(object, 'object') as ObjectId,
    index: required(index, 'index') as ObjectId,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new DecodeError(`an event lacks its ${what}`, 0);
  return value;
}
