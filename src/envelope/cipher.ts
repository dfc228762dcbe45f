import {
  createCipheriv,
  createDecipheriv,
  randomBytes,
  type CipherGCM,
  type DecipherGCM,
} from 'node:crypto';
import { VerityError } from '../base/index.ts';
import {
  deriveKey,
  nonceBytes,
  pae,
  SecretKey,
  tagBytes,
  unwrapKey,
  wrapKey,
} from '../crypto/index.ts';
import { checkBlob, checkKekId, type EncryptedBlob } from './blob.ts';
import { encodeContext, type EnvelopeContext } from './context.ts';
import type { KekSource } from './kek-ring.ts';
import { envelopeLimits } from './limits.ts';

const cipherName = 'aes-256-gcm';
const wrapPurpose = 'veritydb/envelope-wrap/v1';
const dataPurpose = 'veritydb/envelope/v1';
/** Between two pieces of this size the async forms let the event loop turn: about 0.2 ms of work each. */
const pieceBytes = 256 << 10;

export interface EnvelopeOptions {
  /** Called when a blob does not open, before the error is thrown; for counting. */
  readonly onFailure?: (error: VerityError) => void;
}

/**
 * Envelope encryption of blobs: each under a data-encryption key (DEK) and a nonce of its own, both random, with
 * AES-256-GCM; the DEK wrapped with AES-KWP by a key-encryption key (KEK) of the source.
 *
 * Invariants
 * - A blob opens under its own context only: the context is part of the AAD, and with the KEK's id part of the key
 *   that wraps the DEK.
 * - A DEK is used for one plaintext, and overwritten as soon as the cipher has it.
 * - No plaintext leaves a method before its tag is checked.
 * - The blob names its KEK; no list of keys is tried.
 */
export class EnvelopeCipher {
  readonly #keks: KekSource;
  readonly #onFailure: EnvelopeOptions['onFailure'];

  constructor(keks: KekSource, options: EnvelopeOptions = {}) {
    this.#keks = keks;
    this.#onFailure = options.onFailure;
  }

