import { assert, type Disk, type Entropy, type Op } from '../base/index.ts';
import type { KernelState } from '../kernel/index.ts';
import {
  encodeSuperblock,
  type PageFile,
  storeKeysMax,
  type StoreKeys,
  SuperblockFile,
  type TreeStore,
} from '../store/index.ts';
import {
  checkpointHeadOf,
  type CheckpointPlace,
  writeCounters,
  writePlaces,
} from './checkpoint-records.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import type { LogIndex } from './log-index.ts';
import type { StateHasher } from './state-hasher.ts';

export interface CheckpointWriterParts {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  readonly store: TreeStore;
  readonly pages: PageFile;
  readonly keys: StoreKeys;
  readonly state: KernelState;
  readonly index: LogIndex;
  readonly hasher: StateHasher;
  /** The newest superblock's; 0 without one. */
  readonly sequence: number;
  /** The place that it stands for. */
  readonly place: CheckpointPlace | undefined;
  /** Places of the index that it holds. */
  readonly placesWritten: number;
}

interface Running {
  readonly place: CheckpointPlace;
  readonly nextTenant: KernelState['nextTenant'];
}

/**
 * Writes checkpoints: freezes the store at a committed position, writes its pages slice by slice, and, when these are
 * durable, the superblock that names them.
 *
 * Invariant: a superblock names only a frame that the anchor names, or one before it. So no crash, torn tail or repair
 * leaves a store that is ahead of the log without being found out.
 */
export class CheckpointWriter {
  readonly #parts: CheckpointWriterParts;
  readonly #superblocks: SuperblockFile;
  #sequence: number;
  #place: CheckpointPlace | undefined;
  #running: Running | undefined;
  /** The superblock that a full disk may have taken in part. */
  #begun: Uint8Array | undefined;
  #placesWritten: number;
  #isRenewed = false;

  constructor(parts: CheckpointWriterParts) {
    this.#parts = parts;
    this.#superblocks = new SuperblockFile(parts.disk);
    this.#sequence = parts.sequence;
    this.#place = parts.place;
    this.#placesWritten = parts.placesWritten;
  }

  /** What the newest durable checkpoint stands for; undefined if there is none. */
  get place(): CheckpointPlace | undefined {
    return this.#place;
  }
  /** The op of the checkpoint that is being written. */
  get running(): Op | undefined {
    return this.#running?.place.head.op;
  }

  /** Freezes the store as it is now: at `place`, which the anchor names. */
  begin(place: CheckpointPlace): void {
    const { store, state, index, hasher } = this.#parts;
    assert(this.#running === undefined, 'one checkpoint is written at a time');
    assert(store.appliedPosition === place.head.position, 'a checkpoint is of a committed state');
    for (const counters of state.takeChangedCounters()) writeCounters(store.meta, counters);
    writePlaces(store.meta, index, this.#placesWritten);
    this.#placesWritten = index.size;
    assert(hasher.notedPosition === place.head.position, 'the state hash knows what is frozen');
    hasher.keep();
    store.freeze();
    this.#running = { place, nextTenant: state.nextTenant };
  }

  /** Writes up to so many pages of the frozen state; whether all are written now. */
  step(pagesMax: number): boolean {
    assert(this.#running !== undefined, 'a checkpoint was begun');
    return this.#parts.store.writeSlice(pagesMax);
  }

  flush(): void {
    this.#parts.pages.flush();
  }

  flushInBackground(): Promise<void> {
    return this.#parts.pages.flushInBackground();
  }

  /** All pages are written and durable: has the superblock name them, durably. */
  finish(): void {
    const running = this.#running;
    assert(running !== undefined, 'a checkpoint was begun');
    // Copies that a full disk stopped half way are written on as they were begun: else no two of the four may agree.
    this.#begun ??= this.#superblockOf(running);
    this.#superblocks.write(this.#begun);
    this.#begun = undefined;
    this.#sequence += 1;
    this.#place = running.place;
    this.#running = undefined;
    this.#isRenewed = false;
    this.#parts.pages.settled();
  }

  #superblockOf({ place, nextTenant }: Running): Uint8Array {
    const { hierarchy, store, pages, keys } = this.#parts;
    return encodeSuperblock(
      hierarchy.keyring.logId,
      {
        sequence: this.#sequence + 1,
        epoch: pages.epoch,
        pageCount: pages.pageCount,
        head: checkpointHeadOf(place),
        nextTenant,
        keyringGeneration: hierarchy.keyring.generation,
        roots: store.frozenRoots(),
        keys: keys.wrap(hierarchy.root),
      },
      keys,
    );
  }

  /** Finishes what was begun, on the calling turn. No flush is on its way. */
  complete(pagesPerStep: number): void {
    while (!this.step(pagesPerStep));
    this.flush();
    this.finish();
  }

  /** The store goes on in other trees: of these nothing is kept, and what was begun of those before is of no use. */
  renewed(): void {
    this.#running = undefined;
    this.#begun = undefined;
    this.#placesWritten = 0;
    this.#isRenewed = true;
  }

  /** Whether the newest durable checkpoint is of the trees before. */
  get isRenewed(): boolean {
    return this.#isRenewed;
  }

  /** Seals pages under a new key from now on; the next superblock holds it. False if there are too many keys. */
  renewKey(entropy: Entropy): boolean {
    const { keys, pages } = this.#parts;
    if (keys.count >= storeKeysMax) return false;
    const epoch = pages.epoch + 1;
    keys.renew(epoch, entropy);
    pages.beginEpoch(epoch);
    return true;
  }

  /** Whether pages may be left that are sealed under an older key than the newest. */
  get hasOlderKeys(): boolean {
    return this.#parts.keys.count > 1;
  }

  /** Begins with the first page anew. */
  beginTouching(): void {
    this.#parts.store.beginRewrite();
  }

  /** Has up to so many further pages written again by the next checkpoint; whether all are. */
  touchPages(pagesMax: number): boolean {
    return this.#parts.store.rewrite(pagesMax);
  }

  /** Forgets the older keys: no page of a durable checkpoint needs them. */
  dropOlderKeys(): void {
    this.#parts.keys.dropOlder();
  }

  /** Closes the files and wipes the keys. */
  close(): void {
    this.#superblocks.close();
    this.#parts.pages.close();
    this.#parts.keys.wipe();
  }
}
