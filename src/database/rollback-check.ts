/**
 * Whether the log on this disk is the one that its witnesses have seen. Everything here may have been rewound together, keyring
 * and anchor too; a witness is elsewhere. Done before anything is signed: a checkpoint of a rewound log would contradict an earlier one.
 */
import { equalBytes, VerityError } from '../base/index.ts';
import { rollbackSetting } from '../engine/index.ts';
import { toBase64 } from '../proof/index.ts';
import {
  cosignedCheckpoint,
  type RequestTimes,
  type ShownCheckpoint,
  submitCheckpoint,
  type WitnessAddress,
} from '../witness/index.ts';
import type { AttestedLog } from './attested-log.ts';
import { acceptedRollbacks, policyOf, witnessesOf } from './witness-settings.ts';

const answerMs = 5_000;

export interface RollbackCheckOptions {
  /** Goes on with a log that a witness has seen more, or other, of, and records that in the log. */
  readonly acceptRollback: boolean;
  readonly warn: (warning: string) => void;
}

type Finding =
  | { readonly kind: 'agrees' }
  | { readonly kind: 'silent'; readonly error: VerityError }
  /** The witness has cosigned what this log is not, or no longer. */
  | {
      readonly kind: 'contradicts';
      readonly size: number;
      readonly root: string;
      readonly why: string;
    };

/**
 * Compares the log with the newest checkpoint that each witness has cosigned. Throws LOG_ROLLED_BACK when one contradicts it and that
 * was not accepted, now or before; WITNESS_UNAVAILABLE when fewer answer than the policy asks for and it is strict. Returns how many answered.
 */
export async function checkAgainstWitnesses(
  log: AttestedLog,
  { acceptRollback, warn }: RollbackCheckOptions,
): Promise<number> {
  const witnesses = witnessesOf(log);
  const findings = await Promise.all(witnesses.map((witness) => findingOf(log, witness)));
  const accepted = [...acceptedRollbacks(log)];
  const before = accepted.length;
  for (const [index, finding] of findings.entries()) {
    if (finding.kind !== 'contradicts') continue;
    const { name } = (witnesses[index] as WitnessAddress).vkey;
    const { size, root, why } = finding;
    const isKnown = accepted.some(
      (one) => one.witness === name && one.size === size && one.root === root,
    );
    if (!isKnown && !acceptRollback) throw rolledBack(log, name, finding);
    if (!isKnown) accepted.push({ witness: name, size, root, leaves: log.size });
    warn(
      `${why} That was accepted. Checkpoints of this log are not cosigned by "${name}" any more.`,
    );
  }
  if (accepted.length > before) await log.changeSetting(rollbackSetting, accepted);
  const silent = findings.flatMap((finding) => (finding.kind === 'silent' ? [finding.error] : []));
  const answered = findings.length - silent.length;
  const { required, strict } = policyOf(log);
  for (const { message } of silent) warn(message);
  if (strict && answered < required) {
    throw new VerityError(
      'WITNESS_UNAVAILABLE',
      `${answered} of ${witnesses.length} witnesses answered, and the policy asks for ${required} before the database is opened for writing: whether its disk was rolled back cannot be told. Try again, or open it with readOnly.`,
      { cause: silent[0] },
    );
  }
  return answered;
}

async function findingOf(log: AttestedLog, witness: WitnessAddress): Promise<Finding> {
  const times: RequestTimes = { timeoutMs: answerMs };
  try {
    const shown = await cosignedCheckpoint(witness, log, times);
    return shown === undefined
      ? await askedWithOwn(log, witness, times)
      : await compared(log, witness, shown);
  } catch (error) {
    if (error instanceof VerityError) return { kind: 'silent', error };
    throw error;
  }
}

async function compared(
  log: AttestedLog,
  { vkey }: WitnessAddress,
  { checkpoint, isOurs }: ShownCheckpoint,
): Promise<Finding> {
  const { size, root } = checkpoint;
  const seen = `The witness "${vkey.name}" has cosigned a checkpoint of ${size} events of "${log.origin}"`;
  const key = isOurs ? '' : ', signed with a key that this database does not have';
  const contradicts = (why: string): Finding => ({
    kind: 'contradicts',
    size,
    root: toBase64(root),
    why: `${seen}${key}; ${why}`,
  });
  if (size > log.size) return contradicts(`here are only ${log.size} events.`);
  const own = await log.root(size);
  if (equalBytes(own, root)) return { kind: 'agrees' };
  return contradicts(`the first ${size} events here are others.`);
}

/** Of a witness that shows nothing: it may know the log all the same. */
async function askedWithOwn(
  log: AttestedLog,
  witness: WitnessAddress,
  times: RequestTimes,
): Promise<Finding> {
  const { newest } = log;
  if (newest === undefined) return { kind: 'agrees' };
  const consistency = (from: number, to: number) => log.consistencyProof(from, to);
  const submission = { note: newest.note, from: newest.size, consistency };
  const result = await submitCheckpoint(witness, submission, times);
  if (result.outcome === 'cosigned') {
    log.amend(newest.size, result.signatures);
    return { kind: 'agrees' };
  }
  // It may have seen a checkpoint that this log still has the events of, and no longer the note.
  if (result.outcome === 'ahead' && result.size <= log.size) return { kind: 'agrees' };
  const { size } = result;
  const why =
    result.outcome === 'ahead'
      ? `here are only ${log.size} events.`
      : 'the events here are not those.';
  return {
    kind: 'contradicts',
    size,
    root: '',
    why: `The witness "${witness.vkey.name}" says that it has cosigned ${size} events of "${log.origin}"; ${why}`,
  };
}

function rolledBack(
  log: AttestedLog,
  witness: string,
  finding: Extract<Finding, { kind: 'contradicts' }>,
): VerityError {
  const { size, why } = finding;
  return new VerityError(
    'LOG_ROLLED_BACK',
    `${why} The disk was rolled back, or an old copy was put in its place. Bring the newest copy back, or compare copies with "verity repair --from"; ` +
      'to go on with what is here, and have the log say so, open it with --accept-rollback. It can be read with readOnly.',
    { details: { witness, cosigned: size, here: log.size } },
  );
}
