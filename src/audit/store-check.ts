import { CorruptionError, type Disk, equalBytes, type Position } from '../base/index.ts';
import {
  hashOfTries,
  isStoreDamage,
  type KeyHierarchy,
  openCheckpoint,
  readAnchorWith,
  readMark,
  type StateMark,
} from '../engine/index.ts';
import type { DurableFrame, LogHead } from '../log/index.ts';
import { readSuperblock, type WalkedStore } from '../store/index.ts';
import { storesDiffer } from './live.ts';
import type { Pause } from './pause.ts';
import { stateHashError } from './state-check.ts';

/** Memory for pages while they are read once. */
const cacheBytes = 16 << 20;
/** An owner may write the pages that are being read for another checkpoint: then all is read again. */
const attemptsMax = 4;

export interface StoreChecking {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  /** What the whole log yields. */
  readonly replayed: WalkedStore;
  readonly head: LogHead;
  readonly pause: Pause;
}

export interface StoreCheck {
  readonly errors: readonly CorruptionError[];
  /** The position of the checkpoint that was compared with the log; undefined if none was. */
  readonly checkpoint: Position | undefined;
  /** What that keeps of the state hash. */
  readonly mark?: StateMark | undefined;
}

/**
 * Reads every page that the newest checkpoint leads to, and compares all versions of all rows with what the log yields.
 * Also beside an owner, who may write further checkpoints meanwhile.
 */
export async function checkStore(of: StoreChecking): Promise<StoreCheck> {
  const { disk, hierarchy } = of;
  const { logId } = hierarchy.keyring;
  for (let attempt = 1; ; attempt++) {
    const before = readSuperblock(disk, logId);
    if (before === undefined) return { errors: [], checkpoint: undefined };
    // Of a running owner, who writes checkpoints while the log is read.
    const isNewer = (before.newest?.head.op ?? 0) > of.head.op;
    if (isNewer && readAnchorWith(disk, hierarchy).newest.op >= (before.newest?.head.op ?? 0))
      return { errors: [...before.damaged], checkpoint: undefined };
    const damaged = [...before.damaged];
    try {
      const compared = await compare(of, { op: of.head.op, chainHash: of.head.chainHash });
      return { errors: damaged, checkpoint: compared?.position, mark: compared?.mark };
    } catch (error) {
      if (!isStoreDamage(error)) throw error;
      const now = readSuperblock(disk, logId)?.newest?.sequence;
      const isAnother = now !== before.newest?.sequence;
      if (!isAnother || attempt === attemptsMax) {
        const isKnown = damaged.some(
          ({ offset, file }) => file === error.file && offset === error.offset,
        );
        return { errors: isKnown ? damaged : [...damaged, error], checkpoint: undefined };
      }
    }
  }
}

async function compare(
  of: StoreChecking,
  durable: DurableFrame,
): Promise<{ readonly position: Position; readonly mark: StateMark | undefined } | undefined> {
  const { disk, hierarchy, replayed, pause } = of;
  const opened = openCheckpoint({ disk, hierarchy, durable, cacheBytes, mode: 'read' });
  if (opened === undefined) return undefined;
  const { store, pages, keys } = opened;
  try {
    const upTo = store.appliedPosition;
    if (await storesDiffer(replayed, store, { upTo, pause })) {
      throw new CorruptionError(
        'STATE_MISMATCH',
        'store/pages',
        0,
        'Rows or versions that are not those that the log yields lie',
      );
    }
    const mark = readMark(store.meta);
    if (mark?.begun === 0 && !equalBytes(mark.hash, hashOfTries(store.meta)))
      throw stateHashError('The state hash that is kept is not that of its trie; it lies');
    return { position: upTo, mark };
  } finally {
    pages.close();
    keys.wipe();
  }
}
