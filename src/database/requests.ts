/** What a request id stands for: keyed digests of it and of the command, and the answer that is kept with it. */
import {
  fromHex,
  limits,
  type TenantId,
  toHex,
  utf8Encode,
  utf8Length,
  VerityError,
} from '../base/index.ts';
import { hmac, pae, type SecretKey } from '../crypto/index.ts';
import type { RequestIdentity } from '../kernel/index.ts';

export interface RequestScope {
  /** Key of the digests; it outlives the root key, so that a request is known again after a rotation. */
  readonly requestKey: SecretKey;
  readonly tenant: TenantId;
}

const idBytes = 16;
const answerBytesMax = 64 << 10;

/** The digests of a request id and of what its command is to do. Throws INVALID_ARGUMENT. */
export function identify(
  requestId: string,
  content: readonly unknown[],
  { requestKey, tenant }: RequestScope,
): RequestIdentity {
  // In UTF-8 all halves of a surrogate pair are one replacement character: two ids would be one.
  if (/\p{Surrogate}/u.test(requestId))
    throw new VerityError('INVALID_ARGUMENT', 'A requestId must be Unicode text.');
  const size = utf8Length(requestId);
  if (size === 0 || size > limits.requestIdBytesMax) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `A requestId must have 1 to ${limits.requestIdBytesMax} bytes; this one has ${size}.`,
    );
  }
  return {
    id: hmac(requestKey, utf8Encode(`${tenant}:${requestId}`)).slice(0, idBytes),
    content: hmac(requestKey, pae('content', ...content.map(partOf))),
  };
}

/** Each kind of value behind its own letter, so that 1, '1', 1n and a byte are four different contents. */
function partOf(value: unknown): string | Uint8Array {
  if (value instanceof Uint8Array) return `y${toHex(value)}`;
  if (typeof value === 'bigint') return `i${value}`;
  if (typeof value === 'string') return `s${value}`;
  if (typeof value === 'number') return `n${Object.is(value, -0) ? '-0' : value}`;
  if (value instanceof Date) return `d${value.getTime()}`;
  return `j${jsonOf(value) ?? 'undefined'}`;
}

/** A transaction's result as text. Throws INVALID_ARGUMENT if it is not JSON, bigints, dates and bytes, or too long. */
export function encodeAnswer(answer: unknown): string {
  const text = answer === undefined ? '' : jsonOf(answer);
  if (text === undefined || utf8Length(text) > answerBytesMax) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `What a transaction with a requestId returns is kept: it must be JSON, bigint, Date or Uint8Array values of at most ${answerBytesMax} bytes. Return less, or nothing.`,
    );
  }
  return text;
}

export function decodeAnswer(text: string | undefined): unknown {
  return text === undefined || text === '' ? undefined : JSON.parse(text, revive);
}

const tagged = '$verity';

function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value, replace);
  } catch {
    // The error would quote the value.
    return undefined;
  }
}

/** `this[name]` is the value before its toJSON. Members are sorted, so that their order makes no other content. */
function replace(this: unknown, name: string, value: unknown): unknown {
  const raw = (this as Record<string, unknown>)[name];
  if (typeof raw === 'bigint') return { [tagged]: 'bigint', value: raw.toString() };
  if (raw instanceof Date) return { [tagged]: 'date', value: raw.getTime() };
  if (raw instanceof Uint8Array) return { [tagged]: 'bytes', value: toHex(raw) };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  if (tagged in value) return { [tagged]: 'object', value: Object.entries(value) };
  const members = Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return Object.fromEntries(members);
}

function revive(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || !(tagged in value)) return value;
  const { [tagged]: kind, value: inner } = value as { [tagged]: unknown; value: unknown };
  switch (kind) {
    case 'bigint':
      return BigInt(inner as string);
    case 'date':
      return new Date(inner as number);
    case 'bytes':
      return fromHex(inner as string);
    default:
      return Object.fromEntries(inner as [string, unknown][]);
  }
}
