import { toHex, utf8Encode } from '../base/index.ts';
import { digestBytes, sha256Into } from '../crypto/index.ts';

const chunkCharacters = 32_768;

/**
 * Everything that happened in a simulation, in order, as one SHA-256: calls of the disk, answers, faults. The
 * same seed gives the same hash, in every process and on every machine, or the simulation is not one.
 */
export class Trace {
  /** The hash over all before the lines that are still gathered. */
  readonly #digest = new Uint8Array(digestBytes);
  readonly #listener: ((line: string) => void) | undefined;
  #gathered = '';
  #lineCount = 0;

  /** `listener` is told of each line, e.g. to print it. */
  constructor(listener?: (line: string) => void) {
    this.#listener = listener;
  }

  get lineCount(): number {
    return this.#lineCount;
  }

  add(line: string): void {
    this.#lineCount += 1;
    this.#listener?.(line);
    this.#gathered += `${line}\n`;
    if (this.#gathered.length >= chunkCharacters) this.#absorb();
  }

  /** The hash so far, in hex. */
  hash(): string {
    this.#absorb();
    return toHex(this.#digest);
  }

  #absorb(): void {
    if (this.#gathered === '') return;
    const text = utf8Encode(this.#gathered);
    const bytes = new Uint8Array(digestBytes + text.length);
    bytes.set(this.#digest);
    bytes.set(text, digestBytes);
    sha256Into(this.#digest, 0, bytes);
    this.#gathered = '';
  }
}
