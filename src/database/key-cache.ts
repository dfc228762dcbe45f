import { VerityError } from '../base/index.ts';
import { defaultKeyCacheBounds, type KeyCacheBounds } from '../engine/index.ts';
import type { OpenOptions } from './types.ts';

/** The longest delay of a timer in Node. */
const ageMsMax = 2 ** 31 - 1;
const keysMax = 1 << 20;

/** The bounds that the options ask for. Throws INVALID_ARGUMENT. */
export function keyCacheBounds({ keyCache }: OpenOptions): KeyCacheBounds {
  const { keysMax: keys, ageMsMax: age } = defaultKeyCacheBounds;
  const bounds = { keysMax: keyCache?.maxKeys ?? keys, ageMsMax: keyCache?.maxAgeMs ?? age };
  const isWithin = (value: number, most: number): boolean =>
    Number.isSafeInteger(value) && value >= 1 && value <= most;
  if (isWithin(bounds.keysMax, keysMax) && isWithin(bounds.ageMsMax, ageMsMax)) return bounds;
  throw new VerityError(
    'INVALID_ARGUMENT',
    `keyCache takes { maxKeys } from 1 to ${keysMax} and { maxAgeMs } from 1 to ${ageMsMax}.`,
  );
}
