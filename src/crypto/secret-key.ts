import { createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { assert, VerityError } from '../base/index.ts';

const redacted = '[secret]';

/**
 * 32 secret bytes that we own and overwrite. Prints `[secret]` under every formatter; the bytes leave it
 * only through `expose`, which the key wrap and the providers call.
 */
export class SecretKey {
  readonly #bytes: Uint8Array;
  #handle: KeyObject | undefined;
  #wiped = false;

  /** Takes ownership of `bytes` (32): the caller must not keep or reuse them. */
  constructor(bytes: Uint8Array) {
    assert(bytes.length === 32, 'a secret key has 32 bytes');
    this.#bytes = bytes;
  }

  /** The bytes themselves, for the shortest possible use. Never copy them into a string. */
  expose(): Uint8Array {
    this.#checkAlive();
    return this.#bytes;
  }

  /** The key as OpenSSL's handle, made once. Typed `unknown` so that Node's types stay in this layer. */
  handle(): unknown {
    this.#checkAlive();
    this.#handle ??= createSecretKey(this.#bytes);
    return this.#handle;
  }

  /** Overwrites the bytes; the key is unusable afterwards. */
  wipe(): void {
    this.#bytes.fill(0);
    this.#handle = undefined;
    this.#wiped = true;
  }

  toString(): string {
    return redacted;
  }
  toJSON(): string {
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

/** Whether two byte strings are equal, in time that does not depend on where they differ. */
export function constantTimeEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
