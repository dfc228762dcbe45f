/** What a log asks witnesses: cosignatures on its checkpoints, and what they have seen of it. */
import { utf8Decode, VerityError } from '../base/index.ts';
import { ed25519Verify } from '../crypto/index.ts';
import {
  type Checkpoint,
  openNote,
  parseCheckpoint,
  parseNote,
  parseSize,
  type VerifiedSignature,
  type Vkey,
} from '../proof/index.ts';
import { boundedBytes, reasonOf, type RequestTimes, signalOf } from './answers.ts';
import { formatAddCheckpoint } from './request.ts';
import { sizeType } from './witness.ts';
import { originHash } from './witness-store.ts';

/** A witness that others submit to as well may move on between two requests; it does not do so for ever. */
const attemptsMax = 4;

export interface WitnessAddress {
  /** What `/add-checkpoint` is appended to. */
  readonly url: string;
  readonly vkey: Vkey;
}

export interface Submission {
  /** The log's signed checkpoint. */
  readonly note: string;
  /** The size that the witness is thought to have. */
  readonly from: number;
  /** The log's proof that its tree of `to` leaves begins with that of `from`. */
  readonly consistency: (
    from: number,
    to: number,
  ) => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;
}

export type SubmissionResult =
  | { readonly outcome: 'cosigned'; readonly signatures: readonly VerifiedSignature[] }
  /** It says that it has cosigned a larger tree of this log. */
  | { readonly outcome: 'ahead'; readonly size: number }
  /** It has cosigned a tree of `size` leaves that ours does not begin with. */
  | { readonly outcome: 'inconsistent'; readonly size: number };

/**
 * Has a witness cosign a checkpoint, from the size that it names if need be. Throws WITNESS_UNAVAILABLE when it does not answer in
 * time for each request, or not as a witness does, and WITNESS_REFUSED when it does not cosign this log.
 */
export async function submitCheckpoint(
  witness: WitnessAddress,
  submission: Submission,
  times: RequestTimes,
): Promise<SubmissionResult> {
  const { size } = parseCheckpoint(parseNote(submission.note).text);
  let old = Math.min(submission.from, size);
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const proof = await submission.consistency(old, size);
    const body = formatAddCheckpoint({ old, proof, note: submission.note });
    const answer = await request(witness, 'add-checkpoint', { method: 'POST', body, ...times });
    if (answer.status === 200) {
      return { outcome: 'cosigned', signatures: cosignaturesIn(witness, submission, answer.body) };
    }
    if (answer.status === 422) return { outcome: 'inconsistent', size: old };
    if (answer.status !== 409 || answer.type !== sizeType) {
      throw refusal(witness, answer);
    }
    const named = sizeIn(witness, answer.body);
    if (named > size) return { outcome: 'ahead', size: named };
    old = named;
  }
  throw unavailable(witness, 'it names another size at every attempt');
}

/** What a witness shows of a log. */
export interface ShownCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly note: string;
  /** Whether a key of those given has signed it. The witness has checked the signature of a key that it was given. */
  readonly isOurs: boolean;
}

/** The newest checkpoint of a log that a witness shows, with its cosignature; undefined if it shows none. Throws as submitCheckpoint does. */
export async function cosignedCheckpoint(
  witness: WitnessAddress,
  log: { readonly origin: string; readonly vkeys: readonly Vkey[] },
  times: RequestTimes,
): Promise<ShownCheckpoint | undefined> {
  const path = `${originHash(log.origin)}/checkpoint`;
  const answer = await request(witness, path, { method: 'GET', ...times });
  if (answer.status === 404) return undefined;
  if (answer.status !== 200) throw refusal(witness, answer);
  const note = answer.body;
  try {
    const checkpoint = parseCheckpoint(openNote(note, [witness.vkey], ed25519Verify).text);
    if (checkpoint.origin === log.origin) {
      return { checkpoint, note, isOurs: isSignedBy(note, log.vkeys) };
    }
  } catch (error) {
    if (!(error instanceof VerityError)) throw error;
    throw unavailable(witness, `what it shows does not hold: ${error.message}`);
  }
  throw unavailable(witness, 'it shows another log');
}

function isSignedBy(note: string, vkeys: readonly Vkey[]): boolean {
  try {
    openNote(note, vkeys, ed25519Verify);
    return true;
  } catch {
    return false;
  }
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

async function request(
  witness: WitnessAddress,
  path: string,
  options: RequestTimes & { readonly method: 'GET' | 'POST'; readonly body?: string },
): Promise<Answer> {
  const { method, body } = options;
  try {
    const response = await fetch(`${witness.url.replace(/\/+$/, '')}/${path}`, {
      method,
      // A witness has no reason to send us elsewhere.
      redirect: 'error',
      signal: signalOf(options),
      ...(body !== undefined && { body, headers: { 'Content-Type': 'text/plain' } }),
    });
    const type = response.headers.get('Content-Type') ?? '';
    return { status: response.status, type, body: utf8Decode(await boundedBytes(response)) };
  } catch (error) {
    throw unavailable(witness, reasonOf(error));
  }
}

function cosignaturesIn(
  witness: WitnessAddress,
  submission: Submission,
  lines: string,
): readonly VerifiedSignature[] {
  try {
    const { text } = parseNote(submission.note);
    return openNote(`${text}\n${lines}`, [witness.vkey], ed25519Verify).verified;
  } catch (error) {
    if (!(error instanceof VerityError)) throw error;
    throw unavailable(witness, `its cosignature does not hold: ${error.message}`);
  }
}

function sizeIn(witness: WitnessAddress, body: string): number {
  try {
    return parseSize(body.replace(/\n$/, ''));
  } catch {
    throw unavailable(witness, 'it answers 409 without a size');
  }
}

function unavailable(witness: WitnessAddress, why: string): VerityError {
  return new VerityError(
    'WITNESS_UNAVAILABLE',
    `The witness "${witness.vkey.name}" at ${witness.url} does not answer as one: ${why}. Try again later, or look at it.`,
  );
}

function refusal(witness: WitnessAddress, { status, body }: Answer): VerityError {
  if (status >= 500 || status === 429 || status === 409) {
    return unavailable(witness, `status ${status}`);
  }
  const words = body
    .slice(0, 200)
    .replaceAll(/\p{C}+/gu, ' ')
    .trim();
  return new VerityError(
    'WITNESS_REFUSED',
    `The witness "${witness.vkey.name}" at ${witness.url} refuses this log with status ${status}${words === '' ? '' : ` ("${words}")`}. Ask its owner to add the log's verifier key.`,
  );
}
