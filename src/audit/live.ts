import { CorruptionError, type Position, type StoreKey, type TreeId } from '../base/index.ts';
import type { StateHash } from '../engine/index.ts';
import type { LogHead } from '../log/index.ts';
import {
  sameVersions,
  type StoreHistory,
  type StoreVersion,
  type WalkedStore,
} from '../store/index.ts';
import type { AuditedLog } from './log-audit.ts';
import type { Pause } from './pause.ts';

/** What an open handle knows; the files must agree with it. */
export interface LiveState {
  readonly head: LogHead;
  readonly store: WalkedStore;
  /** False for a handle that follows another process's log: the files may be ahead of it. */
  readonly owner: boolean;
  /** Whether frames behind the head are on their way to the disk. */
  readonly busy: boolean;
  /** What it says is the state hash; absent where it does not know. */
  readonly stateHash?: StateHash | undefined;
}

/** What lies behind the log of an owner that has nothing on its way to the disk. */
export function strayBytes({ tail, segments, live }: AuditedLog): CorruptionError | undefined {
  const stray = segments.at(-1)?.restAt;
  if (live?.owner !== true || live.busy || stray === undefined) return undefined;
  const what = 'Bytes that no frame wrote follow the end of the log';
  return new CorruptionError('CHECKSUM_MISMATCH', tail.path, stray, what);
}

/** Compares what the log yields with what the handle knew when it was read, and what it serves. */
export async function compareLive(
  { tail, live }: AuditedLog,
  store: WalkedStore,
  pause: Pause,
): Promise<CorruptionError | undefined> {
  if (live?.owner !== true) return undefined;
  if (!(await storesDiffer(store, live.store, { upTo: live.head.position, pause })))
    return undefined;
  const what = 'What the handle serves differs from what the log yields; it ends';
  return new CorruptionError('STATE_MISMATCH', tail.path, tail.offset, what);
}

/** Whether two stores differ in any version of any key up to a position; what either gets later does not count. */
export async function storesDiffer(
  left: WalkedStore,
  right: WalkedStore,
  how: { readonly upTo: Position; readonly pause: Pause },
): Promise<boolean> {
  const { upTo, pause } = how;
  for (const tree of new Set([...left.trees(), ...right.trees()])) {
    const others = historyUpTo(right, tree, upTo);
    for (const { key, versions } of historyUpTo(left, tree, upTo)) {
      const other = others.next().value;
      if (other === undefined || other.key !== key || !sameVersions(versions, other.versions)) {
        return true;
      }
      await pause(0);
    }
    if (others.next().done !== true) return true;
  }
  return false;
}

/** Each version that only one of two stores has, or that differs, up to a position. */
export function* differencesOf(
  left: WalkedStore,
  right: WalkedStore,
  upTo: Position,
): Generator<{ readonly tree: TreeId; readonly key: StoreKey; readonly position: Position }> {
  for (const tree of new Set([...left.trees(), ...right.trees()])) {
    const [ones, others] = [historyUpTo(left, tree, upTo), historyUpTo(right, tree, upTo)];
    let [one, other] = [ones.next().value, others.next().value] as (StoreHistory | undefined)[];
    while (one !== undefined || other !== undefined) {
      const isBoth = one !== undefined && other !== undefined && one.key === other.key;
      const isLeft = one !== undefined && (other === undefined || one.key <= other.key);
      const { key } = (isLeft ? one : other) as StoreHistory;
      const pair = isBoth ? [one, other] : [isLeft ? one : undefined, isLeft ? undefined : other];
      for (const position of positionsThatDiffer(pair[0], pair[1])) yield { tree, key, position };
      if (pair[0] !== undefined) one = ones.next().value as StoreHistory | undefined;
      if (pair[1] !== undefined) other = others.next().value as StoreHistory | undefined;
    }
  }
}

function positionsThatDiffer(
  left: StoreHistory | undefined,
  right: StoreHistory | undefined,
): Position[] {
  const versionsAt = (history: StoreHistory | undefined, position: Position): StoreVersion[] =>
    history?.versions.filter(({ from }) => from === position) ?? [];
  const positions = new Set(
    [left, right].flatMap((history) => history?.versions.map(({ from }) => from) ?? []),
  );
  return [...positions]
    .filter((position) => !sameVersions(versionsAt(left, position), versionsAt(right, position)))
    .toSorted((one, other) => one - other);
}

function* historyUpTo(store: WalkedStore, tree: TreeId, upTo: Position): Generator<StoreHistory> {
  for (const { key, versions } of store.history(tree)) {
    const settled = versions.filter(({ from }) => from <= upTo);
    if (settled.length > 0) yield { key, versions: settled };
  }
}
