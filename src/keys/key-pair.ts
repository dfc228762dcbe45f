import { createPublicKey, randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { concatBytes, VerityError } from '../base/index.ts';
import {
  constantTimeEqual,
  hkdf,
  type KeySlot,
  type MasterKeyProvider,
  type NewKeySlot,
  pae,
  type PreparedRotation,
  type ProviderDescription,
  SecretKey,
  type SlotBinding,
  type UnwrappedRoot,
} from '../crypto/index.ts';
import { rotationUnsupported } from './held-key.ts';
import { newKeyPair, openKeyPair, readKeyPairFile } from './key-pair-file.ts';
import { createSecretFile, prepareSecretFile } from './secret-file.ts';
import { unwrapSlot, wrapSlot } from './slot.ts';
import { passphraseBytes } from './stretch.ts';
import { privateKeyObject, publicKeyBytes, publicKeyObject, sharedSecret } from './x25519.ts';

export const keyPairSlotKind = 'key-pair';
const slotPurpose = 'veritydb/key-pair-slot/v1';
const publicKeyLength = 32;
const name = 'key pair';

/** One of the two files, and the passphrase of the first. */
export interface KeyPairSettings {
  /** The file that `generateKeyPair` made. Without a passphrase it wraps, but does not open. */
  readonly privateKeyFile?: string;
  /** The public key alone, as PEM (`publicKeyOf`): for a place that shall wrap and never open. */
  readonly publicKeyFile?: string;
  readonly passphrase?: string;
}

/**
 * A master key pair (X25519). The root key is wrapped for the public key; opening takes the private key, and that
 * its passphrase.
 */
export function fromKeyPair(settings: KeyPairSettings): MasterKeyProvider {
  const { privateKeyFile, publicKeyFile, passphrase } = settings;
  if ((privateKeyFile === undefined) === (publicKeyFile === undefined)) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'fromKeyPair needs either { privateKeyFile, passphrase } or { publicKeyFile }.',
    );
  }
  const bytes = passphrase === undefined ? undefined : passphraseBytes(passphrase);
  return new KeyPairProvider(privateKeyFile, publicKeyFile, bytes);
}

/** Creates the file of a new key pair (mode 0600). Never overwrites: throws KEY_INVALID if the file is there. */
export async function generateKeyPair(settings: {
  readonly privateKeyFile: string;
  readonly passphrase: string;
}): Promise<void> {
  const { text } = await newKeyPair(passphraseBytes(settings.passphrase));
  createSecretFile(settings.privateKeyFile, text, name);
}

/** The public key of a key pair's file as PEM (RFC 8410). Needs no passphrase. Throws KEY_MISSING, KEY_INVALID. */
export function publicKeyOf(privateKeyFile: string): string {
  const { publicKey } = readKeyPairFile(privateKeyFile);
  return publicKeyObject(publicKey).export({ format: 'pem', type: 'spki' }) as string;
}

class KeyPairProvider implements MasterKeyProvider {
  readonly kind = keyPairSlotKind;
  readonly #privateKeyFile: string | undefined;
  readonly #publicKeyFile: string | undefined;
  readonly #passphrase: Uint8Array | undefined;

  constructor(
    privateKeyFile: string | undefined,
    publicKeyFile: string | undefined,
    passphrase: Uint8Array | undefined,
  ) {
    this.#privateKeyFile = privateKeyFile;
    this.#publicKeyFile = publicKeyFile;
    this.#passphrase = passphrase;
  }

