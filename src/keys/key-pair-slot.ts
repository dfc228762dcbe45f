/**
 * Slots of key pairs; docs/format/key-pair.md draws their bytes. To wrap for a pair takes its public key and no more, so
 * what opens may come from anybody who has that. A slot therefore carries a mark, if it was made by a holder of the
 * private key: a MAC under a key that only the private key gives. And it names the pair by a hash of the public key, so
 * that who reads the slot cannot wrap for it.
 */
import { randomFillSync } from 'node:crypto';
import { assert, concatBytes, toHex, VerityError } from '../base/index.ts';
import {
  constantTimeEqual,
  deriveKey,
  hkdf,
  hmac,
  type KeySlot,
  type NewKeySlot,
  pae,
  SecretKey,
  type SlotBinding,
} from '../crypto/index.ts';
import type { KeyPair } from './key-pair-file.ts';
import { alteredSlot, rootCommitment, unwrapSlot, wrapSlot } from './slot.ts';
import { privateKeyObject, publicKeyBytes, publicKeyFingerprint, sharedSecret } from './x25519.ts';

export const keyPairSlotKind = 'key-pair';
const firstPurpose = 'veritydb/key-pair-slot/v1';
const purpose = 'veritydb/key-pair-slot/v2';
const markPurpose = 'veritydb/key-pair-mark/v1';
const keyBytes = 32;
const fingerprintStart = 1;
const ephemeralStart = fingerprintStart + 32;
const markStart = ephemeralStart + keyBytes;
const markBytes = 32;
/** Slots of revision 1 hold two public keys and nothing else: no revision, and never a mark. */
const firstLength = 2 * keyBytes;
const revision = 2;

/** Wraps the root key for the holder of a public key. Nothing shows who did it. Throws KEY_INVALID. */
export function lockForPair(
  publicKey: Uint8Array,
  root: SecretKey,
  binding: SlotBinding,
): NewKeySlot {
  const ephemeral = new SecretKey(randomFillSync(new Uint8Array(keyBytes)));
  try {
    const ephemeralKey = privateKeyObject(ephemeral);
    const parameters = concatBytes(
      Uint8Array.of(revision),
      publicKeyFingerprint(publicKey),
      publicKeyBytes(ephemeralKey),
    );
    const shared = sharedSecret(ephemeralKey, publicKey);
    const master = masterOf(shared, { parameters, publicKey, binding });
    if (master === undefined) {
      throw new VerityError(
        'KEY_INVALID',
        'The public key is of small order: nothing is safe under it.',
      );
    }
    const slot = wrapSlot(master, root, keyPairSlotKind, parameters);
    master.wipe();
    return slot;
  } finally {
    ephemeral.wipe();
  }
}

/** As `lockForPair`, by the holder of the private key, whose mark the slot carries. */
export function lockAsPair(
  { publicKey, privateKey }: KeyPair,
  root: SecretKey,
  binding: SlotBinding,
): NewKeySlot {
  const slot = lockForPair(publicKey, root, binding);
  const mark = markOf(slot, { privateKey, root, binding });
  return { ...slot, parameters: concatBytes(slot.parameters, mark) };
}

interface PairSlots {
  /** Those that carry a mark, which was not checked yet. */
  readonly marked: readonly KeySlot[];
  readonly unmarked: readonly KeySlot[];
}

/** The slots that say that they are of the pair with this public key. */
export function slotsOfPair(slots: readonly KeySlot[], publicKey: Uint8Array): PairSlots {
  const fingerprint = publicKeyFingerprint(publicKey);
  const marked: KeySlot[] = [];
  const unmarked: KeySlot[] = [];
  for (const slot of slots) {
    const { parameters } = slot;
    const form = formOf(slot);
    const isOurs =
      form === 'first'
        ? constantTimeEqual(parameters.subarray(0, keyBytes), publicKey)
        : form !== undefined &&
          constantTimeEqual(parameters.subarray(fingerprintStart, ephemeralStart), fingerprint);
    if (isOurs) (form === 'marked' ? marked : unmarked).push(slot);
  }
  return { marked, unmarked };
}

/**
 * The root key in a slot of this pair, whose mark is checked if it carries one; the caller wipes it. Throws
 * AUTHENTICATION_FAILED for a slot that was altered, is of another database, or whose mark another made.
 */
