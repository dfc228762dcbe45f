const capacityMin = 4096;

/**
 * Bytes with a size, over a buffer that grows. Bytes may be put past the size; they are seen when
 * the size grows over them and are gone when it shrinks.
 */
export class SparseBytes {
  #bytes: Uint8Array;
  #sizeBytes: number;

  /** Copies `content`. */
  constructor(content: Uint8Array) {
    this.#bytes = content.slice();
    this.#sizeBytes = content.length;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  read(target: Uint8Array, offset: number): number {
    const end = Math.min(offset + target.length, this.#sizeBytes);
    if (end <= offset) return 0;
    this.#reserve(end);
    target.set(this.#bytes.subarray(offset, end));
    return end - offset;
  }

  /** Puts `bytes` at `offset` without changing the size. */
  put(bytes: Uint8Array, offset: number): void {
    this.#reserve(offset + bytes.length);
    this.#bytes.set(bytes, offset);
  }

  resize(sizeBytes: number): void {
    if (sizeBytes < this.#sizeBytes) this.#bytes.fill(0, sizeBytes);
    this.#sizeBytes = sizeBytes;
  }

  /** A copy of [start, end), zeros where nothing was put. */
  copy(start: number, end: number): Uint8Array {
    this.#reserve(end);
    return this.#bytes.slice(start, end);
  }

  #reserve(end: number): void {
    if (end <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(capacityMin, end, this.#bytes.length * 2));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}
