import type { LeafIndex, Position, StoreKey, TreeId } from '../base/index.ts';
import { Writer } from '../codec/index.ts';
import { sha256Into } from '../crypto/index.ts';

/** 32-bit words of a sum. */
const words = 4;
const digestBytes = 32;

/** A version of a key; a deletion has no row. */
export interface SummedVersion {
  readonly key: StoreKey;
  readonly from: Position;
  readonly leaf: LeafIndex;
  readonly row: Uint8Array | undefined;
  /** Of a row: the leaf of the version before, `noLink` without one; undefined for what is no row. */
  readonly link: number | undefined;
}

/** The sum of some versions of a tree's keys, and how many these are. */
export interface VersionSum {
  readonly count: number;
  readonly sum: Uint32Array;
}

/**
 * Sums over versions of rows, by tree. In whatever order and however divided the versions come, equal sums are of equal versions:
 * what is added up is a keyed hash of each, and nobody who could choose the versions knows the key, which is drawn for one audit.
 */
export class VersionSums {
  readonly #trees = new Map<TreeId, { count: number; readonly sum: Uint32Array }>();
  readonly #record = new Writer(1_024);
  readonly #digest = new Uint8Array(digestBytes);
  readonly #view = new DataView(this.#digest.buffer);
  readonly #start: number;

  /** `key`: 32 bytes, which are copied. */
  constructor(key: Uint8Array) {
    this.#record.raw(key);
    this.#start = this.#record.length;
  }

  add(tree: TreeId, { key, from, leaf, row, link }: SummedVersion): void {
    const record = this.#record;
    record.truncate(this.#start);
    record.u64(tree);
    record.u64(from);
    record.u64(leaf);
    // 0 for what is no row, 1 for the first of one.
    record.u64(link === undefined ? 0 : link + 2);
    record.u32(key.length);
    for (let index = 0; index < key.length; index++) record.u8(key.charCodeAt(index));
    record.u8(row === undefined ? 0 : 1);
    if (row !== undefined) record.raw(row);
    sha256Into(this.#digest, 0, record.view());
    const into = this.#of(tree);
    into.count += 1;
    for (let word = 0; word < words; word++)
      into.sum[word] = (into.sum[word] as number) + this.#view.getUint32(word * 4, true);
  }

  /** Adds the sums that another made, of other versions and under the same key. */
  addAll(others: ReadonlyMap<TreeId, VersionSum>): void {
    for (const [tree, { count, sum }] of others) {
      const into = this.#of(tree);
      into.count += count;
      for (let word = 0; word < words; word++)
        into.sum[word] = (into.sum[word] as number) + (sum[word] as number);
    }
  }

  get sums(): ReadonlyMap<TreeId, VersionSum> {
    return this.#trees;
  }

  #of(tree: TreeId): { count: number; readonly sum: Uint32Array } {
    let sum = this.#trees.get(tree);
    if (sum === undefined) {
      sum = { count: 0, sum: new Uint32Array(words) };
      this.#trees.set(tree, sum);
    }
    return sum;
  }
}

/** The trees whose versions differ, ascending. */
export function treesThatDiffer(
  left: ReadonlyMap<TreeId, VersionSum>,
  right: ReadonlyMap<TreeId, VersionSum>,
): TreeId[] {
  const same = (tree: TreeId): boolean => {
    const [one, other] = [left.get(tree), right.get(tree)];
    return (
      (one?.count ?? 0) === (other?.count ?? 0) &&
      (one === undefined ||
        other === undefined ||
        one.sum.every((word, index) => word === other.sum[index]))
    );
  };
  return [...new Set([...left.keys(), ...right.keys()])]
    .filter((tree) => !same(tree))
    .toSorted((one, other) => one - other);
}
