/**
 * The state of a handle that only reads beside an owner: the newest checkpoint's pages, which are the owner's, with what
 * was committed since in a scratch store on top. docs/decisions/0018 argues it.
 */
import { type CorruptionError, equalBytes, type Position } from '../base/index.ts';
import { DefinitionCache, KernelState } from '../kernel/index.ts';
import { emptyLogHead, type LogHead } from '../log/index.ts';
import { readSuperblock, ScratchStore, type Superblock, type TreeStore } from '../store/index.ts';
import { readAnchorWith } from './anchor-reading.ts';
import type { CheckpointPlace } from './checkpoint-records.ts';
import { FollowedStore } from './followed-store.ts';
import type { EngineHost } from './host.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { type KeyringFollower, RootKeyRenewed } from './keyring-follower.ts';
import { LogIndex } from './log-index.ts';
import { corruption, type FrameSpan, frameCorruption, LogWalk } from './log-walk.ts';
import { applyFrame } from './replay.ts';
import { StateHasher, stateKey } from './state-hasher.ts';
import { isStoreDamage, openCheckpoint, type OpenedStore } from './store-opening.ts';

/** Memory for pages while a checkpoint is looked at. */
const openingBytes = 256 << 10;
/** An owner who writes one checkpoint after the other. */
const attemptsMax = 8;

type RecordTree = ReturnType<ConstructorParameters<typeof StateHasher>[0]>;

export interface FollowedStateParts {
  readonly host: EngineHost;
  readonly hierarchy: KeyHierarchy;
  readonly keyring: KeyringFollower;
  readonly cacheBytes: number;
}

/** Trees, and what is to be given back with them. */
interface Trees {
  readonly scratch: ScratchStore;
  /** The checkpoint below them; absent: they are of the whole log. */
  readonly base: (OpenedStore & { readonly superblock: Superblock }) | undefined;
  readonly place: CheckpointPlace | undefined;
}

export class FollowedState {
  readonly store: FollowedStore;
  readonly state: KernelState;
  readonly hasher: StateHasher;
  readonly index: LogIndex;
  /** What the state is of: the log is followed from behind it. */
  readonly head: LogHead;
  readonly frame: FrameSpan | undefined;
  readonly #parts: FollowedStateParts;
  #trees: Trees;

  /** Opens the newest checkpoint that fits the log, or begins with nothing. */
  constructor(parts: FollowedStateParts) {
    this.#parts = parts;
    const { hierarchy } = parts;
    let isOpen = false;
    const records = (): RecordTree => (isOpen ? this.store.meta : this.#trees.scratch.store.meta);
    this.#trees = this.#first();
    this.hasher = this.#firstHasher(records);
    const { base, place, scratch } = this.#trees;
    this.head = place?.head ?? emptyLogHead(hierarchy.keyring.logId);
    this.frame = place?.frame;
    this.index = base?.index ?? new LogIndex();
    const treesOf = (): TreeStore => this.#trees.scratch.store;
    this.store = new FollowedStore(
      {
        get store() {
          return treesOf();
        },
        renew: (reached, damage) => this.#renew(reached, damage),
      },
      scratch.store.appliedPosition,
    );
    isOpen = true;
    this.state = stateOf(this.store, base);
  }

  /** What the trees keep of the state hash; if their pages are damaged, those are let go, and the log makes others. */
  #firstHasher(records: () => RecordTree): StateHasher {
    try {
      return this.#hasherOf(records, this.#trees.scratch.store.appliedPosition);
    } catch (error) {
      if (!isStoreDamage(error)) throw error;
      this.#parts.hierarchy.security.observe(error);
      discard(this.#trees);
      this.#trees = this.#empty();
      return this.#hasherOf(records, this.#trees.scratch.store.appliedPosition);
    }
  }

  /** Between frames: keeps memory bounded. */
  relieve(): void {
    this.#trees.scratch.relieve();
  }

  close(): void {
    discard(this.#trees);
  }

  /** Replaces the trees by those of a newer checkpoint, or of the whole log if there is none: the page was damaged then. */
  #renew(reached: Position, damage: CorruptionError): void {
    const before = this.#trees;
    const { superblock } = before.base ?? {};
    const found = this.#newest();
    const isNewer = superblock === undefined || !isSame(superblock, found?.base?.superblock);
    if (found !== undefined && !isNewer) discard(found);
    if (superblock !== undefined && isSame(superblock, this.#superblock()))
      this.#parts.hierarchy.security.observe(damage);
    const trees = found !== undefined && isNewer ? found : this.#empty();
    try {
      // The trees before, which the hasher has noted all of, may have been of a later position.
      const goal = Math.max(reached, this.hasher.notedPosition) as Position;
      const hasher = this.#replay(trees, goal);
      this.#trees = trees;
      this.hasher.takeOver(hasher);
    } catch (error) {
      discard(trees);
      throw error;
    }
    discard(before);
  }

  /** Applies the log to trees from where they stand up to the goal, and to the end of that frame. */
  #replay(trees: Trees, goal: Position): StateHasher {
    const { host, hierarchy } = this.#parts;
    const { scratch, base, place } = trees;
    const { store } = scratch;
    const hasher = this.#hasherOf(() => store.meta, store.appliedPosition);
    if (store.appliedPosition >= goal) return hasher;
    const state = stateOf(store, base);
    const replay = { hierarchy, state, index: new LogIndex(), hasher };
    const start = place?.head ?? emptyLogHead(hierarchy.keyring.logId);
    const walk = new LogWalk({ disk: host.disk, start, behind: place?.frame });
    for (let step = walk.next(); step !== undefined; step = walk.next()) {
      if (step.kind !== 'frame') continue;
      const problem = applyFrame(replay, step.frame, step.place);
      if (problem !== undefined) throw frameCorruption(step.place, problem);
      scratch.relieve();
      if (store.appliedPosition >= goal) return hasher;
    }
    const { path, offset } = walk.tail;
    const what = 'The log ends before what was read of it;';
    throw corruption(path, { code: 'MISSING_DATA', offset, what });
  }

  #first(): Trees {
    try {
      return this.#newest() ?? this.#empty();
    } catch (error) {
      // The master key was rotated this moment: the log is followed when its provider has answered.
      if (!(error instanceof RootKeyRenewed)) throw error;
      return this.#empty();
    }
  }

  #hasherOf(records: () => RecordTree, position: Position): StateHasher {
    const { hierarchy, cacheBytes } = this.#parts;
    const key = stateKey(hierarchy);
    try {
      return new StateHasher(records, key, { position, cacheBytes });
    } finally {
      key.wipe();
    }
  }