  async wrap(root: SecretKey, binding: SlotBinding): Promise<NewKeySlot> {
    return wrapFor(await this.#publicKey(), root, binding);
  }

  async unwrap(
    slots: readonly KeySlot[],
    binding: SlotBinding,
  ): Promise<UnwrappedRoot | undefined> {
    const file = readKeyPairFile(this.#privateFile());
    const own = slots.filter(({ kind, parameters }) => {
      if (kind !== keyPairSlotKind || parameters.length !== 2 * publicKeyLength) return false;
      return constantTimeEqual(parameters.subarray(0, publicKeyLength), file.publicKey);
    });
    // The passphrase is checked even where no slot is ours: it is the likelier mistake.
    const privateKey = await openKeyPair(file, this.#neededPassphrase());
    try {
      for (const slot of own) {
        const root = openSlot(slot, privateKey, binding);
        if (root !== undefined) return { root, slotId: slot.id };
      }
      return undefined;
    } finally {
      privateKey.wipe();
    }
  }

  describe(): ProviderDescription {
    return {
      kind: this.kind,
      source: this.#privateKeyFile ?? this.#publicKeyFile ?? '',
      parameters: { algorithm: 'x25519', opens: this.#passphrase !== undefined },
      rotates: this.#passphrase !== undefined,
    };
  }

  /** A new key pair under the same passphrase, which takes the place of the old one in the file. */
  async rotate(root: SecretKey, binding: SlotBinding): Promise<PreparedRotation> {
    if (this.#privateKeyFile === undefined || this.#passphrase === undefined) {
      throw rotationUnsupported(this.kind, 'Give its private key file and passphrase.');
    }
    const { publicKey, text } = await newKeyPair(this.#passphrase);
    const slot = wrapFor(publicKey, root, binding);
    return { slot, ...prepareSecretFile(this.#privateKeyFile, text, name) };
  }

  /** Where the passphrase is at hand, a public key that somebody else put into the file is found out. */
  async #publicKey(): Promise<Uint8Array> {
    if (this.#privateKeyFile === undefined) return readPublicKey(this.#publicKeyFile ?? '');
    const file = readKeyPairFile(this.#privateKeyFile);
    if (this.#passphrase !== undefined) (await openKeyPair(file, this.#passphrase)).wipe();
    return file.publicKey;
  }

  #privateFile(): string {
    if (this.#privateKeyFile !== undefined) return this.#privateKeyFile;
    throw new VerityError(
      'KEY_MISSING',
      `A public key (${this.#publicKeyFile ?? ''}) wraps, but opens nothing. Give { privateKeyFile, passphrase }.`,
    );
  }

  #neededPassphrase(): Uint8Array {
    if (this.#passphrase !== undefined) return this.#passphrase;
    throw new VerityError(
      'KEY_MISSING',
      `The key pair ${this.#privateKeyFile ?? ''} opens with its passphrase only, and none was given.`,
    );
  }
}

function readPublicKey(path: string): Uint8Array {
  let pem: Buffer;
  try {
    pem = readFileSync(path);
  } catch (cause) {
    throw new VerityError(
      'KEY_MISSING',
      `The public key ${path} cannot be read. Check the path, or export it again.`,
      { cause },
    );
  }
  try {
    const key = createPublicKey(pem);
    if (key.asymmetricKeyType === 'x25519') return publicKeyBytes(key);
  } catch {
    // Told below: what OpenSSL says about the bytes helps nobody.
  }
  throw new VerityError('KEY_INVALID', `The file ${path} holds no X25519 public key in PEM.`);
}

/** Wraps the root key for a public key: a key pair of this one slot, and what the two share. */
function wrapFor(publicKey: Uint8Array, root: SecretKey, binding: SlotBinding): NewKeySlot {
  const ephemeral = new SecretKey(randomFillSync(new Uint8Array(32)));
  try {
    const ephemeralKey = privateKeyObject(ephemeral);
    const parameters = concatBytes(publicKey, publicKeyBytes(ephemeralKey));
    const master = masterOf(sharedSecret(ephemeralKey, publicKey), parameters, binding);
    if (master === undefined) {
      throw new VerityError(
        'KEY_INVALID',
        'The public key is of small order: nothing is safe under it.',
      );
    }
    const slot = wrapSlot(master, root, keyPairSlotKind, parameters);
    master.wipe();
    return slot;
  } finally {
    ephemeral.wipe();
  }
}

function openSlot(
  slot: KeySlot,
  privateKey: SecretKey,
  binding: SlotBinding,
): SecretKey | undefined {
  const ephemeral = slot.parameters.subarray(publicKeyLength);
  const shared = sharedSecret(privateKeyObject(privateKey), ephemeral);
  const master = masterOf(shared, slot.parameters, binding);
  if (master === undefined) return undefined;
  try {
    return unwrapSlot(master, slot);
  } finally {
    master.wipe();
  }
}

/** HKDF of the shared secret over both public keys and the database; wipes the secret. */
function masterOf(
  shared: Uint8Array | undefined,
  publicKeys: Uint8Array,
  binding: SlotBinding,
): SecretKey | undefined {
  if (shared === undefined) return undefined;
  const secret = new SecretKey(shared);
  try {
    return new SecretKey(hkdf(secret, publicKeys, pae(slotPurpose, binding.logId), 32));
  } finally {
    secret.wipe();
  }
}
