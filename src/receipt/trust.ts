/** Whether the checkpoint is of the log that is believed: origin, hand-overs, signatures, witnesses, time stamps. */
import { utf8Encode } from '../base/index.ts';
import {
  type Checkpoint,
  checkSignature,
  formatVkey,
  type Note,
  parseCheckpoint,
  parseNote,
  parseVkey,
  signatureTypes,
  type VerifiedSignature,
  type Vkey,
} from '../proof/index.ts';
import { CheckFailure, check, type ReceiptCheck } from './checks.ts';
import type { Believed, TimeStamp } from './options.ts';
import type { HandOver } from './receipt-text.ts';

/** A note of a checkpoint, of which nothing is checked but its form. */
export interface CheckpointNote extends Note {
  readonly checkpoint: Checkpoint;
}

/** Throws CheckFailure 'note'. */
export function noteOf(text: string): CheckpointNote {
  const note = failingAs('note', () => parseNote(text));
  const checkpoint = failingAs('note', () => parseCheckpoint(note.text));
  check('note', checkpoint.extensions === undefined, 'The checkpoint has more than three lines.');
  return { ...note, checkpoint };
}

/** Throws CheckFailure 'origin'. */
export function checkOrigin({ origin }: Checkpoint, believed: Believed): void {
  const isOfLog =
    believed.origin === undefined
      ? believed.keys.some(({ name }) => name === origin)
      : believed.origin === origin;
  check('origin', isOfLog, 'The receipt is of another log than the one that is believed.');
}

/** A hand-over that was needed and is right. */
export interface FollowedHandOver {
  readonly from: string;
  readonly to: string;
}

/** The keys that are believed after the hand-overs, and those that were followed. Throws CheckFailure 'handOver'. */
export function followHandOvers(
  handOvers: readonly HandOver[],
  origin: string,
  believed: Believed,
): { readonly keys: readonly Vkey[]; readonly followed: readonly FollowedHandOver[] } {
  const keys = believed.keys.filter(({ name }) => name === origin);
  const followed: FollowedHandOver[] = [];
  for (const { from, to, signature } of handOvers) {
    const giver = keys.find((key) => formatVkey(key) === from);
    if (giver === undefined) continue;
    const taker = failingAs('handOver', () => parseVkey(believed.sha256, to));
    check(
      'handOver',
      taker.type === signatureTypes.ed25519 && taker.name === origin,
      'A signing key was handed over to a key that is not of this log.',
    );
    check(
      'handOver',
      believed.verifyEd25519(giver.publicKey, handOverMessage({ origin, from, to }), signature),
      'The hand-over of a signing key is not signed by the key before it.',
    );
    keys.push(taker);
    followed.push({ from, to });
  }
  return { keys, followed };
}

/** What the old key signs when another takes its place. */
export function handOverMessage(of: {
  readonly origin: string;
  readonly from: string;
  readonly to: string;
}): Uint8Array {
  return utf8Encode(`veritydb/key-handover/v1\n${of.origin}\n${of.from}\n${of.to}\n`);
}

/** The signatures of the log's own keys. Throws CheckFailure 'signature'. */
export function checkLogSignatures(
  note: CheckpointNote,
  keys: readonly Vkey[],
  believed: Believed,
): VerifiedSignature[] {
  const verified = signaturesOf('signature', note, keys, believed);
  check(
    'signature',
    verified.length > 0,
    'No key that is believed has signed the checkpoint: it is of another signer, or altered.',
  );
  return verified;
}

/** The cosignatures of the witnesses. Throws CheckFailure 'witnesses'. */
export function checkWitnesses(note: CheckpointNote, believed: Believed): VerifiedSignature[] {
  const verified = signaturesOf('witnesses', note, believed.witnesses, believed);
  check(
    'witnesses',
    verified.length >= believed.quorum,
    `${verified.length} of the given witnesses have cosigned the checkpoint; ${believed.quorum} must have.`,
  );
  return verified;
}

function signaturesOf(
  name: ReceiptCheck,
  note: CheckpointNote,
  keys: readonly Vkey[],
  { verifyEd25519 }: Believed,
): VerifiedSignature[] {
  const verified: VerifiedSignature[] = [];
  for (const signature of note.signatures) {
    const vkey = keys.find((key) => key.name === signature.name && key.id === signature.id);
    if (vkey === undefined) continue;
    verified.push(failingAs(name, () => checkSignature(note.text, signature, vkey, verifyEd25519)));
  }
  return verified;
}

/** Empty where nothing checks time stamps. Throws CheckFailure 'timeStamp'. */
export function checkTimeStamps(
  tokens: readonly Uint8Array[],
  { text }: CheckpointNote,
  { verifyTimeStamp }: Believed,
): TimeStamp[] {
  if (verifyTimeStamp === undefined) return [];
  return tokens.map((token) => {
    const stamp = failingAs('timeStamp', () => verifyTimeStamp(token, utf8Encode(text)));
    check(
      'timeStamp',
      stamp !== undefined,
      'A time stamp is not of this checkpoint, or not of the authority that is trusted.',
    );
    return stamp;
  });
}

function failingAs<T>(name: ReceiptCheck, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new CheckFailure(name, (error as Error).message);
  }
}
