import type { KeySlot } from '../crypto/index.ts';
import { decodeFacts } from './slot-facts.ts';
import { decodePassphraseSlot, passphraseSlotKind } from './passphrase.ts';
import { keyPairSlotKind } from './key-pair.ts';

/** Public facts about a slot for lists of keys: what opens it, never a secret. */
export function describeSlot(slot: KeySlot): Readonly<Record<string, string | number>> {
  switch (slot.kind) {
    case passphraseSlotKind: {
      const { memoryKib, passes, lanes } = decodePassphraseSlot(slot);
      return { algorithm: 'argon2id', memoryKib, passes, lanes };
    }
    case keyPairSlotKind:
      return {
        algorithm: 'x25519',
        publicKey: Buffer.from(slot.parameters.subarray(0, 32)).toString('hex'),
      };
    case 'aws-kms':
    case 'aws-secrets-manager':
    case 'pkcs11':
      return decodeFacts(slot);
    default:
      return {};
  }
}
