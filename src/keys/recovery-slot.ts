/**
 * Slots of recovery codes. The root key is wrapped for an X25519 public key that only the code gives, so that a new
 * root key can be wrapped for it when the master key is rotated and the code lies in a safe. The public key is not
 * public: the keyring keeps it wrapped, and it goes into the derivation, so that nobody without the root key can make
 * a slot that the code opens.
 */
import { randomFillSync } from 'node:crypto';
import { assert, concatBytes, CorruptionError } from '../base/index.ts';
import {
  deriveKey,
  hkdf,
  type KeySlot,
  type NewKeySlot,
  pae,
  SecretKey,
  type SlotBinding,
  type UnwrappedRoot,
} from '../crypto/index.ts';
import { unwrapSlot, wrapSlot } from './slot.ts';
import { privateKeyObject, publicKeyBytes, sharedSecret } from './x25519.ts';

export const recoverySlotKind = 'recovery';
const privateKeyPurpose = 'veritydb/recovery-x25519/v1';
const slotPurpose = 'veritydb/recovery-slot/v1';
const publicKeyLength = 32;

/** The public key that belongs to a code's key: what `wrapForRecovery` needs. */
export function recoveryPublicKey(code: SecretKey): Uint8Array {
  const key = deriveKey(code, privateKeyPurpose);
  try {
    return publicKeyBytes(privateKeyObject(key));
  } finally {
    key.wipe();
  }
}

/** Wraps the root key for the holder of a recovery code. */
export function wrapForRecovery(
  publicKey: Uint8Array,
  root: SecretKey,
  binding: SlotBinding,
): NewKeySlot {
  const ephemeral = new SecretKey(randomFillSync(new Uint8Array(32)));
  try {
    const privateKey = privateKeyObject(ephemeral);
    const own = publicKeyBytes(privateKey);
    const shared = sharedSecret(privateKey, publicKey);
    assert(shared !== undefined, 'the public key of a code is of full order');
    const master = masterOf(shared, concatBytes(publicKey, own), binding);
    const slot = wrapSlot(master, root, recoverySlotKind, own);
    master.wipe();
    return { ...slot, rewrapKey: publicKey };
  } finally {
    ephemeral.wipe();
  }
}

/** The root key out of the first slot of this code's key. Throws AUTHENTICATION_FAILED for one that was altered. */
export function openRecoverySlot(
  code: SecretKey,
  slots: readonly KeySlot[],
  binding: SlotBinding,
): UnwrappedRoot | undefined {
  const key = deriveKey(code, privateKeyPurpose);
  try {
    const privateKey = privateKeyObject(key);
    const publicKey = publicKeyBytes(privateKey);
    for (const slot of slots) {
      const { parameters } = slot;
      if (slot.kind !== recoverySlotKind || parameters.length !== publicKeyLength) continue;
      const shared = sharedSecret(privateKey, parameters);
      if (shared === undefined) continue;
      const master = masterOf(shared, concatBytes(publicKey, parameters), binding);
      try {
        const root = unwrapSlot(master, slot);
        if (root !== undefined) return { root, slotId: slot.id };
      } finally {
        master.wipe();
      }
    }
    return undefined;
  } finally {
    key.wipe();
  }
}

/** The slot for another root key, made with the public key that the keyring keeps for it. Throws CorruptionError. */
export function rewrapRecoverySlot(
  slot: KeySlot,
  publicKey: SecretKey | undefined,
  root: SecretKey,
  binding: SlotBinding,
): KeySlot {
  if (publicKey === undefined) {
    throw new CorruptionError(
      'MISSING_DATA',
      'keyring',
      0,
      `The key that recovery slot ${slot.id} is wrapped anew with is missing`,
    );
  }
  const { rewrapKey, ...wrapped } = wrapForRecovery(publicKey.expose().slice(), root, binding);
  rewrapKey?.fill(0);
  return { id: slot.id, ...wrapped };
}

/** HKDF of the shared secret over both public keys and the database; wipes the secret. */
function masterOf(shared: Uint8Array, publicKeys: Uint8Array, binding: SlotBinding): SecretKey {
  const secret = new SecretKey(shared);
  try {
    return new SecretKey(hkdf(secret, publicKeys, pae(slotPurpose, binding.logId), 32));
  } finally {
    secret.wipe();
  }
}
