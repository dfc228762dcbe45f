import { VerityError } from '../../base/index.ts';
import { type MasterKeyProvider, SecretKey, unwrapKey, wrapKey } from '../../crypto/index.ts';

const kind = 'simulated';

function master(): SecretKey {
  return new SecretKey(new Uint8Array(32).fill(7));
}

/** A master key that is the same in every run and everywhere. Protects nothing. */
export function simulatedMasterKey(): MasterKeyProvider {
  return {
    kind,
    wrap: async (root) => ({
      kind,
      parameters: new Uint8Array(),
      commitment: new Uint8Array(32).fill(7),
      wrapped: wrapKey(master(), root),
    }),
    unwrap: async (slots) => {
      for (const slot of slots) {
        const root = slot.kind === kind ? unwrapKey(master(), slot.wrapped) : undefined;
        if (root !== undefined) return { root, slotId: slot.id };
      }
      return undefined;
    },
    describe: () => ({ kind, source: '', parameters: {}, rotates: false }),
    rotate: async () => {
      throw new VerityError('KEY_ROTATION_UNSUPPORTED', 'The simulated master key stays.');
    },
  };
}
