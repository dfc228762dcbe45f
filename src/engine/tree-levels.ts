/** What of the Merkle tree is in memory: of each level the incomplete tile, and full ones that wait to be written. */
import { hashBytes, tileBytes, tileWidth } from '../proof/index.ts';
import { leafBytes } from '../log/index.ts';
import { hashLeaves, tileRoot } from './tree-hashes.ts';

/** The tiles of one level that are not in its file, or not for certain. */
export interface Level {
  /** Tiles in the file. */
  written: number;
  /** Full tiles behind those. */
  waiting: Uint8Array[];
  partial: Uint8Array;
  /** Hashes in `partial`. */
  count: number;
}

const emptyLevel = (): Level => ({
  written: 0,
  waiting: [],
  partial: new Uint8Array(tileBytes),
  count: 0,
});

export class TreeLevels {
  /** From the leaves upwards. */
  readonly all: Level[] = [];
  /** Leaves. */
  size = 0;

  /** A level; a new one is empty. */
  level(number: number): Level {
    return (this.all[number] ??= emptyLevel());
  }

  /** Full tiles of the leaves that wait to be written. */
  get waiting(): number {
    return this.all[0]?.waiting.length ?? 0;
  }

  /** Leaves in full tiles, written or not. */
  get fullLeaves(): number {
    return this.size - (this.size % tileWidth);
  }

  /** Appends the leaves of a frame, as they stand there. */
  append(leaves: Uint8Array): void {
    const hashes = hashLeaves(leaves);
    for (let at = 0; at < hashes.length;) {
      const level = this.level(0);
      const room = (tileWidth - level.count) * hashBytes;
      const part = hashes.subarray(at, Math.min(hashes.length, at + room));
      level.partial.set(part, level.count * hashBytes);
      level.count += part.length / hashBytes;
      at += part.length;
      if (level.count === tileWidth) this.#fill(0);
    }
    this.size += leaves.length / leafBytes;
  }

  /** The tile of a level is full: it waits to be written, and its root goes into the level above. */
  #fill(number: number): void {
    const level = this.level(number);
    const tile = level.partial;
    level.waiting.push(tile);
    level.partial = new Uint8Array(tileBytes);
    level.count = 0;
    const above = this.level(number + 1);
    above.partial.set(tileRoot(tile), above.count * hashBytes);
    above.count += 1;
    if (above.count === tileWidth) this.#fill(number + 1);
  }
}
