import { VerityError } from '../base/index.ts';
import {
  type KeySlot,
  type MasterKeyProvider,
  type NewKeySlot,
  type PreparedRotation,
  type ProviderDescription,
  type SecretKey,
  type SlotBinding,
  type UnwrappedRoot,
} from '../crypto/index.ts';
import { firstUnwrapped, wrapSlot } from './slot.ts';

const noParameters = new Uint8Array();

/**
 * A provider of one key of 32 bytes that `load` hands out anew at each use; the copy is wiped after it.
 * Its slots are of `slotKind`, without parameters.
 */
export class HeldKeyProvider implements MasterKeyProvider {
  readonly kind: string;
  readonly #slotKind: string;
  readonly #load: () => SecretKey;

  constructor(kind: string, slotKind: string, load: () => SecretKey) {
    this.kind = kind;
    this.#slotKind = slotKind;
    this.#load = load;
  }

  async wrap(root: SecretKey): Promise<NewKeySlot> {
    const master = this.#load();
    try {
      return wrapSlot(master, root, this.#slotKind, noParameters);
    } finally {
      master.wipe();
    }
  }

  async unwrap(slots: readonly KeySlot[]): Promise<UnwrappedRoot | undefined> {
    const master = this.#load();
    try {
      return firstUnwrapped(
        master,
        slots.filter((slot) => slot.kind === this.#slotKind),
      );
    } finally {
      master.wipe();
    }
  }

  describe(): ProviderDescription {
    return { kind: this.kind, source: '', parameters: {}, rotates: false };
  }

  async rotate(_root: SecretKey, _binding: SlotBinding): Promise<PreparedRotation> {
    throw rotationUnsupported(this.kind, 'Rotate to another provider.');
  }
}

/** The error of a provider that has no key of its own to renew. `advice` says what to do instead. */
export function rotationUnsupported(kind: string, advice: string): VerityError {
  return new VerityError(
    'KEY_ROTATION_UNSUPPORTED',
    `A ${kind} key cannot renew itself. ${advice}`,
    { details: { provider: kind } },
  );
}

/** A rotation that is done once its slot is stored: the provider keeps its own key. */
export function inPlace(slot: NewKeySlot): PreparedRotation {
  const nothing = async (): Promise<void> => undefined;
  return { slot, activate: nothing, discard: nothing };
}
