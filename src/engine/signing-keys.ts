/**
 * The keys that sign checkpoints: their private halves are in the keyring, and how each was handed over to in the log.
 *
 * Invariants
 * - The key that signs is the newest that the log names, or the first. The keyring has its private half.
 * - A key is in the keyring before the log names it. When the log names a later one its private half leaves the keyring, which
 *   keeps its public half and its hand-over: so they can be read without a key, and the log gets them again if its end was cut.
 * - Opening finishes what a crash interrupts.
 */
import { assert, concatBytes, type Entropy, utf8Encode, VerityError } from '../base/index.ts';
import { ed25519Sign, SecretKey, sha256 } from '../crypto/index.ts';
import { type Command, firstSigningKey, signingKeysOf } from '../kernel/index.ts';
import { formatVkey, makeVkey, publicKeyBytes, signatureTypes, type Vkey } from '../proof/index.ts';
import type { ReadView } from '../store/index.ts';
import { originOf } from './identity.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import type { Keyring } from './keyring.ts';

/** The keyring keeps all of them, and so does a receipt. */
const signingKeysMax = 900;

/** The newest key that signs. The caller wipes `seed`. */
export interface SigningKey {
  readonly number: number;
  readonly seed: SecretKey;
  readonly publicKey: Uint8Array;
}

/** The signed statement of one key that the next takes its place. */
export interface HandOver {
  readonly from: Vkey;
  readonly to: Vkey;
  /** Ed25519 by `from` over `handOverText`. */
  readonly signature: Uint8Array;
}

/** What a key signs to hand over to another. */
export function handOverText(origin: string, from: Vkey, to: Vkey): Uint8Array {
  return utf8Encode(
    `veritydb/key-handover/v1\n${origin}\n${formatVkey(from)}\n${formatVkey(to)}\n`,
  );
}

/** Each hand-over of the log, the oldest first. */
export function handOversOf(keyring: Keyring, view: ReadView): HandOver[] {
  const origin = originOf(keyring);
  return signingKeysOf(view).map(({ previousKey, publicKey, signature }) => ({
    from: vkeyOf(origin, previousKey),
    to: vkeyOf(origin, publicKey),
    signature,
  }));
}

/** The verifier keys of all keys that sign, or signed, the log's checkpoints; the newest last. */
export function vkeysOf(keyring: Keyring, view: ReadView): Vkey[] {
  const [first, ...rest] = handOversOf(keyring, view);
  if (first !== undefined) return [first.from, first.to, ...rest.map(({ to }) => to)];
  const publicKey = publicKeyOf(keyring, firstSigningKey);
  assert(publicKey !== undefined, 'a database has a signing key');
  return [vkeyOf(originOf(keyring), publicKey)];
}

/** The key that signs now. */
export function signingKeyOf({ keyring, root }: KeyHierarchy, view: ReadView): SigningKey {
  const number = newestNumber(view);
  const seed = keyring.entryKey('signing', number, root);
  const publicKey = keyring.entry('signing', number)?.publicBytes;
  assert(seed !== undefined && publicKey !== undefined, 'the keyring has the key that signs');
  return { number, seed, publicKey };
}

export interface SigningKeyRotationParts {
  readonly hierarchy: KeyHierarchy;
  readonly entropy: Entropy;
  /** What is committed. */
  readonly view: ReadView;
  readonly submit: (command: Command) => Promise<unknown>;
  readonly changeKeyring: (change: (next: Keyring) => void) => Promise<void>;
}

/**
 * Makes a new key sign from now on, which the one before it says in the log; its private half is gone then. Rejects with
 * COMMAND_TOO_LARGE when there were too many.
 */
export async function rotateSigningKey(parts: SigningKeyRotationParts): Promise<void> {
  const { hierarchy, entropy, view, submit, changeKeyring } = parts;
  const number = newestNumber(view) + 1;
  if (number > signingKeysMax) {
    throw new VerityError(
      'COMMAND_TOO_LARGE',
      `The database has had ${signingKeysMax} signing keys, the most it may have.`,
    );
  }
  const seed = new SecretKey(entropy.bytes(32));
  try {
    await changeKeyring((next) =>
      next.setEntry('signing', number, { key: seed, root: hierarchy.root }),
    );
  } finally {
    seed.wipe();
  }
  const publicKey = hierarchy.keyring.entry('signing', number)?.publicBytes;
  assert(publicKey !== undefined, 'the keyring has what was put into it');
  const old = signingKeyOf(hierarchy, view);
  const previousKey = old.publicKey;
  const origin = originOf(hierarchy.keyring);
  const text = handOverText(origin, vkeyOf(origin, previousKey), vkeyOf(origin, publicKey));
  const signature = ed25519Sign(old.seed, text);
  old.seed.wipe();
  const record = { keyNumber: number, previousKey, publicKey, signature };
  await submit({ kind: 'changeSigningKey', record, origin: {} });
  await finishSigningKeys(parts);
}

/**
 * Forgets the private halves of keys that sign no longer, or never did, and logs again what a cut took from the log.
 * Throws KEY_MISSING.
 */
export async function finishSigningKeys(parts: SigningKeyRotationParts): Promise<void> {
  const { hierarchy, entropy, view, changeKeyring } = parts;
  await logHandOversAgain(parts);
  const signs = newestNumber(view);
  const others = hierarchy.keyring.entryNumbers('signing').filter((number) => number !== signs);
  if (others.length === 0) return;
  const logged = signingKeysOf(view);
  await changeKeyring((next) => {
    for (const number of others) {
      const handOver = logged.find(({ keyNumber }) => keyNumber === number + 1);
      if (handOver !== undefined) {
        // An entry has a key: one of no use, since what is public must outlive the one that was.
        const key = new SecretKey(entropy.bytes(32));
        const publicBytes = concatBytes(handOver.previousKey, handOver.signature);
        next.setEntry('formerSigning', number, { key, root: hierarchy.root, publicBytes });
        key.wipe();
      }
      next.removeEntry('signing', number);
    }
  });
}

/** The end of the log was cut off by a repair: the keyring knows of keys that took over there. */
async function logHandOversAgain({
  hierarchy,
  view,
  submit,
}: SigningKeyRotationParts): Promise<void> {
  const { keyring } = hierarchy;
  for (;;) {
    const signs = newestNumber(view);
    if (keyring.entry('signing', signs) !== undefined) return;
    const former = keyring.entry('formerSigning', signs)?.publicBytes;
    const publicKey = publicKeyOf(keyring, signs + 1);
    if (former === undefined || publicKey === undefined) {
      throw new VerityError(
        'KEY_MISSING',
        `The keyring lacks the signing key ${signs}, which the log names. Restore the keyring from a newer copy.`,
      );
    }
    const record = {
      keyNumber: signs + 1,
      previousKey: former.slice(0, publicKeyBytes),
      publicKey,
      signature: former.slice(publicKeyBytes),
    };
    await submit({ kind: 'changeSigningKey', record, origin: {} });
  }
}

/** The public half of a signing key that the keyring has, or had. */
function publicKeyOf(keyring: Keyring, number: number): Uint8Array | undefined {
  return (
    keyring.entry('signing', number)?.publicBytes ??
    keyring.entry('formerSigning', number)?.publicBytes.slice(0, publicKeyBytes)
  );
}

function newestNumber(view: ReadView): number {
  return signingKeysOf(view).at(-1)?.keyNumber ?? firstSigningKey;
}

function vkeyOf(origin: string, publicKey: Uint8Array): Vkey {
  return makeVkey(sha256, origin, signatureTypes.ed25519, publicKey);
}
