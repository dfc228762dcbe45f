/** verity.json: which database this is. No secrets; checksummed, authenticated, copied into the keyring. */
import {
  type CorruptionError,
  fromHex,
  type LogId,
  toHex,
  utf8Decode,
  utf8Encode,
  VerityError,
} from '../base/index.ts';
import {
  constantTimeEqual,
  defaultSuite,
  deriveKey,
  hmac,
  type KeySlot,
  pae,
  parseAlgorithm,
  parseCompression,
  plainProviderKind,
  type SealingSuite,
  type SecretKey,
  sha256,
} from '../crypto/index.ts';
import { formatRevision } from '../log/index.ts';
import { isKeyName } from '../proof/index.ts';
import type { Keyring } from './keyring.ts';

export interface Identity {
  readonly logId: LogId;
  /** Names this copy; a restored or copied database gets another. */
  readonly instanceId: Uint8Array;
  /** What is done to every section; chosen at creation. */
  readonly suite: SealingSuite;
  /** The database's public name, if it was given one at creation; see `originOf`. */
  readonly origin?: string;
}

export interface IdentityProblem {
  readonly code: CorruptionError['code'];
  readonly offset: number;
  readonly what: string;
}

interface IdentityFile {
  readonly format: string;
  readonly revision: number;
  readonly logId: string;
  readonly instanceId: string;
  readonly algorithm: string;
  readonly compression: string;
  readonly origin?: string;
  readonly checksum: string;
  readonly mac: string;
}

/** Far more than encodeIdentity writes. */
const identityBytesMax = 4096;
const macPurpose = 'veritydb/identity-mac/v1';

/** The bytes of verity.json; `lasting` is the keyring's key that outlives the root key. */
export function encodeIdentity(identity: Identity, lasting: SecretKey): Uint8Array {
  const body = bodyOf(identity);
  const covered = utf8Encode(JSON.stringify(body));
  const file: IdentityFile = {
    ...body,
    checksum: toHex(sha256(covered)),
    mac: toHex(macOf(covered, lasting)),
  };
  return utf8Encode(`${JSON.stringify(file, undefined, 2)}\n`);
}

function bodyOf(identity: Identity): Omit<IdentityFile, 'checksum' | 'mac'> {
  return {
    format: 'veritydb',
    revision: formatRevision,
    logId: toHex(identity.logId),
    instanceId: toHex(identity.instanceId),
    algorithm: identity.suite.algorithm,
    compression: identity.suite.compression,
    ...(identity.origin !== undefined && { origin: identity.origin }),
  };
}

function macOf(covered: Uint8Array, lasting: SecretKey): Uint8Array {
  const key = deriveKey(lasting, macPurpose);
  const mac = hmac(key, pae(macPurpose, covered));
  key.wipe();
  return mac;
}

/** Decodes and checks all that needs no key. */
export function decodeIdentity(bytes: Uint8Array): Identity | IdentityProblem {
  const damaged = (offset: number): IdentityProblem => ({
    code: 'CHECKSUM_MISMATCH',
    offset,
    what: 'Bytes that were not written so lie',
  });
  // A crafted one could nest deeper than JSON.stringify can follow.
  if (bytes.length > identityBytesMax) return damaged(identityBytesMax);
  const file = parse(bytes);
  if (file === undefined) return damaged(0);
  if (file.format === 'veritydb' && file.revision !== formatRevision && checksumHolds(file)) {
    return {
      code: 'FORMAT_UNSUPPORTED',
      offset: 0,
      what: `Format revision ${file.revision}, which this version does not read, lies`,
    };
  }
  const logId = fromHex(file.logId);
  const instanceId = fromHex(file.instanceId);
  const mac = fromHex(file.mac);
  const algorithm = parseAlgorithm(file.algorithm);
  const compression = parseCompression(file.compression);
  if (algorithm === undefined || compression === undefined) {
    return checksumHolds(file) ? unsupportedSuite(file) : damaged(0);
  }
  if (logId?.length !== 16 || instanceId?.length !== 16) return damaged(0);
  // One MAC has one spelling.
  if (mac === undefined || toHex(mac) !== file.mac) return damaged(0);
  const canonical = utf8Encode(`${JSON.stringify(file, undefined, 2)}\n`);
  const difference = firstDifference(bytes, canonical);
  if (difference !== undefined) return damaged(difference);
  const { origin } = file;
  if (!checksumHolds(file) || !(origin === undefined || isKeyName(origin))) return damaged(0);
  return {
    logId: logId as Uint8Array as LogId,
    instanceId,
    suite: { algorithm, compression },
    ...(origin !== undefined && { origin }),
  };
}

/**
 * The name under which the database signs: in its checkpoints, and in its verifier keys. `keyring` holds a copy of
 * verity.json.
 */
export function originOf({ identity, logId }: Pick<Keyring, 'identity' | 'logId'>): string {
  const decoded = decodeIdentity(identity);
  return originOfIdentity('what' in decoded ? { logId } : decoded);
}

function originOfIdentity({ origin, logId }: Pick<Identity, 'origin' | 'logId'>): string {
  return origin ?? `veritydb.local/${toHex(logId)}`;
}

