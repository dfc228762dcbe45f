import { toHex, VerityError } from '../base/index.ts';
import {
  type StateHash as KnownStateHash,
  type Engine,
  fileBytes,
  newestCheckpoint,
} from '../engine/index.ts';
import type { OpenOptions, StateHash, StoreStatus } from './types.ts';

const cacheBytesMin = 1 << 20;
const cacheBytesMax = 2 ** 31 - 2 ** 20;

/** The memory for pages that the options ask for. Throws INVALID_ARGUMENT. */
export function cacheBytesOf({ cacheBytes }: OpenOptions): number | undefined {
  if (cacheBytes === undefined) return undefined;
  const isWithin = cacheBytes >= cacheBytesMin && cacheBytes <= cacheBytesMax;
  if (Number.isSafeInteger(cacheBytes) && isWithin) return cacheBytes;
  throw new VerityError(
    'INVALID_ARGUMENT',
    `cacheBytes takes a whole number of bytes from ${cacheBytesMin} to ${cacheBytesMax}.`,
  );
}

/** The state hash in the SDK's form. */
export function stateHashOf({ hash, position }: KnownStateHash): StateHash {
  return { hash: toHex(hash), position: BigInt(position) };
}

/** What `status` tells of the store. */
export function storeStatusOf(engine: Engine, disk: Parameters<typeof fileBytes>[0]): StoreStatus {
  const { storeStatus: stored, recovery } = engine;
  const bytes = fileBytes(disk, 'store/pages') + fileBytes(disk, 'store/superblock');
  if (stored === undefined)
    return { checkpoint: BigInt(newestCheckpoint(disk, engine.hierarchy)), bytes };
  const { cacheBytes, cacheUsedBytes, dirtyBytes, pagesRead, pagesWritten, freeBytes } = stored;
  const { damagedPages, damage } = stored;
  const cache = { bytes: cacheBytes, usedBytes: cacheUsedBytes, dirtyBytes };
  return {
    checkpoint: BigInt(stored.checkpoint),
    bytes,
    cache: { ...cache, pagesRead, pagesWritten, freeBytes },
    replayedFrames: recovery.replayedFrames,
    ...(damage !== undefined && { damage: { pages: damagedPages, first: { ...damage } } }),
    ...(recovery.storeRebuilt !== undefined && { rebuilt: { ...recovery.storeRebuilt } }),
  };
}
