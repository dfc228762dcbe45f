import type { LeafIndex, Position } from '../base/index.ts';
import type { Arena } from './arena.ts';

/** The row's bytes follow. */
export const rowKind = 0;
/** The row was deleted. */
export const deletedKind = 1;
/** A reference to a run follows: u32 first page, u32 length of the row, the 32 bytes that prove it. */
export const runKind = 2;
/** Keys that begin with this one go on in a tree of their own, whose number (f64) follows. */
export const layerKind = 3;

const kindMask = 3;
/** Position and leaf take seven bytes each instead of four. */
const wideBit = 4;
const twoTo32 = 0x1_0000_0000;

/** Most bytes before the row. */
export const versionHeaderMax = 15;

/**
 * A version as leaves hold it: u8 kind (and whether it is wide), position that wrote it, its event's leaf index (4
 * or 7 bytes each), and what the kind says. One object, filled again for every version looked at.
 */
export class VersionCell {
  kind = rowKind;
  from = 0 as Position;
  leaf = 0 as LeafIndex;
  /** Where the bytes after the header are in the arena, and how many. */
  dataAt = 0;
  dataLength = 0;

  read(arena: Arena, at: number, length: number): void {
    const { view } = arena;
    const first = arena.bytes[at]!;
    this.kind = first & kindMask;
    let header = 9;
    if ((first & wideBit) === 0) {
      this.from = view.getUint32(at + 1, true) as Position;
      this.leaf = view.getUint32(at + 5, true) as LeafIndex;
    } else {
      header = versionHeaderMax;
      this.from = getUint56(view, at + 1) as Position;
      this.leaf = getUint56(view, at + 8) as LeafIndex;
    }
    this.dataAt = at + header;
    this.dataLength = length - header;
  }

  /** Bytes of the header that `write` makes of these fields. */
  get headerLength(): number {
    return this.from < twoTo32 && this.leaf < twoTo32 ? 9 : versionHeaderMax;
  }

  /** Writes the header and returns where the data go. */
  write(arena: Arena, at: number): number {
    const { view } = arena;
    if (this.headerLength === 9) {
      arena.bytes[at] = this.kind;
      view.setUint32(at + 1, this.from, true);
      view.setUint32(at + 5, this.leaf, true);
      return at + 9;
    }
    arena.bytes[at] = this.kind | wideBit;
    setUint56(view, at + 1, this.from);
    setUint56(view, at + 8, this.leaf);
    return at + versionHeaderMax;
  }
}

function getUint56(view: DataView, at: number): number {
  return (
    view.getUint32(at, true) +
    twoTo32 * (view.getUint16(at + 4, true) + 0x1_0000 * view.getUint8(at + 6))
  );
}

function setUint56(view: DataView, at: number, value: number): void {
  const high = Math.floor(value / twoTo32);
  view.setUint32(at, value % twoTo32, true);
  view.setUint16(at + 4, high & 0xffff, true);
  view.setUint8(at + 6, high >>> 16);
}
