import { randomFillSync } from 'node:crypto';
import { concatBytes } from '../../src/base/index.ts';
import { hkdf, type NewKeySlot, pae, SecretKey, type SlotBinding } from '../../src/crypto/index.ts';
import { wrapSlot } from '../../src/keys/index.ts';
import { privateKeyObject, publicKeyBytes, sharedSecret } from '../../src/keys/x25519.ts';

/** A slot of a key pair in the form of revision 1, which holds the public key and cannot carry a mark. */
export function oldPairSlot(
  publicKey: Uint8Array,
  root: SecretKey,
  { logId }: SlotBinding,
): NewKeySlot {
  const ephemeral = privateKeyObject(new SecretKey(randomFillSync(new Uint8Array(32))));
  const parameters = concatBytes(publicKey, publicKeyBytes(ephemeral));
  const shared = new SecretKey(sharedSecret(ephemeral, publicKey) as Uint8Array);
  const info = pae('veritydb/key-pair-slot/v1', logId);
  return wrapSlot(new SecretKey(hkdf(shared, parameters, info, 32)), root, 'key-pair', parameters);
}
