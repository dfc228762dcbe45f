import type { Disk, Scheduler } from '../base/index.ts';
import { DecodeError } from '../codec/index.ts';
import { DefinitionCache, KernelState } from '../kernel/index.ts';
import { emptyLogHead } from '../log/index.ts';
import type { AnchorReading } from './anchor.ts';
import { CheckpointWriter } from './checkpoint-writer.ts';
import { Checkpointer, defaultCheckpoints, type CheckpointSettings } from './checkpointer.ts';
import { closedError } from './commit-errors.ts';
import { DamagedPages } from './damaged-pages.ts';
import { fileBytes } from './files.ts';
import type { EngineHost } from './host.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { checkGeneration } from './keyring-record.ts';
import type { FramePlace, LogTail } from './log-walk.ts';
import { type Replay, replayLog } from './replay.ts';
import {
  emptyStore,
  isStoreDamage,
  openCheckpoint,
  type OpenedStore,
  type StoreOpening,
  type StoreProblem,
  storeProblemOf,
} from './store-opening.ts';
import { StateHasher, stateKey } from './state-hasher.ts';

/** The store with what goes on from it: all that replaying the log brought up to date. */
export class StoredState {
  readonly settings: CheckpointSettings;
  readonly state: KernelState;
  readonly writer: CheckpointWriter;
  readonly hasher: StateHasher;
  /** Why the store was built anew, if it was found unfit. */
  readonly problem: StoreProblem | undefined;
  /** Pages that were met damaged since the store was made. */
  readonly damage: DamagedPages;
  replayedFrames = 0;
  replayedBytes = 0;
  readonly #opened: OpenedStore;

  constructor(
    opening: StoreOpening & { readonly damage: DamagedPages },
    opened: OpenedStore,
    how: { readonly settings: CheckpointSettings; readonly problem: StoreProblem | undefined },
  ) {
    const { store, pages, keys, index, sequence, checkpoint } = opened;
    this.#opened = opened;
    this.settings = how.settings;
    this.problem = how.problem;
    this.damage = opening.damage;
    this.state = new KernelState(new DefinitionCache(store), checkpoint?.snapshot);
    const key = stateKey(opening.hierarchy);
    this.hasher = new StateHasher(() => store.meta, key, {
      position: store.appliedPosition,
      cacheBytes: how.settings.cacheBytes,
    });
    key.wipe();
    this.writer = new CheckpointWriter({
      hasher: this.hasher,
      disk: opening.disk,
      hierarchy: opening.hierarchy,
      store,
      pages,
      keys,
      state: this.state,
      index,
      sequence,
      place: checkpoint?.place,
      placesWritten: index.size,
    });
  }

  get store(): OpenedStore['store'] {
    return this.#opened.store;
  }
  get walk(): OpenedStore['walk'] {
    return this.#opened.walk;
  }
  get index(): OpenedStore['index'] {
    return this.#opened.index;
  }
  get pages(): OpenedStore['pages'] {
    return this.#opened.pages;
  }
  get keys(): OpenedStore['keys'] {
    return this.#opened.keys;
  }

  /** A frame was applied that the anchor names, or one before it: so that a crash does not undo a long replay. */
  relieve(place: FramePlace, end: number): void {
    const { settings, writer, hasher } = this;
    if (this.replayedBytes < settings.logBytesMax) return;
    if (hasher.isDue) hasher.updateNow();
    const { path, offset, after } = place;
    writer.begin({ head: after, frame: { path, offset, end } });
    writer.complete(settings.pagesPerTurn);
    this.replayedBytes = 0;
  }

  /** What has checkpoints written from now on. */
  checkpointer(scheduler: Scheduler): Checkpointer {
    const { writer, hasher, settings, store, pages, walk, replayedBytes } = this;
    return new Checkpointer({
      writer,
      hasher,
      scheduler,
      settings,
      pressure: () => store,
      pages,
      isWalked: () => walk?.isOver ?? true,
      replayedBytes,
    });
  }

  close(): void {
    this.hasher.stop(closedError());
    this.writer.close();
  }
}

export interface ReplayedStore {
  readonly stored: StoredState;
  readonly tail: LogTail;
  /** Whether the log names the keyring that lies there. */
  readonly logged: boolean;
}

