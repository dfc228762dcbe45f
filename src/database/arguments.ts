/** What callers pass, checked at the door: a wrong argument is INVALID_ARGUMENT before anything is done. */
import { limits, utf8Encode, utf8Length, VerityError } from '../base/index.ts';
import type { CommandOrigin } from '../kernel/index.ts';
import type { CommandOptions } from './types.ts';

const noOrigin: CommandOrigin = {};

/** Throws INVALID_ARGUMENT unless `parameters` is an array. */
export function checkParameters(parameters: readonly unknown[]): void {
  if (Array.isArray(parameters)) return;
  throw new VerityError('INVALID_ARGUMENT', 'Parameters must be an array, one value for each $n of the statement.');
}

/** Throws INVALID_ARGUMENT unless `options` is an object. */
export function checkOptions(options: object): void {
  if (typeof options === 'object' && options !== null) return;
  throw new VerityError('INVALID_ARGUMENT', 'Options must be an object such as { actor, reason }; leave them out for none.');
}

/** Who and why of a command; `fingerprint` makes 16 bytes of the request id. */
export function originOf(options: CommandOptions, fingerprint: (requestId: Uint8Array) => Uint8Array): CommandOrigin {
  const { actor, reason, requestId } = options;
  if (actor === undefined && reason === undefined && requestId === undefined) return noOrigin;
  return {
    ...(actor !== undefined && { actor: checkedText('actor', actor) }),
    ...(reason !== undefined && { reason: checkedText('reason', reason) }),
    ...(requestId !== undefined && { request: fingerprint(checkedRequestId(requestId)) }),
  };
}

function checkedRequestId(requestId: unknown): Uint8Array {
  const text = checkedText('requestId', requestId);
  const size = utf8Length(text);
  if (size === 0 || size > limits.requestIdBytesMax) {
    throw new VerityError('INVALID_ARGUMENT', `A requestId must have 1 to ${limits.requestIdBytesMax} bytes; this one has ${size}.`);
  }
  return utf8Encode(text);
}

function checkedText(what: string, value: unknown): string {
  if (typeof value !== 'string') throw new VerityError('INVALID_ARGUMENT', `${what} must be a string.`);
  return value;
}