  /**
   * Seals `plaintext` under the source's current KEK. Blocks the event loop: about 0.7 ms a MiB. Throws
   * VALUE_TOO_LARGE, ENVELOPE_KEY_UNKNOWN and, for a context, INVALID_ARGUMENT.
   */
  encrypt(plaintext: Uint8Array, context: EnvelopeContext): EncryptedBlob {
    return finish(this.#encrypt(plaintext, context));
  }

  /**
   * As `encrypt`, piece by piece, so that the event loop turns in between. Do not change `plaintext` before
   * the promise settles: the blob would hold a mixture.
   */
  async encryptAsync(plaintext: Uint8Array, context: EnvelopeContext): Promise<EncryptedBlob> {
    return finishInTurns(this.#encrypt(plaintext, context));
  }

  /**
   * The plaintext of a blob that was sealed under this context. Throws AUTHENTICATION_FAILED if anything differs –
   * one error for altered bytes, another context and another key under the same id – ENVELOPE_KEY_UNKNOWN if the
   * source lacks the blob's KEK, and ENVELOPE_INVALID.
   */
  decrypt(blob: EncryptedBlob, context: EnvelopeContext): Uint8Array {
    return finish(this.#decrypt(blob, context));
  }

  /** As `decrypt`, piece by piece. A blob changed meanwhile does not open. */
  async decryptAsync(blob: EncryptedBlob, context: EnvelopeContext): Promise<Uint8Array> {
    return finishInTurns(this.#decrypt(blob, context));
  }

  /**
   * The same blob with its DEK wrapped under the source's current KEK: nonce and ciphertext are the same arrays, and
   * no plaintext appears. Throws as `decrypt`, but does not look at the ciphertext.
   */
  rewrap(blob: EncryptedBlob, context: EnvelopeContext): EncryptedBlob {
    const encoded = encodeContext(context);
    const dek = this.#unwrap(blob, encoded);
    try {
      return { ...this.#wrap(dek, encoded), nonce: blob.nonce, ciphertext: blob.ciphertext };
    } finally {
      dek.wipe();
    }
  }

  *#encrypt(plaintext: Uint8Array, context: EnvelopeContext): Generator<void, EncryptedBlob> {
    if (!(plaintext instanceof Uint8Array))
      throw new VerityError('INVALID_ARGUMENT', 'A plaintext must be a Uint8Array.');
    const { length } = plaintext;
    if (length > envelopeLimits.plaintextBytesMax) {
      throw new VerityError(
        'VALUE_TOO_LARGE',
        `A plaintext takes ${length} bytes; the limit is ${envelopeLimits.plaintextBytesMax}. Cut it into several.`,
      );
    }
    const encoded = encodeContext(context);
    const nonce = new Uint8Array(randomBytes(nonceBytes));
    const dek = new SecretKey(randomBytes(32));
    let wrapped: Pick<EncryptedBlob, 'kekId' | 'encryptedDek'>;
    let cipher: CipherGCM;
    try {
      wrapped = this.#wrap(dek, encoded);
      cipher = createCipheriv(cipherName, dek.expose(), nonce, { authTagLength: tagBytes });
    } finally {
      dek.wipe();
    }
    cipher.setAAD(pae(dataPurpose, encoded), { plaintextLength: length });
    const ciphertext = new Uint8Array(length + tagBytes);
    yield* inPieces(plaintext, length, (piece, offset) =>
      ciphertext.set(cipher.update(piece), offset),
    );
    cipher.final();
    ciphertext.set(cipher.getAuthTag(), length);
    return { ...wrapped, nonce, ciphertext };
  }

  *#decrypt(blob: EncryptedBlob, context: EnvelopeContext): Generator<void, Uint8Array> {
    const encoded = encodeContext(context);
    const dek = this.#unwrap(blob, encoded);
    const { ciphertext } = blob;
    const length = ciphertext.length - tagBytes;
    let decipher: DecipherGCM;
    try {
      decipher = createDecipheriv(cipherName, dek.expose(), blob.nonce, {
        authTagLength: tagBytes,
      });
    } finally {
      dek.wipe();
    }
    decipher.setAAD(pae(dataPurpose, encoded), { plaintextLength: length });
    decipher.setAuthTag(ciphertext.slice(length));
    const plaintext = new Uint8Array(length);
    yield* inPieces(ciphertext, length, (piece, offset) => {
      const opened = decipher.update(piece);
      plaintext.set(opened, offset);
      opened.fill(0);
    });
    try {
      decipher.final();
    } catch {
      plaintext.fill(0);
      throw this.#refused();
    }
    return plaintext;
  }

  #wrap(dek: SecretKey, context: Uint8Array): Pick<EncryptedBlob, 'kekId' | 'encryptedDek'> {
    const kekId = this.#keks.currentId;
    checkKekId(kekId);
    const wrapping = this.#wrappingKey(kekId, context);
    try {
      return { kekId, encryptedDek: wrapKey(wrapping, dek) };
    } finally {
      wrapping.wipe();
    }
  }

  #unwrap(blob: EncryptedBlob, context: Uint8Array): SecretKey {
    checkBlob(blob);
    const wrapping = this.#wrappingKey(blob.kekId, context);
    const dek = unwrapKey(wrapping, blob.encryptedDek);
    wrapping.wipe();
    if (dek === undefined) throw this.#refused();
    return dek;
  }

  /** Bound to the KEK's id and the context: a wrapped DEK that was moved to another blob does not unwrap. */
  #wrappingKey(kekId: string, context: Uint8Array): SecretKey {
    const kek = this.#keks.kek(kekId);
    if (kek === undefined) {
      throw this.#failed(
        new VerityError(
          'ENVELOPE_KEY_UNKNOWN',
          'The blob was sealed under a key that is not among those given. Add that key to the source.',
          { details: { kekId } },
        ),
      );
    }
    return deriveKey(kek, wrapPurpose, pae(kekId, context));
  }

  #refused(): VerityError {
    return this.#failed(
      new VerityError(
        'AUTHENTICATION_FAILED',
        'The encrypted blob does not open: it was altered, belongs to another context, or was sealed under another key. Pass the context it was sealed with, or restore it from a copy.',
      ),
    );
  }

  #failed(error: VerityError): VerityError {
    this.#keks.onFailure?.(error);
    this.#onFailure?.(error);
    return error;
  }
}

function* inPieces(
  bytes: Uint8Array,
  length: number,
  use: (piece: Uint8Array, offset: number) => void,
): Generator<void, void> {
  for (let offset = 0; offset < length; offset += pieceBytes) {
    if (offset > 0) yield;
    use(bytes.subarray(offset, Math.min(offset + pieceBytes, length)), offset);
  }
}

function finish<T>(work: Generator<void, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

async function finishInTurns<T>(work: Generator<void, T>): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
