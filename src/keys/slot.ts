import {
  constantTimeEqual, deriveKey, type KeySlot, type SecretKey, unwrapKey, wrapKey,
} from '../crypto/index.ts';

const commitmentPurpose = 'veritydb/slot-commitment/v1';
const wrappingPurpose = 'veritydb/slot-wrapping/v1';

/** Wraps the root key under a master key of 32 bytes; the slot commits to the master key. */
export function wrapSlot(master: SecretKey, root: SecretKey, kind: string, parameters: Uint8Array): Omit<KeySlot, 'id'> {
  const wrapping = deriveKey(master, wrappingPurpose);
  const commitment = commitmentOf(master);
  const wrapped = wrapKey(wrapping, root);
  wrapping.wipe();
  return { kind, parameters, commitment, wrapped };
}

/** The root key, if `master` is the key of this slot; compared in constant time before anything is unwrapped. */
export function unwrapSlot(master: SecretKey, slot: KeySlot): SecretKey | undefined {
  if (!constantTimeEqual(commitmentOf(master), slot.commitment)) return undefined;
  const wrapping = deriveKey(master, wrappingPurpose);
  const root = unwrapKey(wrapping, slot.wrapped);
  wrapping.wipe();
  return root;
}

function commitmentOf(master: SecretKey): Uint8Array {
  const key = deriveKey(master, commitmentPurpose);
  const bytes = key.expose().slice();
  key.wipe();
  return bytes;
}
