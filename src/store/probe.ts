import { assert, type StoreKey, type TreeId } from '../base/index.ts';
import { signBit } from './page-layout.ts';

/** Longest key that a page holds: tree (7), length (2), the key's slice, inverted position (7). */
export const physicalKeyMax = 512;
export const treeBytes = 7;
/** Zeros follow the key, so that heads may be read past its end. */
const padBytes = 4;

/** A key to search for, as bytes in a buffer that is used again and again. */
export class Probe {
  readonly bytes = new Uint8Array(physicalKeyMax + padBytes);
  length = 0;
  #tree = -1;

  /** A key of the tree that holds all logical trees: the tree's number (7 bytes, big-endian), then the key. */
  setCurrent(tree: TreeId, key: StoreKey): void {
    this.#setTree(tree);
    this.#append(treeBytes, key);
  }

  /**
   * The key of a version in the history: tree, length of the key (2), key, 2^56 - 1 - from (7), so newer
   * versions come first. With its length before it no key is the beginning of another.
   */
  setHistory(tree: TreeId, key: StoreKey, from: number): void {
    this.#setTree(tree);
    const bytes = this.bytes;
    bytes[treeBytes] = key.length >>> 8;
    bytes[treeBytes + 1] = key.length & 0xff;
    this.#append(treeBytes + 2, key);
    this.setFrom(from);
  }

  /** Changes the position at the end of a key of the history. */
  setFrom(from: number): void {
    const at = treeBytes + 2 + ((this.bytes[treeBytes]! << 8) | this.bytes[treeBytes + 1]!);
    const high = 0xff_ffff - Math.floor(from / 0x1_0000_0000);
    const low = ~from;
    const bytes = this.bytes;
    bytes[at] = high >>> 16;
    bytes[at + 1] = (high >>> 8) & 0xff;
    bytes[at + 2] = high & 0xff;
    bytes[at + 3] = low >>> 24;
    bytes[at + 4] = (low >>> 16) & 0xff;
    bytes[at + 5] = (low >>> 8) & 0xff;
    bytes[at + 6] = low & 0xff;
    this.#end(at + 7);
  }

  /** Bytes of a history key before the position. */
  get versionsLength(): number {
    return this.length - 7;
  }

  /** A key of the meta tree: the bytes as they are. */
  setPlain(key: StoreKey): void {
    this.#tree = -1;
    this.#append(0, key);
  }

  /** Keeps the first `length` bytes. */
  truncate(length: number): void {
    this.#end(length);
  }

  /** The four bytes at `at` as a page's heads hold them. */
  headAt(at: number): number {
    const bytes = this.bytes;
    return (
      ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) ^
      signBit
    );
  }

  /**
   * Compares with a key whose first `prefix` bytes and head are the same; it has `rest` bytes after the prefix,
   * the ones after the head at `tail` of `other`. Negative: the probe comes first.
   */
  compareTail(prefix: number, other: Uint8Array, tail: number, rest: number): number {
    const bytes = this.bytes;
    const mine = this.length - prefix;
    const common = mine < rest ? mine : rest;
    const shift = tail - 4;
    for (let at = 4; at < common; at++) {
      const difference = bytes[prefix + at]! - other[shift + at]!;
      if (difference !== 0) return difference;
    }
    return mine - rest;
  }

  /** How many bytes, `known` or more, another key has in common from its start; its bytes after the head are at `key` + 4. */
  commonWith(other: Uint8Array, key: number, rest: number, known: number): number {
    const bytes = this.bytes;
    const length = this.length < rest ? this.length : rest;
    let at = known < length ? known : length;
    while (at < length && bytes[at] === other[key + at]) at++;
    return at;
  }

  #setTree(tree: number): void {
    if (this.#tree === tree) return;
    this.#tree = tree;
    const bytes = this.bytes;
    const high = Math.floor(tree / 0x1_0000_0000);
    bytes[0] = high >>> 16;
    bytes[1] = (high >>> 8) & 0xff;
    bytes[2] = high & 0xff;
    bytes[3] = (tree >>> 24) & 0xff;
    bytes[4] = (tree >>> 16) & 0xff;
    bytes[5] = (tree >>> 8) & 0xff;
    bytes[6] = tree & 0xff;
  }

  #append(at: number, key: StoreKey): void {
    const length = key.length;
    assert(at + length + 7 <= physicalKeyMax, 'longer keys are cut into layers');
    const bytes = this.bytes;
    for (let index = 0; index < length; index++) bytes[at + index] = key.charCodeAt(index);
    this.#end(at + length);
  }

  #end(length: number): void {
    const bytes = this.bytes;
    this.length = length;
    bytes[length] = 0;
    bytes[length + 1] = 0;
    bytes[length + 2] = 0;
    bytes[length + 3] = 0;
  }
}

/** The number of the logical tree that a physical key begins with. */
export function treeOfKey(bytes: Uint8Array): TreeId {
  const high = (bytes[0]! << 16) | (bytes[1]! << 8) | bytes[2]!;
  const low = ((bytes[3]! << 24) | (bytes[4]! << 16) | (bytes[5]! << 8) | bytes[6]!) >>> 0;
  return (high * 0x1_0000_0000 + low) as TreeId;
}

/** The bytes from `start` to `end` as a key. */
export function keyOf(bytes: Uint8Array, start: number, end: number): StoreKey {
  let key = '';
  for (let at = start; at < end; at++) key += String.fromCharCode(bytes[at]!);
  return key as StoreKey;
}
