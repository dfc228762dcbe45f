/** Commands with a request id: what the first one answered is what every repetition of it is answered. */
import {
  limits,
  type LeafIndex,
  type Position,
  type TenantId,
  type TimestampMicros,
  treeOf,
  utf8Decode,
  utf8Encode,
  VerityError,
} from '../base/index.ts';
import {
  type CommandMetadata,
  encodeKey,
  literalOf,
  type LiteralValue,
  Reader,
  valueOfLiteral,
  Writer,
} from '../codec/index.ts';
import type { ResultColumn } from '../sql/index.ts';
import type { ReadView, StoreChange } from '../store/index.ts';
import type { CommandOrigin, Outcome, RequestIdentity } from './command.ts';
import type { BuildPlace } from './definitions.ts';
import { requestsObject } from './objects.ts';

const digestBytes = 32;
const keyTypes = [{ name: 'text' }, { name: 'bytea' }] as const;

/** The first answer to a request. */
export interface AnsweredRequest {
  readonly position: Position;
  readonly outcome: Outcome;
}

/**
 * What the request of `origin` was answered when it was made first; undefined if it never was. Throws
 * REQUEST_ID_REUSED if that request had other content, REQUEST_EXPIRED if it is older than the window.
 */
export function answeredRequest(
  view: ReadView,
  tenant: TenantId,
  origin: CommandOrigin,
  now: { readonly time: TimestampMicros; readonly position: Position },
): AnsweredRequest | undefined {
  const { request, actor } = origin;
  if (request === undefined) return undefined;
  const entry = view.get(treeOf(tenant, requestsObject), requestKey(actor, request.id));
  if (entry === undefined) return undefined;
  const reader = new Reader(entry.row);
  const time = reader.varint();
  // Keyed digests that the caller cannot choose: how long the comparison takes tells nothing.
  if (!sameBytes(reader.raw(digestBytes), request.content)) {
    throw new VerityError(
      'REQUEST_ID_REUSED',
      'The request id was used before for a command with other content. Give each command its own.',
    );
  }
  const expired =
    now.time - time > limits.requestWindowMs * 1_000 ||
    now.position - entry.from > limits.requestWindowPositions;
  if (expired) {
    throw new VerityError(
      'REQUEST_EXPIRED',
      `The request was done at position ${entry.from}, too long ago for its result to be repeated. Read what it changed instead.`,
      { details: { position: entry.from } },
    );
  }
  return { position: entry.from, outcome: decodeOutcome(reader.raw(reader.remaining)) };
}

/** What the log keeps of a request beside its id: the digest of its content and the outcome. Throws COMMAND_TOO_LARGE. */
export function receiptOf(request: RequestIdentity, outcome: Outcome): Uint8Array {
  const encoded = encodeOutcome(outcome);
  if (encoded.length > limits.valueBytesMax) {
    throw new VerityError(
      'COMMAND_TOO_LARGE',
      `The result of a command with a request id is kept and takes ${encoded.length} bytes; the limit is ${limits.valueBytesMax}. Return fewer rows.`,
    );
  }
  const writer = new Writer(digestBytes + encoded.length);
  writer.raw(request.content);
  writer.raw(encoded);
  return writer.finish();
}

/** The change by which a command's request is remembered; undefined if it has none, or one of before receipts. */
export function requestChange(
  tenant: TenantId,
  command: CommandMetadata,
  leaf: LeafIndex,
): StoreChange | undefined {
  const { request, receipt, actor, time } = command;
  if (request === undefined || receipt === undefined) return undefined;
  const writer = new Writer(receipt.length + 8);
  writer.varint(time);
  writer.raw(receipt);
  return {
    tree: treeOf(tenant, requestsObject),
    key: requestKey(actor, request),
    row: writer.finish(),
    leaf,
  };
}

const requestKey = (actor: string | undefined, id: Uint8Array): ReturnType<typeof encodeKey> =>
  encodeKey(keyTypes, [actor ?? null, id]);

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  let difference = left.length ^ right.length;
  for (let index = 0; index < left.length; index++)
    difference |= (left[index] as number) ^ (right[index] ?? 0);
  return difference === 0;
}

interface StoredOutcome {
  readonly rowCount: number;
  readonly tenant?: number;
  readonly version?: number;
  readonly value?: string;
  readonly building?: readonly BuildPlace[];
  readonly columns?: readonly ResultColumn[];
  readonly rows?: readonly (readonly LiteralValue[])[];
}

function encodeOutcome(outcome: Outcome): Uint8Array {
  const { rowCount, columns, rows, tenant, version, value, building } = outcome;
  const stored: StoredOutcome = {
    rowCount,
    ...(tenant !== undefined && { tenant }),
    ...(version !== undefined && { version }),
    ...(value !== undefined && { value }),
    ...(building !== undefined && { building }),
    ...(columns.length > 0 && { columns, rows: rows.map((row) => row.map(literalOf)) }),
  };
  return utf8Encode(JSON.stringify(stored));
}

function decodeOutcome(bytes: Uint8Array): Outcome {
  const stored = JSON.parse(utf8Decode(bytes)) as StoredOutcome;
  const { rowCount, tenant, version, value, building, columns = [], rows = [] } = stored;
  return {
    rowCount,
    columns,
    rows: rows.map((row) => row.map(valueOfLiteral)),
    ...(tenant !== undefined && { tenant: tenant as TenantId }),
    ...(version !== undefined && { version }),
    ...(value !== undefined && { value }),
    ...(building !== undefined && { building }),
    repeated: true,
  };
}
