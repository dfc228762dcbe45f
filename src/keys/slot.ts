import { CorruptionError } from '../base/index.ts';
import {
  constantTimeEqual,
  deriveKey,
  type KeySlot,
  type NewKeySlot,
  type SecretKey,
  type UnwrappedRoot,
  unwrapKey,
  wrapKey,
} from '../crypto/index.ts';

const commitmentPurpose = 'veritydb/slot-commitment/v1';
const rootCommitmentPurpose = 'veritydb/slot-root-commitment/v1';
const wrappingPurpose = 'veritydb/slot-wrapping/v1';

/** Wraps the root key under a master key of 32 bytes; the slot commits to the master key. */
export function wrapSlot(
  master: SecretKey,
  root: SecretKey,
  kind: string,
  parameters: Uint8Array,
): NewKeySlot {
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
  if (root === undefined) throw alteredSlot(slot, 'A wrapped key that was altered lies');
  return root;
}

/**
 * The commitment of a slot whose key nobody but its keeper (KMS, a token) ever sees: to the root key itself. It
 * is checked against what the keeper hands out.
 */
export function rootCommitment(root: SecretKey): Uint8Array {
  return bytesOf(deriveKey(root, rootCommitmentPurpose));
}

/** Whether `root` is the key that the slot was made for, in constant time. */
export function commitsToRoot(slot: KeySlot, root: SecretKey): boolean {
  return constantTimeEqual(rootCommitment(root), slot.commitment);
}

/** The root key out of the first of `slots` that was made with `master`. */
export function firstUnwrapped(
  master: SecretKey,
  slots: readonly KeySlot[],
): UnwrappedRoot | undefined {
  for (const slot of slots) {
    const root = unwrapSlot(master, slot);
    if (root !== undefined) return { root, slotId: slot.id };
  }
  return undefined;
}

/** The error for a slot whose bytes are not what was stored; `what` is the start of a sentence. */
export function alteredSlot(slot: KeySlot, what: string): CorruptionError {
  return new CorruptionError('AUTHENTICATION_FAILED', 'keyring', 0, `${what} in slot ${slot.id}`);
}

function commitmentOf(master: SecretKey): Uint8Array {
  return bytesOf(deriveKey(master, commitmentPurpose));
}

function bytesOf(key: SecretKey): Uint8Array {
  const bytes = key.expose().slice();
  key.wipe();
  return bytes;
}
