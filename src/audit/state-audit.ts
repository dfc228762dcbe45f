/** The state that the log yields: on a checkpoint that was held against the log, or made anew from its beginning. */
import {
  CorruptionError,
  type Disk,
  type Entropy,
  equalBytes,
  type LeafIndex,
  type Op,
  type Position,
  type StoreKey,
  type TreeId,
} from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import {
  applyFrame,
  frameCorruption,
  type FramePlace,
  type FrameSpan,
  hashOfTries,
  isStoreDamage,
  type KeyHierarchy,
  LogIndex,
  LogWalk,
  type OpenedStore,
  openCheckpoint,
  readMark,
  segmentPosition,
  type StateMark,
} from '../engine/index.ts';
import { DefinitionCache, type KernelSnapshot, KernelState } from '../kernel/index.ts';
import { emptyLogHead, type FrameHeader, type LogHead } from '../log/index.ts';
import {
  hashSeedOf,
  MemoryStore,
  readSuperblock,
  type ScratchFile,
  ScratchStore,
  type Store,
  type WalkedStore,
} from '../store/index.ts';
import { type AuditWorkers, runAll } from './jobs.ts';
import type { AuditedLog } from './log-audit.ts';
import type { Pause } from './pause.ts';
import { type BrokenLink, brokenLinks } from './row-links.ts';
import type { ReplayJob, WalkJob } from './versions-job.ts';
import { treesThatDiffer, VersionSums } from './version-sums.ts';

/** Memory for pages of what the log yields. */
const replayedBytes = 256 << 20;
/** Memory for pages while they are read once. */
const checkpointCacheBytes = 16 << 20;
/** About so many versions are walked as one piece. */
const walkedAtOnce = 64 * 1_024;
const sampledEvery = 1_024;
/** More links that are wrong are not told one by one. */
const brokenMax = 1_000;

/** What the log yields. */
export interface LogState {
  readonly store: WalkedStore & Store;
  readonly state: KernelState;
  /** Links of rows that are not of the version before, in what was replayed. */
  readonly broken: readonly LoggedLink[];
  close(): void;
}

/** A link that is wrong, and the frame that its event is in. */
export interface LoggedLink extends BrokenLink {
  readonly place: FramePlace;
}

export interface StateAuditing {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  /** Without damage. */
  readonly log: AuditedLog;
  readonly entropy: Entropy | undefined;
  readonly scratch: (() => ScratchFile) | undefined;
  readonly cacheBytes: number | undefined;
  readonly workers: AuditWorkers;
  /** Versions up to this position are not compared. */
  readonly after: Position;
  readonly pause: Pause;
  readonly onProgress?:
    | ((phase: 'replay' | 'store', done: number, total: number) => void)
    | undefined;
}

/** A checkpoint that is what the log yields. */
export interface ProvenCheckpoint {
  readonly opened: OpenedStore;
  readonly position: Position;
  readonly mark: StateMark | undefined;
  /** Versions of keys that were compared. */
  readonly versions: number;
  /** Copies of the superblock that are damaged. */
  readonly errors: readonly CorruptionError[];
}

/**
 * Holds the newest checkpoint against the log, with all workers. Undefined if there is none, if it cannot be read, or if it is not what
 * the log yields: then a state that is made anew from the log tells what is wrong.
 */
export async function proveCheckpoint(of: StateAuditing): Promise<ProvenCheckpoint | undefined> {
  const { disk, hierarchy, log, entropy } = of;
  const { head } = log.tail;
  const reading = readSuperblock(disk, hierarchy.keyring.logId);
  const newest = reading?.newest;
  if (entropy === undefined || newest === undefined || newest.head.op > head.op) return undefined;
  let opened: OpenedStore | undefined;
  try {
    const durable = { op: head.op, chainHash: head.chainHash };
    opened = openCheckpoint({
      disk,
      hierarchy,
      durable,
      cacheBytes: checkpointCacheBytes,
      mode: 'read',
    });
    if (opened === undefined) return undefined;
    const mark = readMark(opened.store.meta);
    const isHashOfTries =
      mark?.begun !== 0 || equalBytes(mark.hash, hashOfTries(opened.store.meta));
    const versions = isHashOfTries
      ? await compareVersions(of, opened, entropy.bytes(32))
      : undefined;
    if (versions === undefined) {
      closeCheckpoint(opened);
      return undefined;
    }
    const position = opened.store.appliedPosition;
    return { opened, position, mark, versions, errors: reading?.damaged ?? [] };
  } catch (error) {
    if (opened !== undefined) closeCheckpoint(opened);
    // Whatever a state that is not the log's makes of events: the other way tells what is wrong.
    if (isStoreDamage(error) || !(error instanceof CorruptionError)) return undefined;
    throw error;
  }
}

