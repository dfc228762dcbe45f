import {
  assert,
  type LeafIndex,
  type Position,
  type StoreKey,
  type TreeId,
} from '../base/index.ts';
import { firstLayer, LongKeys } from './long-keys.ts';
import { MetaTree } from './meta-tree.ts';
import { pageBytes, type PageDevice } from './page-device.ts';
import { pastOf, viewOf } from './past-view.ts';
import { Pager, slotsMin } from './pager.ts';
import { PageRewriter } from './rewrite-pages.ts';
import type { Store, StoreChange, StoreVersion } from './store.ts';
import { decodeRoots, encodeRoots, type StoreRoots } from './store-roots.ts';
import { KeyCursor, VersionCursor } from './version-cursor.ts';
import { deletedKind } from './version-cell.ts';
import { VersionTrees } from './version-trees.ts';
import type {
  Cursor,
  HistoryCursor,
  KeyHistory,
  KeyRange,
  PastView,
  ReadView,
  StoredRow,
} from './view.ts';

const none: readonly StoreVersion[] = [];

export interface TreeStoreOptions {
  /** Bytes of pages kept in memory; at least 256 KiB, less than 2 GiB. */
  readonly cacheBytes: number;
}

/** The newest version of a key, whose row is read when it is asked for. */
class NewestVersion implements StoreVersion {
  readonly from: Position;
  readonly leaf: LeafIndex;
  readonly #read: () => Uint8Array | undefined;

  constructor(from: Position, leaf: LeafIndex, read: () => Uint8Array | undefined) {
    this.from = from;
    this.leaf = leaf;
    this.#read = read;
  }

  get row(): Uint8Array | undefined {
    return this.#read();
  }
}

/**
 * The store on pages: bounded memory, restarts from a checkpoint. Rows are returned as copies, good for ever.
 *
 * A checkpoint: `freeze` at a committed position, then `writeSlice` until it returns true, then `frozenRoots` is
 * what `open` needs to come back to that state; changes go on meanwhile.
 *
 * Invariant: all versions of a key are in the trees: the newest in one, the older ones in the other.
 */
export class TreeStore implements Store {
  #pager: Pager;
  readonly #trees: VersionTrees;
  readonly #longKeys: LongKeys;
  meta: MetaTree;
  #appliedPosition: Position;
  #frozen: StoreRoots | undefined;
  #failure: Error | undefined;
  #rewriter: PageRewriter | undefined;