  #empty(): Trees {
    const { host, cacheBytes } = this.#parts;
    const { entropy, scratch } = host;
    return {
      scratch: new ScratchStore({ cacheBytes, entropy, scratch }),
      base: undefined,
      place: undefined,
    };
  }

  /** The trees of the newest checkpoint; undefined without one that fits the log. */
  #newest(): Trees | undefined {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const seen = this.#superblock();
      if (seen === undefined) return undefined;
      try {
        const opened = this.#openNewest();
        return opened && this.#treesOn(opened);
      } catch (error) {
        if (!isStoreDamage(error)) throw error;
        if (!isSame(seen, this.#superblock())) continue;
        return undefined;
      }
    }
    return undefined;
  }

  #superblock(): Superblock | undefined {
    const { host, hierarchy } = this.#parts;
    return readSuperblock(host.disk, hierarchy.keyring.logId)?.newest;
  }

  #openNewest(): OpenedStore | undefined {
    const { host, hierarchy, keyring } = this.#parts;
    const { disk } = host;
    keyring.follow(this.#superblock()?.keyringGeneration ?? 0);
    // After the superblock: the anchor names its frame, or a later one, by then.
    const durable = readAnchorWith(disk, hierarchy).newest;
    return openCheckpoint({ disk, hierarchy, durable, cacheBytes: openingBytes, mode: 'follow' });
  }

  #treesOn(opened: OpenedStore): Trees | undefined {
    const { host, cacheBytes } = this.#parts;
    const { checkpoint, pages } = opened;
    // Of a version that kept no state hash, which only the log yields.
    if (checkpoint === undefined || !StateHasher.isKept(opened.store.meta)) {
      closeBase(opened);
      return undefined;
    }
    const { superblock, place } = checkpoint;
    const { pageCount, roots } = superblock;
    const from = { base: { pages, pageCount }, roots };
    const { entropy, scratch } = host;
    return {
      scratch: new ScratchStore({ cacheBytes, entropy, scratch, from }),
      base: { ...opened, superblock },
      place,
    };
  }
}

function stateOf(store: FollowedStore | TreeStore, base: OpenedStore | undefined): KernelState {
  const { snapshot } = base?.checkpoint ?? {};
  // Who only reads draws no ids.
  const of = snapshot && { ...snapshot, countersOf: () => undefined };
  return new KernelState(new DefinitionCache(store), of);
}

function isSame(left: Superblock, right: Superblock | undefined): boolean {
  return (
    right !== undefined && left.sequence === right.sequence && equalBytes(left.roots, right.roots)
  );
}

function discard({ scratch, base }: Trees): void {
  scratch.close();
  if (base !== undefined) closeBase(base);
}

function closeBase({ pages, keys }: OpenedStore): void {
  pages.close();
  keys.wipe();
}