/** Throws INVALID_ARGUMENT for a text that cannot name a database in checkpoints. */
export function checkOrigin(origin: string): void {
  if (isKeyName(origin)) return;
  throw new VerityError(
    'INVALID_ARGUMENT',
    'The origin, a database\'s public name, has 1 to 255 bytes without white space, control characters and "+", e.g. "clinic.example/records".',
  );
}

function unsupportedSuite({ algorithm }: IdentityFile): IdentityProblem {
  const unknown = parseAlgorithm(algorithm) === undefined ? 'An algorithm' : 'A compression';
  return {
    code: 'FORMAT_UNSUPPORTED',
    offset: 0,
    what: `${unknown} that this version does not know is named`,
  };
}

function checksumHolds(file: IdentityFile): boolean {
  const { checksum, mac: _mac, ...body } = file;
  return toHex(sha256(utf8Encode(JSON.stringify(body)))) === checksum;
}

function parse(bytes: Uint8Array): IdentityFile | undefined {
  try {
    const file = JSON.parse(utf8Decode(bytes)) as Record<string, unknown>;
    const strings = [
      'format',
      'logId',
      'instanceId',
      'algorithm',
      'compression',
      'checksum',
      'mac',
    ];
    if (typeof file !== 'object' || file === null || typeof file['revision'] !== 'number')
      return undefined;
    if (!['string', 'undefined'].includes(typeof file['origin'])) return undefined;
    return strings.every((name) => typeof file[name] === 'string')
      ? (file as unknown as IdentityFile)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the file was written by someone who holds the database's lasting key. */
export function identityIsAuthentic(bytes: Uint8Array, lasting: SecretKey): boolean {
  const file = parse(bytes);
  if (file === undefined) return false;
  const { checksum: _checksum, mac, ...body } = file;
  const expected = macOf(utf8Encode(JSON.stringify(body)), lasting);
  const given = fromHex(mac);
  return given !== undefined && constantTimeEqual(given, expected);
}

/** Where two byte strings first differ, or undefined if they are the same. */
export function firstDifference(left: Uint8Array, right: Uint8Array): number | undefined {
  const length = Math.min(left.length, right.length);
  for (let index = 0; index < length; index++) {
    if (left[index] !== right[index]) return index;
  }
  return left.length === right.length ? undefined : length;
}

/** What a caller asks of a database's suite and name; what is left out may be anything, and at creation is the default. */
export type WantedSuite = Partial<SealingSuite> & { readonly origin?: string };

/** The suite of a new database. `plain` is plain mode. */
export function newSuite(wanted: WantedSuite, plain: boolean): SealingSuite {
  return {
    algorithm: plain ? 'none' : (wanted.algorithm ?? defaultSuite.algorithm),
    compression: wanted.compression ?? defaultSuite.compression,
  };
}

/**
 * Throws unless an existing database is what the caller asks for: INVALID_ARGUMENT for another algorithm or
 * compression or origin, NOT_ENCRYPTED for a plain database that was not asked for, KEY_MISSING for a sealed one that was
 * asked for as a plain one. `place` is for the message.
 */
export function checkSuite(
  { suite, ...identity }: Identity,
  wanted: WantedSuite,
  plain: boolean,
  place: string,
): void {
  if (suite.algorithm === 'none' && !plain) {
    throw new VerityError(
      'NOT_ENCRYPTED',
      `The database in ${place} is in plain mode: it has no key, and nothing in it is secret or authentic. ` +
        "If that is what you expect, open it with { encryption: 'none' } and without a master key.",
    );
  }
  if (suite.algorithm !== 'none' && plain) {
    throw new VerityError(
      'KEY_MISSING',
      `The database in ${place} is encrypted with ${suite.algorithm}. Open it with its master key, not in plain mode.`,
    );
  }
  for (const what of ['algorithm', 'compression'] as const) {
    const asked = wanted[what];
    if (asked === undefined || asked === suite[what]) continue;
    throw new VerityError(
      'INVALID_ARGUMENT',
      `The ${what} of the database in ${place} is ${suite[what]}, chosen when it was created, and not ${asked}. ` +
        'Leave the option out.',
    );
  }
  if (wanted.origin !== undefined && wanted.origin !== originOfIdentity(identity)) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `The origin of the database in ${place} is ${originOfIdentity(identity)}, chosen when it was created, and not ` +
        `${wanted.origin}. Leave the option out.`,
    );
  }
}

/**
 * Throws NOT_ENCRYPTED unless every way to the root key is of the suite's kind: a key in the keyring of a plain
 * database would protect nothing, and the public one in that of a sealed database would open it to all.
 */
export function checkSlotKinds({ algorithm }: SealingSuite, slots: readonly KeySlot[]): void {
  const plain = algorithm === 'none';
  if (slots.every(({ kind }) => (kind === plainProviderKind) === plain)) return;
  throw new VerityError(
    'NOT_ENCRYPTED',
    plain
      ? 'The database is in plain mode, where a key or recovery code would protect nothing. Copy its contents into an encrypted database.'
      : 'An encrypted database cannot be given a way in without a key. Copy its contents into a plain database.',
  );
}
