/**
 * The Merkle tree (RFC 6962) over the commitments of all events of the log. Full tiles go to `proofs/`, some at a time; the
 * incomplete one of each level is in memory.
 *
 * Invariants
 * - `size` leaves are in the tree, in the log's order, and only of frames that are durable.
 * - A proof is checked against its root before it is given out: tiles that were damaged since they were written never
 *   lead to a wrong one.
 * - All of it follows from the log: what is missing or does not fit is made again from its frames, for which no key is needed.
 */
import {
  assert,
  CorruptionError,
  equalBytes,
  type LeafIndex,
  type Scheduler,
} from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import { leafBytes } from '../log/index.ts';
import {
  consistencyProof,
  hashBytes,
  inclusionProof,
  nodesOfTiles,
  rootOf,
  tileBytes,
  tileHashes,
  tileWidth,
  verifyConsistency,
  verifyInclusion,
} from '../proof/index.ts';
import { isDiskFull } from './commit-errors.ts';
import type { LocatedFrame } from './log-reader.ts';
import { type TileFiles, tilesPath } from './tile-files.ts';
import { hashLeaves, tileRoot } from './tree-hashes.ts';
import { TreeLevels } from './tree-levels.ts';
import { KeptNodes } from './tree-nodes.ts';

/** Full tiles of level 0 that wait in memory before they are written: 16,384 leaves, 512 KiB. */
const tilesWaitingMax = 64;
/** Tiles read from the disk that are kept: 256 KiB. */
const tilesCachedMax = 32;
/** Leaves hashed within one turn of the event loop: about a millisecond. */
const leavesPerTurn = 2_048;

export interface LogTreeParts {
  readonly files: TileFiles;
  readonly isOwner: boolean;
  readonly scheduler: Scheduler;
  /** The durable frames of the log, from one that does not begin behind this leaf. */
  readonly framesFrom: (leaf: LeafIndex) => Iterable<LocatedFrame>;
  /** How many leaves the log has, all of them durable. */
  readonly leafCount: () => number;
}

export class LogTree {
  readonly #parts: LogTreeParts;
  readonly #cache = new Map<string, Uint8Array>();
  /** Tiles that the file has otherwise, of a handle that only reads. */
  readonly #own = new Map<string, Uint8Array>();
  #levels = new TreeLevels();
  /** Leaves that the record on the disk stands for, as far as is known. */
  #keptSize = 0;
  #keeping: Promise<void> | undefined;
  #catchingUp: Promise<void> | undefined;
  /** What stopped tiles being written; they stay in memory then. */
  #writeFailure: unknown;
  #isClosed = false;

  /** The tree as far as the tiles on the disk hold it. */
  constructor(parts: LogTreeParts) {
    this.#parts = parts;
    if (!this.#restore()) this.#clear();
  }

  /** Leaves in the tree. */
  get size(): number {
    return this.#levels.size;
  }

  /** Whether every leaf of the log is in it. */
  get isCurrent(): boolean {
    return this.size === this.#parts.leafCount();
  }

  /** A frame became durable. `leaves` as in the frame: section number and commitment of each event. */
  note(firstLeaf: LeafIndex, leaves: Uint8Array): void {
    // Behind, it reads the log until it is not.
    if (firstLeaf !== this.size || this.#isClosed) return;
    this.#levels.append(leaves);
    this.#relieve();
  }

  /** Takes in what of the log it lacks, a slice a turn. Rejects with damage of the log. */
  async catchUp(): Promise<void> {
    while (!this.isCurrent && !this.#isClosed) {
      this.#catchingUp ??= this.#readRest().finally(() => {
        this.#catchingUp = undefined;
      });
      await this.#catchingUp;
    }
  }

