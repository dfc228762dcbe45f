/** Events from their bytes; event.ts says what they are. */
import type {
  ObjectId,
  LeafIndex,
  Position,
  StoreKey,
  TenantId,
  TimestampMicros,
} from '../base/index.ts';
import { type BlobReference, decodeBlobReferences } from './blob-reference.ts';
import { present, tag, typeCodes } from './event-tags.ts';
import type {
  CheckpointEvent,
  CommandMetadata,
  EventPlace,
  IndexFilledEvent,
  LogEvent,
  RowEvent,
  SigningKeyEvent,
  SubjectPageEvent,
} from './event.ts';
import { DecodeError, Reader } from './reader.ts';

const typesByCode = new Map(
  Object.entries(typeCodes).map(([type, code]) => [code, type as LogEvent['type']]),
);

function decodeCommand(bytes: Uint8Array): CommandMetadata {
  const reader = new Reader(bytes);
  const time = reader.varint() as TimestampMicros;
  const eventCount = reader.varint();
  const flags = reader.u8();
  const command: { -readonly [Name in keyof CommandMetadata]: CommandMetadata[Name] } = {
    time,
    eventCount,
  };
  if ((flags & present.actor) !== 0) command.actor = reader.text();
  if ((flags & present.reason) !== 0) command.reason = reader.text();
  if ((flags & present.request) !== 0) command.request = reader.bytes();
  if ((flags & present.statement) !== 0) command.statement = reader.text();
  if ((flags & present.receipt) !== 0) command.receipt = reader.bytes();
  return command;
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
  size?: number;
  root?: Uint8Array;
  covered?: number;
  chainHash?: Uint8Array;
  statePosition?: number;
  stateHash?: Uint8Array;
  keyNumber?: number;
  previousKey?: Uint8Array;
  publicKey?: Uint8Array;
  signature?: Uint8Array;
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
      decodeProofField(fields, fieldTag, reader);
  }
}

function decodeProofField(fields: Fields, fieldTag: number, reader: Reader): void {
  switch (fieldTag) {
    case tag.size:
      fields.size = decodeNumber(reader);
      break;
    case tag.root:
      fields.root = decodeBytes(reader, 32);
      break;
    case tag.covered:
      fields.covered = decodeNumber(reader);
      break;
    case tag.chainHash:
      fields.chainHash = decodeBytes(reader, 32);
      break;
    case tag.statePosition:
      fields.statePosition = decodeNumber(reader);
      break;
    case tag.stateHash:
      fields.stateHash = decodeBytes(reader, 32);
      break;
    case tag.keyNumber:
      fields.keyNumber = decodeNumber(reader);
      break;
    case tag.previousKey:
      fields.previousKey = decodeBytes(reader, 32);
      break;
    case tag.publicKey:
      fields.publicKey = decodeBytes(reader, 32);
      break;
    case tag.signature:
      fields.signature = decodeBytes(reader, 64);
      break;
    default:
      reader.bytes();
  }
}

function decodeBytes(reader: Reader, length: number): Uint8Array {
  const at = reader.offset;
  const bytes = reader.bytes();
  if (bytes.length !== length) throw new DecodeError(`a field has not ${length} bytes`, at);
  return bytes;
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
      return rowEventOf(type, place, fields);
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
    case 'checkpoint':
      return checkpointOf(place, fields);
    case 'settingChanged':
      return {
        ...place,
        type,
        name: required(fields.name, 'name'),
        data: required(fields.data, 'data'),
      };
    case 'signingKeyChanged':
      return signingKeyOf(place, fields);
    case 'subjectPage':
      return subjectPageOf(place, fields);
  }
}

/** Field by field: there is one for every row that was ever written, and spreading costs more than all the rest. */
function rowEventOf(type: RowEvent['type'], place: EventPlace, fields: Fields): RowEvent {
  const { command, position, tenant } = place;
  const event: { -readonly [Name in keyof RowEvent]: RowEvent[Name] } = {
    position,
    tenant,
    type,
    object: required(fields.object, 'object') as ObjectId,
    schemaVersion: required(fields.schemaVersion, 'schema version'),
    key: required(fields.key, 'key'),
  };
  if (command !== undefined) event.command = command;
  if (type !== 'rowDeleted') event.row = required(fields.row, 'row');
  if (fields.previousLeaf !== undefined) event.previousLeaf = fields.previousLeaf as LeafIndex;
  if (fields.blobs !== undefined) event.blobs = fields.blobs;
  return event;
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

function subjectPageOf(place: EventPlace, fields: Fields): SubjectPageEvent {
  return {
    ...place,
    type: 'subjectPage',
    owner: required(fields.owner, 'owner') as TenantId,
    page: required(fields.page, 'page'),
    generation: required(fields.generation, 'generation'),
    count: required(fields.count, 'count'),
    erased: required(fields.erased, 'erased slots'),
    written: required(fields.written, 'state') === 1,
  };
}

function checkpointOf(place: EventPlace, fields: Fields): CheckpointEvent {
  const { statePosition, stateHash } = fields;
  if ((statePosition === undefined) !== (stateHash === undefined))
    throw new DecodeError('a checkpoint names half of a state', 0);
  return {
    ...place,
    type: 'checkpoint',
    size: required(fields.size, 'size'),
    root: required(fields.root, 'root'),
    covered: required(fields.covered, 'position') as Position,
    chainHash: required(fields.chainHash, 'chain hash'),
    ...(statePosition !== undefined &&
      stateHash !== undefined && {
        state: { position: statePosition as Position, hash: stateHash },
      }),
    keyNumber: required(fields.keyNumber, 'key number'),
  };
}

function signingKeyOf(place: EventPlace, fields: Fields): SigningKeyEvent {
  return {
    ...place,
    type: 'signingKeyChanged',
    keyNumber: required(fields.keyNumber, 'key number'),
    previousKey: required(fields.previousKey, 'previous key'),
    publicKey: required(fields.publicKey, 'public key'),
    signature: required(fields.signature, 'signature'),
  };
}

function required<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new DecodeError(`an event lacks its ${what}`, 0);
  return value;
}
