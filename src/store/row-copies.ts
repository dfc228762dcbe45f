const slabBytes = 32 << 10;

/**
 * Copies rows out of the arena, where a page may be gone at the next read. Small ones share a slab: making an
 * ArrayBuffer for each costs more than the copy.
 */
export class RowCopies {
  #slab = new Uint8Array(slabBytes);
  #used = 0;

  /** A copy of `length` bytes of `source` from `start`. */
  copy(source: Uint8Array, start: number, length: number): Uint8Array {
    if (length > slabBytes >> 3) return source.slice(start, start + length);
    if (this.#used + length > slabBytes) {
      this.#slab = new Uint8Array(slabBytes);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += length;
    const slab = this.#slab;
    if (length > 32) slab.set(new Uint8Array(source.buffer, source.byteOffset + start, length), at);
    else for (let index = 0; index < length; index++) slab[at + index] = source[start + index]!;
    return new Uint8Array(slab.buffer, at, length);
  }
}
