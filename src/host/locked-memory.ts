import { createRequire } from 'node:module';
import { VerityError } from '../base/index.ts';

/** What we use of the optional package sodium-native. */
interface Sodium {
  /** Memory between guard pages, locked if the system allows it, left out of core dumps. */
  sodium_malloc(bytes: number): Buffer;
  /** Throws if the memory cannot be locked. */
  sodium_mlock(buffer: Buffer): void;
}

const slotBytes = 32;
const defaultBytes = 256 << 10;
const bytesMin = 4_096;
const bytesMax = 16 << 20;

/** Memory for keys that is never swapped out, and left out of core dumps. */
export class LockedMemory {
  readonly sizeBytes: number;
  readonly #arena: Buffer;
  readonly #free: number[] = [];
  #isExhausted = false;

  constructor(arena: Buffer) {
    this.#arena = arena;
    this.sizeBytes = arena.length;
    for (let offset = arena.length - slotBytes; offset >= 0; offset -= slotBytes)
      this.#free.push(offset);
  }

  /** Whether a key was refused so far: then not all of them are in here. */
  get isExhausted(): boolean {
    return this.#isExhausted;
  }

  /** 32 zero bytes, or undefined when all are taken. */
  take(): Uint8Array | undefined {
    const offset = this.#free.pop();
    if (offset === undefined) {
      this.#isExhausted = true;
      return undefined;
    }
    // Not a view of Node's kind, whose slice() would share this memory.
    return new Uint8Array(this.#arena.buffer, this.#arena.byteOffset + offset, slotBytes);
  }

  give(bytes: Uint8Array): void {
    bytes.fill(0);
    this.#free.push(bytes.byteOffset - this.#arena.byteOffset);
  }
}

/**
 * Locks `bytes` of memory (default 256 KiB: 8,192 keys) with the optional package sodium-native. Throws
 * MEMORY_LOCK_UNAVAILABLE when it is not installed or the system's limit (`ulimit -l`) is too low, and INVALID_ARGUMENT.
 */
export function lockMemory(bytes: number = defaultBytes): LockedMemory {
  if (!Number.isInteger(bytes) || bytes < bytesMin || bytes > bytesMax || bytes % bytesMin !== 0) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `Locked memory must have ${bytesMin} to ${bytesMax} bytes, a multiple of ${bytesMin}.`,
    );
  }
  const sodium = load();
  try {
    const arena = sodium.sodium_malloc(bytes);
    arena.fill(0);
    // The first call locks too, but says nothing when it could not.
    sodium.sodium_mlock(arena);
    return new LockedMemory(arena);
  } catch (cause) {
    throw new VerityError(
      'MEMORY_LOCK_UNAVAILABLE',
      `The system does not lock ${bytes} bytes of memory. Raise the limit (ulimit -l, LimitMEMLOCK in systemd), or ask for less.`,
      { cause },
    );
  }
}

// It has no types, and nobody who does not ask for it should load it.
const require = createRequire(import.meta.url);

function load(): Sodium {
  try {
    return require('sodium-native') as Sodium;
  } catch (cause) {
    throw new VerityError(
      'MEMORY_LOCK_UNAVAILABLE',
      'Locking memory needs the package sodium-native, which is not installed or has no binary for this system. Install it beside veritydb.',
      { cause },
    );
  }
}