export function openPairSlot(
  slot: KeySlot,
  { publicKey, privateKey }: KeyPair,
  binding: SlotBinding,
): SecretKey {
  const form = formOf(slot);
  assert(form !== undefined, 'a slot of the pair has one of its forms');
  const { parameters } = slot;
  const ephemeralAt = form === 'first' ? keyBytes : ephemeralStart;
  const ephemeral = parameters.subarray(ephemeralAt, ephemeralAt + keyBytes);
  const shared = sharedSecret(privateKeyObject(privateKey), ephemeral);
  const master = masterOf(shared, { parameters, publicKey, binding });
  let root: SecretKey | undefined;
  try {
    root = master && unwrapSlot(master, slot);
  } finally {
    master?.wipe();
  }
  if (root === undefined) throw alteredSlot(slot, 'A wrapped key that was altered lies');
  if (form !== 'marked') return root;
  const content = { ...slot, parameters: parameters.subarray(0, markStart) };
  const mark = markOf(content, { privateKey, root, binding });
  if (constantTimeEqual(mark, parameters.subarray(markStart))) return root;
  root.wipe();
  throw alteredSlot(slot, 'A mark that the holder of the key pair did not make lies');
}

/** Public facts about a slot of a key pair. */
export function describePairSlot(slot: KeySlot): Readonly<Record<string, string>> {
  const { parameters } = slot;
  const algorithm = 'x25519';
  const lockedWith = 'public key';
  switch (formOf(slot)) {
    case 'first': {
      const publicKey = parameters.subarray(0, keyBytes);
      const fingerprint = toHex(publicKeyFingerprint(publicKey));
      return { algorithm, fingerprint, publicKey: toHex(publicKey), lockedWith };
    }
    case 'unmarked':
      return { algorithm, fingerprint: fingerprintIn(parameters), lockedWith };
    case 'marked':
      return { algorithm, fingerprint: fingerprintIn(parameters), lockedWith: 'private key' };
    default:
      return { algorithm };
  }
}

function fingerprintIn(parameters: Uint8Array): string {
  return toHex(parameters.subarray(fingerprintStart, ephemeralStart));
}

function formOf({ kind, parameters }: KeySlot): 'first' | 'unmarked' | 'marked' | undefined {
  if (kind !== keyPairSlotKind) return undefined;
  const { length } = parameters;
  if (length === firstLength) return 'first';
  if (parameters[0] !== revision) return undefined;
  if (length === markStart) return 'unmarked';
  return length === markStart + markBytes ? 'marked' : undefined;
}

/** The MAC over all that a slot holds, its place, and the root key, which the slot's commitment hides. */
function markOf(
  { parameters, commitment, wrapped }: NewKeySlot,
  from: {
    readonly privateKey: SecretKey;
    readonly root: SecretKey;
    readonly binding: SlotBinding;
  },
): Uint8Array {
  const place = placeOf(from.binding);
  const committed = rootCommitment(from.root);
  const key = deriveKey(from.privateKey, markPurpose);
  const bytes = pae(markPurpose, ...place, parameters, commitment, wrapped, committed);
  try {
    return hmac(key, bytes);
  } finally {
    key.wipe();
  }
}

function placeOf({ use, logId }: SlotBinding): [string, Uint8Array] {
  return [use ?? 'database', logId];
}

/** HKDF of the shared secret over both public keys and the place; wipes the secret. */
function masterOf(
  shared: Uint8Array | undefined,
  over: {
    readonly parameters: Uint8Array;
    readonly publicKey: Uint8Array;
    readonly binding: SlotBinding;
  },
): SecretKey | undefined {
  if (shared === undefined) return undefined;
  const { parameters, publicKey, binding } = over;
  const secret = new SecretKey(shared);
  try {
    if (parameters.length === firstLength) {
      return new SecretKey(hkdf(secret, parameters, pae(firstPurpose, binding.logId), keyBytes));
    }
    const keys = concatBytes(publicKey, parameters.subarray(ephemeralStart, markStart));
    return new SecretKey(hkdf(secret, keys, pae(purpose, ...placeOf(binding)), keyBytes));
  } finally {
    secret.wipe();
  }
}

/** What the holder of a pair is told of a slot that somebody made with the public key. */
export function foreignSlot(slot: KeySlot, path: string, binding: SlotBinding): VerityError {
  const [what, file] =
    binding.use === 'kek-ring'
      ? (['this ring of envelope keys', undefined] as const)
      : (['this database', 'keyring'] as const);
  return new VerityError(
    'KEY_SLOT_FOREIGN',
    `Slot ${slot.id} was locked with the public key of ${path} alone: anybody who has that key may have made ` +
      `${what}, and knows what is in it. If you expect it from somebody, check with him that it is his (position and ` +
      'chain hash), and open it once with acceptForeign (--master-key "key-pair:PATH?accept-foreign"); else restore ' +
      'the files from a copy.',
    { details: { slot: slot.id, ...(file !== undefined && { file }) } },
  );
}
