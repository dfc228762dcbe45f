import type {
  KeySlot,
  MasterKeyProvider,
  NewKeySlot,
  PreparedRotation,
  ProviderDescription,
  UnwrappedRoot,
  SecretKey,
} from '../crypto/index.ts';
import { inPlace } from './held-key.ts';
import { unwrapSlot, wrapSlot } from './slot.ts';
import {
  newStretchParameters,
  passphraseBytes,
  stretchCost,
  type StretchParameters,
  stretchPassphrase,
} from './stretch.ts';

export const passphraseSlotKind = 'passphrase';
const context = 'veritydb 2026 passphrase master key v1';
const source = 'The passphrase slot of the keyring';
const costBytes = 12;

/** Argon2id of a passphrase (cost and salt stored in the slot), then BLAKE3 derive-key to separate contexts. */
export function fromPassphrase(passphrase: string): MasterKeyProvider {
  return new PassphraseProvider(passphraseBytes(passphrase));
}

class PassphraseProvider implements MasterKeyProvider {
  readonly kind = passphraseSlotKind;
  readonly #passphrase: Uint8Array;

  constructor(passphrase: Uint8Array) {
    this.#passphrase = passphrase;
  }

  async wrap(root: SecretKey): Promise<NewKeySlot> {
    const parameters = newStretchParameters();
    const master = await stretchPassphrase(this.#passphrase, parameters, context, source);
    try {
      return wrapSlot(master, root, this.kind, encodeParameters(parameters));
    } finally {
      master.wipe();
    }
  }

  async unwrap(slots: readonly KeySlot[]): Promise<UnwrappedRoot | undefined> {
    for (const slot of slots) {
      if (slot.kind !== this.kind) continue;
      const parameters = decodePassphraseSlot(slot);
      const master = await stretchPassphrase(this.#passphrase, parameters, context, source);
      try {
        const root = unwrapSlot(master, slot);
        if (root !== undefined) return { root, slotId: slot.id };
      } finally {
        master.wipe();
      }
    }
    return undefined;
  }

  describe(): ProviderDescription {
    return { kind: this.kind, source: '', parameters: { ...stretchCost }, rotates: true };
  }

  /** The same passphrase under a new salt, stretched at the cost of this version. */
  async rotate(root: SecretKey): Promise<PreparedRotation> {
    return inPlace(await this.wrap(root));
  }
}

function encodeParameters({ memoryKib, passes, lanes, salt }: StretchParameters): Uint8Array {
  const bytes = new Uint8Array(costBytes + salt.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, memoryKib, true);
  view.setUint32(4, passes, true);
  view.setUint32(8, lanes, true);
  bytes.set(salt, costBytes);
  return bytes;
}

/** The cost and salt in a slot; all zero, which nobody accepts, where they are cut short. */
export function decodePassphraseSlot({ parameters }: KeySlot): StretchParameters {
  const isWhole = parameters.length >= costBytes;
  const view = new DataView(parameters.buffer, parameters.byteOffset, parameters.byteLength);
  const number = (at: number): number => (isWhole ? view.getUint32(at, true) : 0);
  return {
    memoryKib: number(0),
    passes: number(4),
    lanes: number(8),
    salt: parameters.slice(costBytes),
  };
}
