import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { VerityError } from '../base/index.ts';
import type {
  KeySlot,
  MasterKeyProvider,
  NewKeySlot,
  PreparedRotation,
  ProviderDescription,
  SecretKey,
  SlotBinding,
  UnwrappedRoot,
} from '../crypto/index.ts';
import { rotationUnsupported } from './held-key.ts';
import { newKeyPair, openKeyPair, readKeyPairFile } from './key-pair-file.ts';
import {
  foreignSlot,
  keyPairSlotKind,
  lockAsPair,
  lockForPair,
  openPairSlot,
  slotsOfPair,
} from './key-pair-slot.ts';
import { createSecretFile, prepareSecretFile } from './secret-file.ts';
import { passphraseBytes } from './stretch.ts';
import { publicKeyBytes, publicKeyObject } from './x25519.ts';

const name = 'key pair';

/** One of the two files, and the passphrase of the first. */
export interface KeyPairSettings {
  /** The file that `generateKeyPair` made. Without a passphrase it wraps, but does not open. */
  readonly privateKeyFile?: string;
  /** The public key alone, as PEM (`publicKeyOf`): for a place that shall wrap and never open. */
  readonly publicKeyFile?: string;
  readonly passphrase?: string;
  /**
   * Also opens what was locked with the public key alone, by anybody: for a database that somebody locked for you,
   * once. Opened for writing, it then carries the pair's mark and needs this no more.
   */
  readonly acceptForeign?: boolean;
}

/**
 * A master key pair (X25519). The root key is wrapped for the public key; opening takes the private key, and that
 * its passphrase. What a holder of the private key locks carries a mark that nobody else can make; what does not is
 * refused with KEY_SLOT_FOREIGN.
 */
export function fromKeyPair(settings: KeyPairSettings): MasterKeyProvider {
  const { privateKeyFile, publicKeyFile, passphrase, acceptForeign = false } = settings;
  if ((privateKeyFile === undefined) === (publicKeyFile === undefined)) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'fromKeyPair needs either { privateKeyFile, passphrase } or { publicKeyFile }.',
    );
  }
  if (typeof acceptForeign !== 'boolean') {
    throw new VerityError('INVALID_ARGUMENT', 'acceptForeign is true or false.');
  }
  const bytes = passphrase === undefined ? undefined : passphraseBytes(passphrase);
  return new KeyPairProvider({ privateKeyFile, publicKeyFile, acceptForeign }, bytes);
}

/** Creates the file of a new key pair (mode 0600). Never overwrites: throws KEY_INVALID if the file is there. */
export async function generateKeyPair(settings: {
  readonly privateKeyFile: string;
  readonly passphrase: string;
}): Promise<void> {
  const { text, privateKey } = await newKeyPair(passphraseBytes(settings.passphrase));
  privateKey.wipe();
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
  readonly #acceptForeign: boolean;

  constructor(
    settings: {
      readonly privateKeyFile: string | undefined;
      readonly publicKeyFile: string | undefined;
      readonly acceptForeign: boolean;
    },
    passphrase: Uint8Array | undefined,
  ) {
    this.#privateKeyFile = settings.privateKeyFile;
    this.#publicKeyFile = settings.publicKeyFile;
    this.#acceptForeign = settings.acceptForeign;
    this.#passphrase = passphrase;
  }

  /** With the mark where the passphrase is at hand; that also finds a public key that somebody put into the file. */
  async wrap(root: SecretKey, binding: SlotBinding): Promise<NewKeySlot> {
    if (this.#privateKeyFile === undefined) {
      return lockForPair(readPublicKey(this.#publicKeyFile ?? ''), root, binding);
    }
    const file = readKeyPairFile(this.#privateKeyFile);
    const { publicKey } = file;
    if (this.#passphrase === undefined) return lockForPair(publicKey, root, binding);
    const privateKey = await openKeyPair(file, this.#passphrase);
    try {
      return lockAsPair({ publicKey, privateKey }, root, binding);
    } finally {
      privateKey.wipe();
    }
  }

  async unwrap(
    slots: readonly KeySlot[],
    binding: SlotBinding,
  ): Promise<UnwrappedRoot | undefined> {
    const file = readKeyPairFile(this.#privateFile());
    const { publicKey } = file;
    // The passphrase is checked even where no slot is ours: it is the likelier mistake.
    const privateKey = await openKeyPair(file, this.#neededPassphrase());
    const pair = { publicKey, privateKey };
    try {
      const { marked, unmarked } = slotsOfPair(slots, publicKey);
      const [slot = unmarked[0]] = marked;
      if (slot === undefined) return undefined;
      const isForeign = marked.length === 0;
      if (isForeign && !this.#acceptForeign) throw foreignSlot(slot, file.path, binding);
      const root = openPairSlot(slot, pair, binding);
      const opened = { root, slotId: slot.id };
      return isForeign ? { ...opened, renewed: lockAsPair(pair, root, binding) } : opened;
    } finally {
      privateKey.wipe();
    }
  }

  describe(): ProviderDescription {
    return {
      kind: this.kind,
      source: this.#privateKeyFile ?? this.#publicKeyFile ?? '',
      parameters: {
        algorithm: 'x25519',
        opens: this.#passphrase !== undefined,
        ...(this.#acceptForeign && { acceptForeign: true }),
      },
      rotates: this.#passphrase !== undefined,
    };
  }

  /** A new key pair under the same passphrase, which takes the place of the old one in the file. */
  async rotate(root: SecretKey, binding: SlotBinding): Promise<PreparedRotation> {
    if (this.#privateKeyFile === undefined || this.#passphrase === undefined) {
      throw rotationUnsupported(this.kind, 'Give its private key file and passphrase.');
    }
    const { text, ...pair } = await newKeyPair(this.#passphrase);
    try {
      const slot = lockAsPair(pair, root, binding);
      return { slot, ...prepareSecretFile(this.#privateKeyFile, text, name) };
    } finally {
      pair.privateKey.wipe();
    }
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