  /** As `catchUp`, on this turn. */
  catchUpNow(): void {
    if (this.isCurrent) return;
    for (const { frame } of this.#parts.framesFrom(this.size as LeafIndex)) this.#take(frame);
  }

  /** The root of the first `size` leaves. Throws CorruptionError where a tile is missing. */
  root(size: number): Uint8Array {
    this.#checkSize(size);
    return this.#healed(() => rootOf(sha256, this.#nodes, size));
  }

  /** The hash of a leaf. */
  leafHash(leaf: number): Uint8Array {
    this.#checkSize(leaf + 1);
    return this.#healed(() => this.#nodes.node(0, leaf).slice());
  }

  /** The way from a leaf to the root of the first `size` leaves. */
  inclusionProof(leaf: number, size: number): Uint8Array[] {
    this.#checkSize(size);
    assert(leaf < size, 'the leaf is in the tree');
    return this.#healed(() => {
      const proof = inclusionProof(sha256, this.#nodes, leaf, size);
      const claim = { index: leaf, size, leafHash: this.#nodes.node(0, leaf), proof };
      return verifyInclusion(sha256, { ...claim, root: this.#nodes.root(size) })
        ? proof
        : undefined;
    });
  }

  /** The proof that the first `to` leaves begin with the first `from`. */
  consistencyProof(from: number, to: number): Uint8Array[] {
    this.#checkSize(to);
    assert(from <= to, 'a tree grows');
    return this.#healed(() => {
      const proof = consistencyProof(sha256, this.#nodes, from, to);
      const [fromRoot, toRoot] = [from, to].map((size) => rootOf(sha256, this.#nodes, size));
      const claim = { from, to, fromRoot, toRoot, proof } as Parameters<
        typeof verifyConsistency
      >[1];
      return verifyConsistency(sha256, claim) ? proof : undefined;
    });
  }

  /** Makes all full tiles durable, and gives the files back. For an owner when its log is complete. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const { files, isOwner } = this.#parts;
    try {
      await this.#keeping;
      const isWritable = isOwner && this.#writeFailure === undefined;
      const isKept = this.#levels.fullLeaves === this.#keptSize;
      if (isWritable && !isKept) this.#tryWriting(() => files.keepNow(this.#write()));
    } finally {
      files.close();
    }
  }

  readonly #nodes = new KeptNodes(nodesOfTiles(sha256, (level, index) => this.#tile(level, index)));

  #checkSize(size: number): void {
    // Whoever only reads takes in what it lacks when it is asked.
    if (size > this.size && !this.#isClosed) this.catchUpNow();
    assert(Number.isSafeInteger(size) && size >= 0 && size <= this.size, 'the tree is that large');
  }

  /** The result of `make`, or what it is when the tree was made again: from damaged tiles comes nothing. */
  #healed<T>(make: () => T | undefined): T {
    const size = this.size;
    try {
      const made = make();
      if (made !== undefined) return made;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
    }
    this.#clear();
    this.catchUpNow();
    const made = this.size >= size ? make() : undefined;
    if (made !== undefined) return made;
    throw new CorruptionError(
      'STATE_MISMATCH',
      tilesPath(0),
      0,
      'Tiles of the Merkle tree that do not fit each other, nor the log, lie',
    );
  }

  #clear(): void {
    this.#levels = new TreeLevels();
    this.#keptSize = 0;
    this.#own.clear();
    this.#cache.clear();
    this.#nodes.clear();
  }

  /** Goes on from the tiles on the disk; false if they are not what the record says. */
  #restore(): boolean {
    const { files, leafCount } = this.#parts;
    const record = files.record();
    if (record === undefined) return true;
    const { size, root } = record;
    if (size > leafCount() || size % tileWidth !== 0) return false;
    for (let number = 0; tileHashes(number, size) > 0; number++) {
      const level = this.#levels.level(number);
      const hashes = tileHashes(number, size);
      level.written = Math.floor(hashes / tileWidth);
      level.count = hashes % tileWidth;
      for (let at = 0; at < level.count; at++) {
        const tile = files.read(number - 1, level.written * tileWidth + at);
        if (tile === undefined) return false;
        level.partial.set(tileRoot(tile), at * hashBytes);
      }
    }
    this.#levels.size = size;
    this.#keptSize = size;
    try {
      return equalBytes(rootOf(sha256, this.#nodes, size), root) && this.#isOfLog(size - 1);
    } catch (error) {
      if (error instanceof CorruptionError) return false;
      throw error;
    }
  }

  /**
   * Whether the tiles have this leaf from the log as it is: not from one whose end was cut since, or from a copy that went
   * another way. No two logs have one leaf, since commitments are salted, unless all before it is the same.
   */
  #isOfLog(last: number): boolean {
    for (const { frame } of this.#parts.framesFrom(last as LeafIndex)) {
      const at = last - frame.header.firstLeaf;
      if (at >= frame.header.leafCount) continue;
      const leaf = frame.leaves.subarray(at * leafBytes, (at + 1) * leafBytes);
      return equalBytes(hashLeaves(leaf), this.#nodes.node(0, last));
    }
    return false;
  }

  /** A tile: of those in the file one whose root is what stands above it. */
  #tile(number: number, index: number): Uint8Array {
    const level = this.#levels.all[number];
    if (level !== undefined && index >= level.written) {
      return level.waiting[index - level.written] ?? level.partial;
    }
    const name = `${number}/${index}`;
    const known = this.#own.get(name) ?? this.#cache.get(name);
    if (known !== undefined) return known;
    const tile = this.#parts.files.read(number, index);
    const above = this.#tile(number + 1, Math.floor(index / tileWidth));
    const at = (index % tileWidth) * hashBytes;
    if (tile === undefined || !equalBytes(tileRoot(tile), above.subarray(at, at + hashBytes)))
      throw new CorruptionError(
        'CHECKSUM_MISMATCH',
        tilesPath(number),
        index * tileBytes,
        'A tile of the Merkle tree that is missing or damaged lies',
      );
    if (this.#cache.size >= tilesCachedMax) {
      const [oldest] = this.#cache.keys();
      this.#cache.delete(oldest as string);
    }
    this.#cache.set(name, tile);
    return tile;
  }

  async #readRest(): Promise<void> {
    let hashed = 0;
    for (const { frame } of this.#parts.framesFrom(this.size as LeafIndex)) {
      hashed += this.#take(frame);
      if (this.#isClosed) return;
      if (hashed < leavesPerTurn) continue;
      hashed = 0;
      await new Promise<void>((resolve) => this.#parts.scheduler.defer(resolve));
      if (this.#isClosed) return;
    }
  }

  /** Appends what the tree lacks of a frame that was read; how many leaves that was. */
  #take({ header, leaves }: LocatedFrame['frame']): number {
    const known = this.size - header.firstLeaf;
    if (header.leafCount === 0 || known >= header.leafCount) return 0;
    assert(known >= 0, 'frames are read in order');
    this.#levels.append(leaves.subarray(known * leafBytes));
    this.#relieve();
    return header.leafCount - known;
  }

  /** Keeps memory bounded: full tiles are written, or the owner of the log has written them. */
  #relieve(): void {
    const { waiting } = this.#levels;
    if (waiting < tilesWaitingMax) return;
    const { files, isOwner } = this.#parts;
    if (!isOwner) {
      this.#letGo();
      return;
    }
    if (this.#writeFailure !== undefined) return;
    if (this.#keeping !== undefined) {
      // While the whole log is read on one turn no flush ends.
      if (waiting >= 2 * tilesWaitingMax) this.#tryWriting(() => void this.#write());
      return;
    }
    this.#tryWriting(() => {
      const levels = this.#levels;
      const record = this.#write();
      this.#keeping = files
        .keep(record)
        .then(() => {
          // Not that of a tree that was made again meanwhile.
          if (levels === this.#levels) this.#keptSize = record.size;
        })
        .catch((error: unknown) => this.#failed(error))
        .finally(() => {
          this.#keeping = undefined;
        });
    });
  }

  /** Proofs rest on the log, so nothing but their speed is lost when tiles cannot be written. */
  #tryWriting(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    // With room they are written later; after a failed flush nothing is known of what was.
    if (!isDiskFull(error)) this.#writeFailure = error;
  }

  /** Hands full tiles to their files; what they are good for then. */
  #write(): { readonly size: number; readonly root: Uint8Array } {
    const { files } = this.#parts;
    for (const [number, level] of this.#levels.all.entries()) {
      const { written, waiting } = level;
      if (waiting.length === 0) continue;
      const tiles = new Uint8Array(waiting.length * tileBytes);
      for (const [index, tile] of waiting.entries()) tiles.set(tile, index * tileBytes);
      files.write(number, written, tiles);
      level.written += waiting.length;
      level.waiting = [];
    }
    const size = this.#levels.fullLeaves;
    return { size, root: rootOf(sha256, this.#nodes, size) };
  }

  /** A handle that only reads leaves full tiles to the file when it has them; tiles that are damaged there it keeps. */
  #letGo(): void {
    const { files } = this.#parts;
    for (const [number, level] of this.#levels.all.entries()) {
      const there = files.count(number) - level.written;
      const left = level.waiting.splice(0, Math.max(0, there));
      for (const tile of left) {
        const stored = files.read(number, level.written);
        if (stored === undefined || !equalBytes(stored, tile))
          this.#own.set(`${number}/${level.written}`, tile);
        level.written += 1;
      }
    }
  }
}
