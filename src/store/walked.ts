import { equalBytes, type Position, type StoreKey, toHex, type TreeId } from '../base/index.ts';
import { Writer } from '../codec/index.ts';
import { Sha256 } from '../crypto/index.ts';
import type { StoreVersion } from './store.ts';

/** A store that can be walked whole, deleted keys and older versions included. */
export interface WalkedStore {
  readonly appliedPosition: Position;
  /** The trees that hold anything, ascending. */
  trees(): TreeId[];
  /** Every key of a tree that ever was, ascending, with its versions newest first. */
  history(tree: TreeId): Generator<StoreHistory>;
}

export interface StoreHistory {
  readonly key: StoreKey;
  readonly versions: readonly StoreVersion[];
}

/** Whether two lists of versions of a key are the same. */
export function sameVersions(
  left: readonly StoreVersion[],
  right: readonly StoreVersion[],
): boolean {
  return (
    left.length === right.length &&
    left.every((version, index) => sameVersion(version, right[index] as StoreVersion))
  );
}

function sameVersion(left: StoreVersion, right: StoreVersion): boolean {
  if (left.from !== right.from || left.leaf !== right.leaf) return false;
  if (left.row === undefined || right.row === undefined) return left.row === right.row;
  return equalBytes(left.row, right.row);
}

/**
 * SHA-256, in hex, over every version of every key of every tree, in order. Equal logs give equal content hashes,
 * whatever the pages, cache, checkpoints and restarts in between.
 */
export function contentHashOf(store: WalkedStore): string {
  const hash = new Sha256();
  const record = new Writer();
  for (const tree of store.trees()) {
    for (const { key, versions } of store.history(tree)) {
      record.reset();
      record.u64(tree);
      record.u32(key.length);
      for (let index = 0; index < key.length; index++) record.u8(key.charCodeAt(index));
      record.u32(versions.length);
      for (const { from, leaf, row } of versions) {
        record.u64(from);
        record.u64(leaf);
        record.u8(row === undefined ? 0 : 1);
        if (row !== undefined) record.bytes(row);
      }
      hash.update(record.view());
    }
  }
  return toHex(hash.digest());
}