export interface StoreReplay {
  readonly host: EngineHost;
  readonly hierarchy: KeyHierarchy;
  readonly reading: AnchorReading;
  readonly cacheBytes: number | undefined;
  readonly onSegment: Replay['onSegment'];
}

/**
 * Opens the store and replays what of the log it lacks: behind its newest checkpoint, or, where that is missing,
 * damaged, foreign or not of this log, all of it. Throws CorruptionError for damage of the log.
 */
export function replayStored(of: StoreReplay): ReplayedStore {
  const { host, hierarchy, reading } = of;
  const given = { ...defaultCheckpoints, ...host.checkpoints };
  const { disk, entropy } = host;
  const { cacheBytes = given.cacheBytes } = of;
  const settings = { ...given, cacheBytes };
  const durable = reading.newest;
  const damage = new DamagedPages();
  const opening = {
    disk,
    hierarchy,
    durable,
    cacheBytes,
    mode: 'readwrite' as const,
    damage,
    onHealed: () => host.onRarePath?.('superblock written again'),
  };
  let problem: StoreProblem | undefined;
  try {
    const opened = openCheckpoint(opening);
    if (opened !== undefined) {
      if (keepsStateHash(opened))
        return replayInto(of, new StoredState(opening, opened, { settings, problem }), opened);
      // Of a version that kept no state hash, which only the log yields.
      opened.pages.close();
      opened.keys.wipe();
    }
  } catch (error) {
    // It is derived: whatever is wrong with it, the log has all of it, and is checked as it is read.
    if (!isStoreDamage(error)) throw error;
    problem = storeProblemOf(error);
    damage.clear();
  }
  const opened = emptyStore(opening, entropy);
  return replayInto(of, new StoredState(opening, opened, { settings, problem }), opened);
}

/** Whether the store keeps the state hash, in records that this version reads. */
function keepsStateHash({ store }: OpenedStore): boolean {
  try {
    return StateHasher.isKept(store.meta);
  } catch (error) {
    if (error instanceof DecodeError) return false;
    throw error;
  }
}

function replayInto(
  { host, hierarchy, reading, onSegment }: StoreReplay,
  stored: StoredState,
  { checkpoint }: OpenedStore,
): ReplayedStore {
  const { disk } = host;
  const durable = reading.newest;
  const progress = onSegment && new ReplayProgress(disk, onSegment);
  const replay: Replay = {
    disk,
    hierarchy,
    state: stored.state,
    index: stored.index,
    hasher: stored.hasher,
    durable,
    onSegment: (done, total) => progress?.segment(done, total),
    onFrame: (place, end) => {
      progress?.frame(place.path, end);
      stored.replayedFrames += 1;
      stored.replayedBytes += end - place.offset;
      if (place.after.op <= durable.op) stored.relieve(place, end);
    },
  };
  try {
    const { head = emptyLogHead(hierarchy.keyring.logId), frame } = checkpoint?.place ?? {};
    const tail = replayLog(replay, head, frame);
    return { stored, tail, logged: checkGeneration(disk, hierarchy, stored.state) };
  } catch (error) {
    stored.close();
    throw error;
  }
}

const bytesBetween = 1 << 20;

/** Tells of whole segments, and of parts of long ones: how many are done, and how many there are. */
class ReplayProgress {
  readonly #disk: Disk;
  readonly #told: NonNullable<Replay['onSegment']>;
  #done = 0;
  #total = 1;
  #path = '';
  #size = 1;
  #next = 0;

  constructor(disk: Disk, told: NonNullable<Replay['onSegment']>) {
    this.#disk = disk;
    this.#told = told;
  }

  segment(done: number, total: number): void {
    this.#done = done;
    this.#total = total;
    this.#told(done, total);
  }

  frame(path: string, end: number): void {
    if (path !== this.#path) {
      this.#path = path;
      this.#size = Math.max(1, fileBytes(this.#disk, path));
      this.#next = bytesBetween;
    }
    if (end < this.#next) return;
    this.#next = end + bytesBetween;
    this.#told(this.#done + Math.min(1, end / this.#size), this.#total);
  }
}
