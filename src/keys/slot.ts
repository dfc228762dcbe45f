import { CorruptionError } from '../base/index.ts';
import {
  constantTimeEqual,
  deriveKey,
  type KeySlot,
  type SecretKey,
  unwrapKey,
  wrapKey,
} from '../crypto/index.ts';

const commitmentPurpose = 'veritydb/slot-commitment/v1';
const wrappingPurpose = 'veritydb/slot-wrapping/v1';

/** Wraps the root key under a master key of 32 bytes; the slot commits to the master key. */
export function wrapSlot(
  master: SecretKey,
  root: SecretKey,
  kind: string,
  parameters: Uint8Array,
): Omit<KeySlot, 'id'> {
  const wrapping = deriveKey(master, wrappingPurpose);
  const commitment = commitmentOf(master);
  const wrapped = wrapKey(wrapping, root);
  wrapping.wipe();
  return { kind, parameters, commitment, wrapped };
}

/**
 * The root key, if `master` is the key of this slot; compared in constant time before anything is
 * unwrapped. Throws AUTHENTICATION_FAILED if it is, but the wrapped key was altered.
 */
export function unwrapSlot(master: SecretKey, slot: KeySlot): SecretKey | undefined {
  if (!constantTimeEqual(commitmentOf(master), slot.commitment)) return undefined;
  const wrapping = deriveKey(master, wrappingPurpose);
  const root = unwrapKey(wrapping, slot.wrapped);
  wrapping.wipe();
  if (root === undefined) {
    throw new CorruptionError(
      'AUTHENTICATION_FAILED',
      'keyring',
      0,
      `A wrapped key that was altered lies in slot ${slot.id}`,
    );
  }
  return root;
}

/** The root key out of the first of `slots` that was made with `master`. */
export function firstUnwrapped(
  master: SecretKey,
  slots: readonly KeySlot[],
): SecretKey | undefined {
  for (const slot of slots) {
    const root = unwrapSlot(master, slot);
    if (root !== undefined) return root;
  }
  return undefined;
}

function commitmentOf(master: SecretKey): Uint8Array {
  const key = deriveKey(master, commitmentPurpose);
  const bytes = key.expose().slice();
  key.wipe();
  return bytes;
}
