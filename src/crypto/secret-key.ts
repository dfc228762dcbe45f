import { createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { assert, VerityError } from '../base/index.ts';

const redacted = '[secret]';
const keyBytes = 32;

/** Memory that keys live in, e.g. one that is never swapped out. */
export interface SecretMemory {
  /** 32 bytes for one key, zero; undefined when there is no room. */
  take(): Uint8Array | undefined;
  /** Takes them back, overwritten. */
  give(bytes: Uint8Array): void;
}

/** Of the process, like the memory that it is about: keys are made far below where anybody could pass it on. */
let secretMemory: SecretMemory | undefined;

/** Makes new keys live in `memory` while there is room; undefined: in the heap again. Those that exist stay. */
export function useSecretMemory(memory: SecretMemory | undefined): void {
  secretMemory = memory;
}

/**
 * 32 secret bytes that we own and overwrite. Prints `[secret]` under every formatter; the bytes leave it
 * only through `expose`, which the key wrap and the providers call.
 */
export class SecretKey {
  readonly #bytes: Uint8Array;
  readonly #memory: SecretMemory | undefined;
  #handle: KeyObject | undefined;
  #wiped = false;

  /** Moves `bytes` (32) in here: they are overwritten where they were. */
  constructor(bytes: Uint8Array) {
    assert(bytes.length === keyBytes, 'a secret key has 32 bytes');
    const held = secretMemory?.take();
    if (held !== undefined) this.#memory = secretMemory;
    // V8 keeps short arrays in its own heap, and leaves a copy there when native code asks for their bytes.
    this.#bytes = held ?? new Uint8Array(new ArrayBuffer(keyBytes));
    this.#bytes.set(bytes);
    bytes.fill(0);
  }

  /** The bytes themselves, for the shortest possible use. Never copy them into a string. */
  expose(): Uint8Array {
    this.#checkAlive();
    return this.#bytes;
  }

  /**
   * The key as OpenSSL's handle, made once; the bytes themselves where they are in memory of their own, since a handle
   * is a copy that stays outside it. Typed `unknown` so that Node's types stay in this layer.
   */
  handle(): unknown {
    this.#checkAlive();
    if (this.#memory !== undefined) return this.#bytes;
    this.#handle ??= createSecretKey(this.#bytes);
    return this.#handle;
  }

  /** Overwrites the bytes; the key is unusable afterwards. */
  wipe(): void {
    // A second time the memory may be another key's.
    if (this.#wiped) return;
    this.#wiped = true;
    this.#bytes.fill(0);
    this.#handle = undefined;
    this.#memory?.give(this.#bytes);
  }

  toString(): string {
    return redacted;
  }
  toJSON(): string {
    return redacted;
  }
  [Symbol.toPrimitive](): string {
    return redacted;
  }
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return redacted;
  }

  #checkAlive(): void {
    if (this.#wiped) {
      throw new VerityError('CLOSED', 'The key was wiped when the database closed. Open it again.');
    }
  }
}

/**
 * `prefix`, then the key's bytes, in a buffer outside V8's heap (see SecretKey), which the caller overwrites: what
 * OpenSSL takes as an encoded private key.
 */
export function encodedWith(prefix: Uint8Array, key: SecretKey): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(prefix.length + keyBytes));
  bytes.set(prefix);
  bytes.set(key.expose(), prefix.length);
  return bytes;
}

/** Whether two byte strings are equal, in time that does not depend on where they differ. */
export function constantTimeEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