/** How many versions a checkpoint and the log have in common; undefined if they differ. */
async function compareVersions(
  { log, workers, after, onProgress }: StateAuditing,
  { store }: OpenedStore,
  sumKey: Uint8Array,
): Promise<number | undefined> {
  const { head } = log.tail;
  const durable = { op: head.op, chainHash: head.chainHash };
  const upTo = store.appliedPosition;
  const replays = log.segments
    .filter(({ path, head: { position } }) => segmentPosition(path) <= upTo && position > after)
    .map(({ path }): ReplayJob => ({ kind: 'replay', path, after, upTo, sumKey, durable }));
  const made = new VersionSums(sumKey);
  const sampled = new Map<TreeId, StoreKey[]>();
  const rowTrees = new Set<TreeId>();
  let done = 0;
  onProgress?.('replay', 0, replays.length);
  await runAll(workers, replays, ({ sums, sampled: keys, rowTrees: rows }) => {
    made.addAll(sums);
    for (const tree of rows) rowTrees.add(tree);
    for (const [tree, some] of keys) sampled.set(tree, [...(sampled.get(tree) ?? []), ...some]);
    onProgress?.('replay', ++done, replays.length);
  });
  const trees = new Set([...store.trees(), ...made.sums.keys()]);
  const walks = [...trees].flatMap((tree) =>
    rangesOf(sampled.get(tree) ?? []).map((range): WalkJob => ({
      kind: 'walk',
      tree,
      isRows: rowTrees.has(tree),
      ...range,
      after,
      upTo,
      sumKey,
      durable,
    })),
  );
  const there = new VersionSums(sumKey);
  done = 0;
  onProgress?.('store', 0, walks.length);
  await runAll(workers, walks, ({ sums }) => {
    there.addAll(sums);
    onProgress?.('store', ++done, walks.length);
  });
  if (treesThatDiffer(made.sums, there.sums).length > 0) return undefined;
  return [...there.sums.values()].reduce((sum, { count }) => sum + count, 0);
}

/** Divides a tree by some of its keys. */
function rangesOf(
  sampled: readonly StoreKey[],
): { readonly from?: StoreKey; readonly to?: StoreKey }[] {
  const keys = [...new Set(sampled)].toSorted((left, right) => (left < right ? -1 : 1));
  const step = walkedAtOnce / sampledEvery;
  const bounds = keys.filter((_, index) => index % step === step - 1);
  return Array.from({ length: bounds.length + 1 }, (_, index) => {
    const [from, to] = [bounds[index - 1], bounds[index]];
    return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
  });
}

function closeCheckpoint({ pages, keys }: OpenedStore): void {
  pages.close();
  keys.wipe();
}

/** The state at the end of the log: what a checkpoint has, and the frames behind it. Takes the checkpoint over. */
export async function stateFrom(
  of: StateAuditing,
  { opened }: ProvenCheckpoint,
): Promise<LogState> {
  const { entropy, scratch, cacheBytes = replayedBytes } = of;
  const { checkpoint, pages, store: base } = opened;
  if (checkpoint === undefined || entropy === undefined) throw new Error('a checkpoint was opened');
  const { place, snapshot, superblock } = checkpoint;
  const replayed = new ScratchStore({
    cacheBytes,
    entropy,
    scratch,
    from: { base: { pages, pageCount: superblock.pageCount }, roots: superblock.roots },
  });
  const target = targetOf(replayed, snapshot);
  const close = (): void => {
    replayed.close();
    closeCheckpoint(opened);
  };
  try {
    const isBehind =
      base.appliedPosition < of.log.tail.head.position || place.head.op < of.log.tail.head.op;
    const broken = isBehind
      ? await applyFrames(of, target, { head: place.head, frame: place.frame })
      : [];
    return { store: target.store, state: target.state, broken, close };
  } catch (error) {
    close();
    throw error;
  }
}

/** The state at the end of the log, from its beginning. */
export async function stateFromLog(of: StateAuditing): Promise<LogState> {
  const { entropy, scratch, cacheBytes = replayedBytes, hierarchy } = of;
  const start = { head: emptyLogHead(hierarchy.keyring.logId), frame: undefined };
  if (scratch === undefined || entropy === undefined) {
    const store = new MemoryStore(entropy && hashSeedOf(entropy.bytes(8)));
    const state = new KernelState(store);
    const broken = await applyFrames(of, { store, state, relieve: () => undefined }, start);
    return { store, state, broken, close: () => undefined };
  }
  const replayed = new ScratchStore({ entropy, scratch, cacheBytes });
  try {
    const target = targetOf(replayed, undefined);
    const broken = await applyFrames(of, target, start);
    return { store: target.store, state: target.state, broken, close: () => replayed.close() };
  } catch (error) {
    replayed.close();
    throw error;
  }
}

interface Target {
  readonly store: WalkedStore & Store;
  readonly state: KernelState;
  /** Between frames, now and then: keeps memory bounded. */
  readonly relieve: () => void;
}

function targetOf(replayed: ScratchStore, snapshot: KernelSnapshot | undefined): Target {
  const { store } = replayed;
  return {
    store,
    state: new KernelState(new DefinitionCache(store), snapshot),
    relieve: () => replayed.relieve(),
  };
}

async function applyFrames(
  { disk, hierarchy, log, pause, onProgress }: StateAuditing,
  { state, relieve }: Target,
  { head: start, frame: behind }: { readonly head: LogHead; readonly frame: FrameSpan | undefined },
): Promise<LoggedLink[]> {
  const broken: LoggedLink[] = [];
  const { op } = log.tail.head;
  const index = new LogIndex();
  const walk = new LogWalk({
    disk,
    start,
    behind,
    upTo: (): Op => op,
    onSegment: (done, total) => onProgress?.('replay', done, total),
  });
  for (let step = walk.next(); step !== undefined; step = walk.next()) {
    if (step.kind !== 'frame') continue;
    const { frame, place } = step;
    const onEvents = (events: readonly LogEvent[], { firstLeaf }: FrameHeader): void => {
      const latest = (tree: TreeId, key: StoreKey): LeafIndex | undefined =>
        state.store.latest(tree, key)?.leaf;
      for (const link of brokenLinks(events, firstLeaf, latest))
        if (broken.length < brokenMax) broken.push({ ...link, place });
    };
    const problem = applyFrame({ hierarchy, state, index, onEvents }, frame, place);
    if (problem !== undefined) throw frameCorruption(place, problem);
    relieve();
    await pause(frame.header.frameLength);
    // Behind an end frame the walk would go on to the next segment, which may not be there.
    if (frame.header.op >= op) break;
  }
  return broken;
}
