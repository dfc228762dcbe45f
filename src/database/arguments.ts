/** What callers pass, checked at the door: a wrong argument is INVALID_ARGUMENT before anything is done. */
import { limits, type TenantId, utf8Encode, utf8Length, VerityError } from '../base/index.ts';
import { hmac, type SecretKey } from '../crypto/index.ts';
import type { CommandOrigin } from '../kernel/index.ts';
import type { CommandOptions } from './types.ts';

const noOrigin: CommandOrigin = {};

/** Throws INVALID_ARGUMENT unless `parameters` is an array. */
export function checkParameters(parameters: readonly unknown[]): void {
  if (Array.isArray(parameters)) return;
  throw new VerityError(
    'INVALID_ARGUMENT',
    'Parameters must be an array, one value for each $n of the statement.',
  );
}

/** Throws INVALID_ARGUMENT unless `options` is an object. */
export function checkOptions(options: object): void {
  if (typeof options === 'object' && options !== null) return;
  throw new VerityError(
    'INVALID_ARGUMENT',
    'Options must be an object such as { actor, reason }; leave them out for none.',
  );
}

/** What fingerprints of request ids are made with. */
export interface RequestScope {
  readonly requestKey: SecretKey;
  readonly tenant: TenantId;
}

/** Who, why and under which request id a command is sent. Throws INVALID_ARGUMENT. */
export function originOf(options: CommandOptions, scope: RequestScope): CommandOrigin {
  const { actor, reason, requestId } = options;
  if (actor === undefined && reason === undefined && requestId === undefined) return noOrigin;
  return {
    ...(actor !== undefined && { actor: checkedText('actor', actor) }),
    ...(reason !== undefined && { reason: checkedText('reason', reason) }),
    ...(requestId !== undefined && { request: fingerprint(requestId, scope) }),
  };
}

/** 16 bytes that are the same for the same request id of a tenant, and tell nothing about it. */
function fingerprint(requestId: unknown, { requestKey, tenant }: RequestScope): Uint8Array {
  const text = checkedText('requestId', requestId);
  const size = utf8Length(text);
  if (size === 0 || size > limits.requestIdBytesMax) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `A requestId must have 1 to ${limits.requestIdBytesMax} bytes; this one has ${size}.`,
    );
  }
  return hmac(requestKey, utf8Encode(`${tenant}:${text}`)).slice(0, 16);
}

function checkedText(what: string, value: unknown): string {
  if (typeof value !== 'string')
    throw new VerityError('INVALID_ARGUMENT', `${what} must be a string.`);
  return value;
}
