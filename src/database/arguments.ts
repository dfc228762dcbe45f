/** What callers pass, checked at the door: a wrong argument is INVALID_ARGUMENT before anything is done. */
import { VerityError } from '../base/index.ts';
import type { CommandOrigin } from '../kernel/index.ts';
import { identify, type RequestScope } from './requests.ts';
import type { CommandOptions, ProveOptions, QueryOptions } from './types.ts';

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

/**
 * Who, why and under which request id a command is sent; `content`, asked for with a request id only, is all that the
 * command is to do. Throws INVALID_ARGUMENT.
 */
export function originOf(
  options: CommandOptions,
  scope: RequestScope,
  content: () => readonly unknown[],
): CommandOrigin {
  const { actor, reason, requestId } = options;
  if (actor === undefined && reason === undefined && requestId === undefined) return noOrigin;
  return {
    ...(actor !== undefined && { actor: checkedText('actor', actor) }),
    ...(reason !== undefined && { reason: checkedText('reason', reason) }),
    ...(requestId !== undefined && {
      request: identify(checkedText('requestId', requestId), content(), scope),
    }),
  };
}

function checkedText(what: string, value: unknown): string {
  if (typeof value !== 'string')
    throw new VerityError('INVALID_ARGUMENT', `${what} must be a string.`);
  return value;
}

/** Throws UNSUPPORTED_SQL where a proof is asked of a method that has none to give. */
export function checkUnproved(options: QueryOptions): void {
  if ((options as ProveOptions).prove !== true) return;
  throw new VerityError(
    'UNSUPPORTED_SQL',
    'Only query() proves rows, and only those of now: the tries of older states are not kept. Call query() with { prove: true }.',
  );
}
