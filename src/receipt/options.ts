/** What whoever checks a receipt brings along: the identities that he believes. Never anything of the receipt. */
import type { Sha256, VerifyEd25519, Vkey } from '../proof/index.ts';
import { formatVkey, parseVkey, signatureTypes } from '../proof/index.ts';
import { CheckFailure, check } from './checks.ts';
import { defaultCrypto } from './default-crypto.ts';

/** When an authority says that it saw the checkpoint. */
export interface TimeStamp {
  /** ISO 8601, in UTC. */
  readonly time: string;
  /** The authority's name, as its certificate has it. */
  readonly authority: string;
}

export interface VerifyOptions {
  /** The log's verifier keys (`name+hex+base64`): the signature of one of them, or of a key handed over by one, is required. */
  readonly keys: readonly string[];
  /** The log's name; needed only where keys of several logs are given. */
  readonly origin?: string;
  /** Verifier keys of witnesses. */
  readonly witnesses?: readonly string[];
  /** How many of them must have cosigned the checkpoint; default: all. */
  readonly quorum?: number;
  /** Checks an RFC 3161 token over `message`: undefined if it is not right. Without it time stamps are not checked, and the result says so. */
  readonly verifyTimeStamp?: (token: Uint8Array, message: Uint8Array) => TimeStamp | undefined;
  /** Another SHA-256 or Ed25519 (RFC 8032), such as the platform's faster one. */
  readonly crypto?: { readonly sha256?: Sha256; readonly verifyEd25519?: VerifyEd25519 };
}

/** Options, checked. */
export interface Believed {
  readonly keys: readonly Vkey[];
  readonly origin: string | undefined;
  readonly witnesses: readonly Vkey[];
  readonly quorum: number;
  readonly verifyTimeStamp: VerifyOptions['verifyTimeStamp'];
  readonly sha256: Sha256;
  readonly verifyEd25519: VerifyEd25519;
}

/** Throws CheckFailure 'options'. */
export function believedOf(options: VerifyOptions): Believed {
  const given: unknown = options;
  check('options', typeof given === 'object' && given !== null, 'Options are missing: give keys.');
  const { crypto, origin, verifyTimeStamp } = options;
  const sha256 = crypto?.sha256 ?? defaultCrypto.sha256;
  const keys = vkeysOf(sha256, options.keys, signatureTypes.ed25519);
  check('options', keys.length > 0, "No verifier key was given: the log's is needed.");
  check(
    'options',
    origin === undefined || typeof origin === 'string',
    'The origin is not a string.',
  );
  const witnesses = vkeysOf(sha256, options.witnesses ?? [], signatureTypes.cosignature);
  const quorum = options.quorum ?? witnesses.length;
  check(
    'options',
    Number.isSafeInteger(quorum) && quorum >= 0 && quorum <= witnesses.length,
    'The quorum is not a whole number from 0 to the count of witnesses.',
  );
  const verifyEd25519 = crypto?.verifyEd25519 ?? defaultCrypto.verifyEd25519;
  return { keys, origin, witnesses, quorum, verifyTimeStamp, sha256, verifyEd25519 };
}

function vkeysOf(sha256: Sha256, texts: readonly string[], type: Vkey['type']): Vkey[] {
  check(
    'options',
    Array.isArray(texts) && texts.every((text) => typeof text === 'string'),
    'Verifier keys are given as an array of strings.',
  );
  const vkeys = texts.map((text) => parsedVkey(sha256, text));
  check(
    'options',
    vkeys.every((vkey) => vkey.type === type),
    `A verifier key is not of type ${type}: a log's are of type 1, a witness's of type 4.`,
  );
  const names = new Set(vkeys.map(formatVkey));
  const points = new Set(vkeys.map(({ publicKey }) => publicKey.join()));
  check(
    'options',
    names.size === vkeys.length && (type === signatureTypes.ed25519 || points.size === names.size),
    'A verifier key was given twice.',
  );
  return vkeys;
}

function parsedVkey(sha256: Sha256, text: string): Vkey {
  try {
    return parseVkey(sha256, text);
  } catch (error) {
    throw new CheckFailure('options', (error as Error).message);
  }
}
