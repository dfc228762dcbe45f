/** verity.json: which database this is. No secrets; checksummed, authenticated, copied into the keyring. */
import {
  type CorruptionError,
  fromHex,
  type LogId,
  toHex,
  utf8Decode,
  utf8Encode,
} from '../base/index.ts';
import {
  constantTimeEqual,
  deriveKey,
  hmac,
  pae,
  type SecretKey,
  sha256,
} from '../crypto/index.ts';
import { formatRevision } from '../log/index.ts';

export interface Identity {
  readonly logId: LogId;
  /** Names this copy; a restored or copied database gets another. */
  readonly instanceId: Uint8Array;
  readonly algorithm: 'aes-256-gcm';
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
  readonly checksum: string;
  readonly mac: string;
}

/** Far more than encodeIdentity writes. */
const identityBytesMax = 4096;
const macPurpose = 'veritydb/identity-mac/v1';

export function encodeIdentity(identity: Identity, root: SecretKey): Uint8Array {
  const body = bodyOf(identity);
  const covered = utf8Encode(JSON.stringify(body));
  const file: IdentityFile = {
    ...body,
    checksum: toHex(sha256(covered)),
    mac: toHex(macOf(covered, root)),
  };
  return utf8Encode(`${JSON.stringify(file, undefined, 2)}\n`);
}

function bodyOf(identity: Identity): Omit<IdentityFile, 'checksum' | 'mac'> {
  return {
    format: 'veritydb',
    revision: formatRevision,
    logId: toHex(identity.logId),
    instanceId: toHex(identity.instanceId),
    algorithm: identity.algorithm,
  };
}

function macOf(covered: Uint8Array, root: SecretKey): Uint8Array {
  const key = deriveKey(root, macPurpose);
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
  if (logId?.length !== 16 || instanceId?.length !== 16 || file.algorithm !== 'aes-256-gcm')
    return damaged(0);
  // One MAC has one spelling.
  if (mac === undefined || toHex(mac) !== file.mac) return damaged(0);
  const canonical = utf8Encode(`${JSON.stringify(file, undefined, 2)}\n`);
  const difference = firstDifference(bytes, canonical);
  if (difference !== undefined) return damaged(difference);
  const identity: Identity = {
    logId: logId as Uint8Array as LogId,
    instanceId,
    algorithm: 'aes-256-gcm',
  };
  if (!checksumHolds(file)) return damaged(0);
  return identity;
}

function checksumHolds(file: IdentityFile): boolean {
  const { checksum, mac: _mac, ...body } = file;
  return toHex(sha256(utf8Encode(JSON.stringify(body)))) === checksum;
}

function parse(bytes: Uint8Array): IdentityFile | undefined {
  try {
    const file = JSON.parse(utf8Decode(bytes)) as Record<string, unknown>;
    const strings = ['format', 'logId', 'instanceId', 'algorithm', 'checksum', 'mac'];
    if (typeof file !== 'object' || file === null || typeof file['revision'] !== 'number')
      return undefined;
    return strings.every((name) => typeof file[name] === 'string')
      ? (file as unknown as IdentityFile)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the file was written by someone who holds the root key. */
export function identityIsAuthentic(bytes: Uint8Array, root: SecretKey): boolean {
  const file = parse(bytes);
  if (file === undefined) return false;
  const { checksum: _checksum, mac, ...body } = file;
  const expected = macOf(utf8Encode(JSON.stringify(body)), root);
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
