import { DefinitionCache, KernelState } from '../kernel/index.ts';
import { emptyLogHead } from '../log/index.ts';
import type { AnchorReading } from './anchor.ts';
import { CheckpointWriter } from './checkpoint-writer.ts';
import { defaultCheckpoints, type CheckpointSettings } from './checkpointer.ts';
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

/** The store with what goes on from it: all that replaying the log brought up to date. */
export class StoredState {
  readonly settings: CheckpointSettings;
  readonly state: KernelState;
  readonly writer: CheckpointWriter;
  /** Why the store was built anew, if it was found unfit. */
  readonly problem: StoreProblem | undefined;
  replayedFrames = 0;
  replayedBytes = 0;
  readonly #opened: OpenedStore;

  constructor(
    opening: StoreOpening,
    opened: OpenedStore,
    how: { readonly settings: CheckpointSettings; readonly problem: StoreProblem | undefined },
  ) {
    const { store, pages, keys, index, sequence, checkpoint } = opened;
    this.#opened = opened;
    this.settings = how.settings;
    this.problem = how.problem;
    this.state = new KernelState(new DefinitionCache(store), checkpoint?.snapshot);
    this.writer = new CheckpointWriter({
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
    const { settings, writer } = this;
    if (this.replayedBytes < settings.logBytesMax) return;
    const { path, offset, after } = place;
    writer.begin({ head: after, frame: { path, offset, end } });
    writer.complete(settings.pagesPerTurn);
    this.replayedBytes = 0;
  }

  close(): void {
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
  const opening: StoreOpening = {
    disk,
    hierarchy,
    durable,
    cacheBytes,
    mode: 'readwrite',
    onHealed: () => host.onRarePath?.('superblock written again'),
  };
  let problem: StoreProblem | undefined;
  try {
    const opened = openCheckpoint(opening);
    if (opened !== undefined)
      return replayInto(of, new StoredState(opening, opened, { settings, problem }), opened);
  } catch (error) {
    // It is derived: whatever is wrong with it, the log has all of it, and is checked as it is read.
    if (!isStoreDamage(error)) throw error;
    problem = storeProblemOf(error);
  }
  const opened = emptyStore(opening, entropy);
  return replayInto(of, new StoredState(opening, opened, { settings, problem }), opened);
}

function replayInto(
  { host, hierarchy, reading, onSegment }: StoreReplay,
  stored: StoredState,
  { checkpoint }: OpenedStore,
): ReplayedStore {
  const { disk } = host;
  const durable = reading.newest;
  const replay: Replay = {
    disk,
    hierarchy,
    state: stored.state,
    index: stored.index,
    durable,
    onSegment,
    onFrame: (place, end) => {
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
