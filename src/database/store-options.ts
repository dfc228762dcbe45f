import { VerityError } from '../base/index.ts';
import { type Engine, fileBytes, newestCheckpoint } from '../engine/index.ts';
import type { OpenOptions, StoreStatus } from './types.ts';

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

/** What `status` tells of the store. */
export function storeStatusOf(engine: Engine, disk: Parameters<typeof fileBytes>[0]): StoreStatus {
  const { storeStatus: stored, recovery } = engine;
  const bytes = fileBytes(disk, 'store/pages') + fileBytes(disk, 'store/superblock');
  if (stored === undefined)
    return { checkpoint: BigInt(newestCheckpoint(disk, engine.hierarchy)), bytes };
  const { cacheBytes, cacheUsedBytes, dirtyBytes, pagesRead, pagesWritten, freeBytes } = stored;
  const cache = { bytes: cacheBytes, usedBytes: cacheUsedBytes, dirtyBytes };
  return {
    checkpoint: BigInt(stored.checkpoint),
    bytes,
    cache: { ...cache, pagesRead, pagesWritten, freeBytes },
    replayedFrames: recovery.replayedFrames,
    ...(recovery.storeRebuilt !== undefined && { rebuilt: { ...recovery.storeRebuilt } }),
  };
}
