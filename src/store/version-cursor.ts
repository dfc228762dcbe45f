import type { Position, StoreKey, TreeId } from '../base/index.ts';
import { LayerCursor } from './layer-cursor.ts';
import { sliceOf } from './long-keys.ts';
import { deletedKind, layerKind } from './version-cell.ts';
import type { VersionTrees } from './version-trees.ts';
import type { Cursor, KeyRange, StoreEntry } from './view.ts';

/** A layer that is being walked: all its keys begin with `prefix`. */
interface OpenLayer {
  readonly cursor: LayerCursor;
  readonly prefix: string;
}

/** Walks whole keys of a tree, deletions included, through the layers of long ones. */
export class KeyCursor {
  readonly #trees: VersionTrees;
  readonly #root: TreeId;
  readonly #range: KeyRange;
  readonly #reverse: boolean;
  readonly #layers: OpenLayer[] = [];
  /** Where the last key is kept: its tree, and its part there. */
  tree: TreeId;
  part = '' as StoreKey;

  constructor(trees: VersionTrees, tree: TreeId, range: KeyRange) {
    this.#trees = trees;
    this.#root = tree;
    this.#range = range;
    this.#reverse = range.reverse === true;
    this.tree = tree;
    this.#open(tree, '');
  }

  /** The next key, with its newest version in the trees' `cell`, or undefined at the end. */
  next(): StoreKey | undefined {
    const { cell } = this.#trees;
    this.#trees.reading = this.#root;
    for (let top = this.#layers.at(-1); top !== undefined; top = this.#layers.at(-1)) {
      const part = top.cursor.next();
      if (part === undefined) {
        this.#layers.pop();
        continue;
      }
      const key = (top.prefix + part) as StoreKey;
      top.cursor.readCell();
      if (cell.kind === layerKind) {
        if (this.#endsBefore(key, true)) break;
        this.#open(this.#trees.layerOfCell(), key);
      } else {
        if (this.#endsBefore(key, false)) break;
        this.tree = top.cursor.tree;
        this.part = part;
        return key;
      }
    }
    this.#layers.length = 0;
    return undefined;
  }

  /** Whether `key` (or all keys that begin with it) lies past the end of the range. */
  #endsBefore(key: StoreKey, layer: boolean): boolean {
    const { from, to } = this.#range;
    if (!this.#reverse) return to !== undefined && key >= to;
    return from !== undefined && key < from && !(layer && from.startsWith(key));
  }

  /** Goes on in the layer whose keys begin with `prefix`, at the start of the range if that is there. */
  #open(tree: TreeId, prefix: string): void {
    const start = this.#reverse ? this.#range.to : this.#range.from;
    const rest = start?.startsWith(prefix) === true ? start.slice(prefix.length) : undefined;
    let bound = rest === undefined ? undefined : sliceOf(rest as StoreKey);
    // Downwards, keys below a longer bound may begin with its slice.
    if (this.#reverse && bound !== rest) bound = `${bound}\0` as StoreKey;
    this.#layers.push({ cursor: new LayerCursor(this.#trees, tree, bound, this.#reverse), prefix });
  }
}

/** The entries of a range as of a position. */
export class VersionCursor implements Cursor {
  readonly #trees: VersionTrees;
  readonly #keys: KeyCursor;
  readonly #position: Position;
  #done = false;

  constructor(trees: VersionTrees, keys: KeyCursor, position: Position) {
    this.#trees = trees;
    this.#keys = keys;
    this.#position = position;
  }

  next(): StoreEntry | undefined {
    const trees = this.#trees;
    const { cell } = trees;
    while (!this.#done) {
      const key = this.#keys.next();
      if (key === undefined) break;
      const { tree, part } = this.#keys;
      if (cell.from > this.#position && !trees.findOlder(tree, part, this.#position)) continue;
      if (cell.kind === deletedKind) continue;
      const { from, leaf } = cell;
      return { key, row: trees.rowOfCell(), from, leaf };
    }
    this.#done = true;
    return undefined;
  }
}
