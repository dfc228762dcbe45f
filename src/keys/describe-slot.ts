import type { KeySlot } from '../crypto/index.ts';
import { decodeFacts } from './slot-facts.ts';
import { decodePassphraseSlot, passphraseSlotKind } from './passphrase.ts';
import { describePairSlot, keyPairSlotKind } from './key-pair-slot.ts';

/** Public facts about a slot for lists of keys: what opens it, never a secret. */
export function describeSlot(slot: KeySlot): Readonly<Record<string, string | number>> {
  switch (slot.kind) {
    case passphraseSlotKind: {
      const { memoryKib, passes, lanes } = decodePassphraseSlot(slot);
      return { algorithm: 'argon2id', memoryKib, passes, lanes };
    }
    case keyPairSlotKind:
      return describePairSlot(slot);
    case 'aws-kms':
    case 'aws-secrets-manager':
    case 'pkcs11':
      return decodeFacts(slot);
    default:
      return {};
  }
}