  /** An empty store, or the one that `roots` (from `frozenRoots`) lead to. Throws CorruptionError. */
  constructor(device: PageDevice, options: TreeStoreOptions, roots?: Uint8Array) {
    const slots = Math.floor(options.cacheBytes / pageBytes);
    if (!(slots >= slotsMin && slots < 1 << 19))
      throw new RangeError(`cacheBytes must be from ${slotsMin * pageBytes} to 2 GiB.`);
    const from = roots === undefined ? undefined : decodeRoots(roots);
    this.#pager = new Pager(device, slots, from === undefined);
    this.#trees = new VersionTrees(this.#pager, from);
    this.meta = new MetaTree(this.#pager, from?.meta);
    this.#longKeys = new LongKeys(this.#trees, from?.nextLayer ?? firstLayer);
    this.#appliedPosition = from?.position ?? (0 as Position);
  }

  get appliedPosition(): Position {
    return this.#appliedPosition;
  }

  /** Pages with changes that are not written yet. Over `dirtyPagesMax`, changes wait for pages to be written. */
  get dirtyPages(): number {
    return this.#pager.arena.dirtyCount;
  }
  get dirtyPagesMax(): number {
    return this.#pager.dirtyMax;
  }

  /** Bytes of the pages in memory. */
  get cacheUsedBytes(): number {
    return this.#pager.arena.usedCount * pageBytes;
  }

  /** The tree that was read or changed last. */
  get treeInUse(): TreeId {
    return this.#trees.reading;
  }

  /** Whether a frozen state is not written in full yet. */
  get checkpointRunning(): boolean {
    return this.#pager.writer.running;
  }

  /** Throws CorruptionError; after that the store takes no more changes, and what it holds from the current position on is not whole. */
  apply(position: Position, batch: readonly StoreChange[]): void {
    assert(position > this.#appliedPosition, 'positions are applied in strictly increasing order');
    this.#failIfBroken();
    try {
      for (const change of batch) this.#put(position, change);
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    }
    this.#appliedPosition = position;
  }

  reach(batch: readonly StoreChange[]): void {
    if (this.#pager.isComplete) return;
    const place = this.#longKeys;
    for (const { tree, key } of batch) {
      this.#trees.reading = tree;
      if (place.resolve(tree, key)) this.#trees.reach(place.tree, place.key);
      // Keys like it get a new layer, which lies behind all others.
      else this.#trees.reach(place.nextLayer as TreeId, '' as StoreKey);
    }
  }

  get(tree: TreeId, key: StoreKey): StoredRow | undefined {
    // Newer versions of a batch that was not applied whole may be there.
    if (this.#failure !== undefined) return this.getAt(tree, key, this.#appliedPosition);
    return this.#find(tree, key) ? this.#rowFound() : undefined;
  }

  getAt(tree: TreeId, key: StoreKey, position: Position): StoredRow | undefined {
    if (!this.#find(tree, key)) return undefined;
    const trees = this.#trees;
    const place = this.#longKeys;
    if (trees.cell.from > position && !trees.findOlder(place.tree, place.key, position))
      return undefined;
    return this.#rowFound();
  }

  latest(tree: TreeId, key: StoreKey): StoreVersion | undefined {
    if (!this.#find(tree, key)) return undefined;
    const { from, leaf, kind } = this.#trees.cell;
    if (kind === deletedKind) return { row: undefined, from, leaf };
    // Most callers want the position or the leaf only; what a position wrote never changes.
    return new NewestVersion(from, leaf, () => this.getAt(tree, key, from)?.row);
  }

  scan(tree: TreeId, range: KeyRange): Cursor {
    return this.scanAt(tree, range, this.#appliedPosition);
  }

  scanAt(tree: TreeId, range: KeyRange, position: Position): Cursor {
    return new VersionCursor(this.#trees, new KeyCursor(this.#trees, tree, range), position);
  }

  viewAt(position: Position): ReadView {
    return viewOf(this, position);
  }

  get past(): PastView {
    return pastOf(this, this.#appliedPosition);
  }

  historiesAt(tree: TreeId, range: KeyRange, position: Position): HistoryCursor {
    const keys = new KeyCursor(this.#trees, tree, range);
    return { next: () => this.#nextHistory(keys, position) };
  }

  changedSince(tree: TreeId, range: KeyRange, position: Position): boolean {
    const keys = new KeyCursor(this.#trees, tree, { ...range, reverse: false });
    const { cell } = this.#trees;
    while (keys.next() !== undefined) {
      if (cell.from > position) return true;
    }
    return false;
  }

  versions(tree: TreeId, key: StoreKey): readonly StoreVersion[] {
    if (!this.#find(tree, key)) return none;
    const { tree: layer, key: part } = this.#longKeys;
    return this.#versionsFrom(layer, part);
  }

  /** The trees that hold anything, ascending. */
  trees(): TreeId[] {
    return this.#trees.logicalTrees(firstLayer as TreeId);
  }

  /** Every key of a tree that ever was, ascending, with its versions newest first. */
  *history(tree: TreeId): Generator<{ key: StoreKey; versions: readonly StoreVersion[] }> {
    const keys = new KeyCursor(this.#trees, tree, {});
    for (let key = keys.next(); key !== undefined; key = keys.next())
      yield { key, versions: this.#versionsFrom(keys.tree, keys.part) };
  }

  /**
   * Goes on with the trees of `other`, which holds the same and was never frozen, on `device`: the one that `other`'s
   * pages are of. Whoever walks this store walks on in those; `other` is used no further.
   */
  takeOver(other: TreeStore, device: PageDevice): void {
    assert(other.#appliedPosition === this.#appliedPosition, 'both are of one position');
    assert(other.#frozen === undefined, 'no page of the other is part of a checkpoint');
    this.#pager = other.#pager;
    this.#pager.device = device;
    this.#trees.takeOver(other.#trees);
    this.meta = other.meta;
    this.#longKeys.nextLayer = other.#longKeys.nextLayer;
    this.#frozen = undefined;
    this.#failure = undefined;
    this.#rewriter = undefined;
  }

  /** Freezes the state at `appliedPosition`. The one frozen before must be written in full. */
  freeze(): void {
    this.#failIfBroken();
    const { current, history } = this.#trees;
    this.#frozen = {
      current: current.root(),
      history: history.root(),
      meta: this.meta.root(),
      position: this.#appliedPosition,
      nextLayer: this.#longKeys.nextLayer,
    };
    this.#pager.writer.freeze();
  }

  /** Writes up to `pagesMax` pages of the frozen state. Returns true when all of it is written. */
  writeSlice(pagesMax: number): boolean {
    return this.#pager.writer.write(pagesMax);
  }

  /** What leads to the state frozen last, once it is written in full: 136 bytes. */
  frozenRoots(): Uint8Array {
    assert(!this.checkpointRunning, 'the frozen state is written in full');
    assert(this.#frozen !== undefined, 'a state was frozen');
    return encodeRoots(this.#frozen, this.#pager.refs);
  }

  /** `rewrite` begins anew. */
  beginRewrite(): void {
    this.#rewriter = undefined;
  }

  /**
   * Has every page and run written again, under the device's key of now: up to so many leaves a call; whether all is
   * done. The old ones are free once two further checkpoints are durable.
   */
  rewrite(leavesMax: number): boolean {
    this.#failIfBroken();
    const { current, history } = this.#trees;
    this.#rewriter ??= new PageRewriter(this.#pager, [current, history, this.meta.pages]);
    return this.#rewriter.step(leavesMax);
  }

  #nextHistory(keys: KeyCursor, position: Position): KeyHistory | undefined {
    for (let key = keys.next(); key !== undefined; key = keys.next()) {
      const versions = this.#versionsFrom(keys.tree, keys.part);
      const known = versions.filter((version) => version.from <= position);
      if (known.length > 0) return { key, versions: known };
    }
    return undefined;
  }

  #put(position: Position, change: StoreChange): void {
    const place = this.#longKeys;
    this.#trees.reading = change.tree;
    place.resolveForPut(change.tree, change.key);
    this.#trees.put(place.tree, place.key, {
      from: position,
      leaf: change.leaf,
      row: change.row,
    });
  }

  #find(tree: TreeId, key: StoreKey): boolean {
    const place = this.#longKeys;
    this.#trees.reading = tree;
    return place.resolve(tree, key) && this.#trees.findCurrent(place.tree, place.key);
  }

  #rowFound(): StoredRow | undefined {
    const { cell } = this.#trees;
    if (cell.kind === deletedKind) return undefined;
    return { row: this.#trees.rowOfCell(), from: cell.from, leaf: cell.leaf };
  }

  #versionFound(): StoreVersion {
    const { cell } = this.#trees;
    const row = cell.kind === deletedKind ? undefined : this.#trees.rowOfCell();
    return { row, from: cell.from, leaf: cell.leaf };
  }

  /** The version in the trees' `cell` and all older ones. */
  #versionsFrom(tree: TreeId, part: StoreKey): StoreVersion[] {
    const versions: StoreVersion[] = [];
    let more = true;
    while (more) {
      const version = this.#versionFound();
      versions.push(version);
      more = this.#trees.findOlder(tree, part, (version.from - 1) as Position);
    }
    return versions;
  }

  #failIfBroken(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
