/**
 * Verifier keys (C2SP signed-note): `name+hex(key id)+base64(type ‖ public key)`.
 *
 * Whoever verifies signatures is given these, never raw keys: that a key is one that can only be signed for by who knows its
 * secret (no point of small order, no second spelling of a point) is checked here, once, whatever function verifies later.
 */
import { concatBytes, fromHex, toHex, utf8Encode, utf8Length, VerityError } from '../base/index.ts';
import { fromBase64, toBase64 } from './base64.ts';
import type { Sha256 } from './merkle.ts';

/** Whether `signature` (64 bytes) over `message` is of `publicKey` (32 bytes): Ed25519, RFC 8032. */
export type VerifyEd25519 = (
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
) => boolean;

/** Signature types of C2SP signed-note. */
export const signatureTypes = { ed25519: 1, cosignature: 4 } as const;
export type SignatureType = (typeof signatureTypes)[keyof typeof signatureTypes];

export interface Vkey {
  readonly name: string;
  /** The key id, big-endian: with the name it names the key in a note. */
  readonly id: number;
  readonly type: SignatureType;
  /** 32 bytes. */
  readonly publicKey: Uint8Array;
}

export const publicKeyBytes = 32;
const nameBytesMax = 255;

/** Whether `name` may name a key or a log: 1 to 255 bytes of UTF-8 without white space, control characters or "+". */
export function isKeyName(name: string): boolean {
  return (
    name.length > 0 &&
    name.length <= nameBytesMax &&
    utf8Length(name) <= nameBytesMax &&
    !/[\p{White_Space}\p{Cc}\p{Cs}+]/u.test(name)
  );
}

/** The key id: the first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key), as a big-endian number. */
function keyId(sha256: Sha256, name: string, type: SignatureType, publicKey: Uint8Array): number {
  const digest = sha256(concatBytes(utf8Encode(`${name}\n`), Uint8Array.of(type), publicKey));
  return new DataView(digest.buffer, digest.byteOffset).getUint32(0);
}

/** A verifier key of its parts. Throws VKEY_INVALID for a name that cannot be one, and for a key that nobody can own. */
export function makeVkey(
  sha256: Sha256,
  name: string,
  type: SignatureType,
  publicKey: Uint8Array,
): Vkey {
  if (!isKeyName(name)) {
    throw invalid('its name is empty, longer than 255 bytes, or holds white space or "+"');
  }
  if (publicKey.length !== publicKeyBytes) throw invalid('its public key is not of 32 bytes');
  if (!isCanonical(publicKey)) throw invalid('its public key is not spelled canonically');
  if (isSmallOrder(publicKey)) {
    throw invalid('its public key is a point of small order, for which anybody can sign');
  }
  return { name, id: keyId(sha256, name, type, publicKey), type, publicKey };
}

/** `name+hex(id)+base64(type ‖ public key)`. Throws VKEY_INVALID as makeVkey does. */
export function encodeVkey(
  sha256: Sha256,
  name: string,
  type: SignatureType,
  publicKey: Uint8Array,
): string {
  return formatVkey(makeVkey(sha256, name, type, publicKey));
}

/** The text form of a verifier key. */
export function formatVkey(vkey: Vkey): string {
  const id = vkey.id.toString(16).padStart(8, '0');
  return `${vkey.name}+${id}+${toBase64(concatBytes(Uint8Array.of(vkey.type), vkey.publicKey))}`;
}

/** Reads a verifier key of type Ed25519 (1) or cosignature/v1 (4). Throws VKEY_INVALID with the reason. */
export function parseVkey(sha256: Sha256, text: string): Vkey {
  // A name has no "+", base64 may have them. Forty-four characters of base64 hold 33 bytes.
  const parts = text.length <= nameBytesMax + 64 && /^([^+]*)\+([0-9a-f]{8})\+(.{44})$/u.exec(text);
  if (!parts) throw invalid('it is not name+id+key, with an id of 8 hex digits');
  const [, name = '', id = '', key = ''] = parts;
  const material = fromBase64(key);
  if (material === undefined || material.length !== publicKeyBytes + 1) {
    throw invalid('its key is not base64 of a type and 32 bytes');
  }
  const type = material[0] as number;
  if (type !== signatureTypes.ed25519 && type !== signatureTypes.cosignature) {
    throw invalid(`its type is ${type}; 1 (Ed25519) and 4 (cosignature/v1) are known`);
  }
  const vkey = makeVkey(sha256, name, type, material.slice(1));
  if (vkey.id !== Number.parseInt(id, 16)) throw invalid('its id is not the one of its key');
  return vkey;
}

function invalid(what: string): VerityError {
  return new VerityError(
    'VKEY_INVALID',
    `The verifier key is refused: ${what}. Ask its owner for it again.`,
  );
}

const signBit = 0x80;
const prime = fromHex(
  '7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed',
) as Uint8Array;
/** The y coordinates, as they are encoded, of the eight points whose order divides 8 (with either sign of x). */
const smallOrderY = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/** Whether a public key of 32 bytes is one of the points of small order: for them a signature can be made that fits any message. */
function isSmallOrder(publicKey: Uint8Array): boolean {
  // Not slice(): that of Node's Buffer is no copy.
  const y = new Uint8Array(publicKey);
  y[31] = (y[31] as number) & ~signBit;
  return smallOrderY.has(toHex(y));
}

/** Whether y is below 2^255 − 19: every point has one spelling then. */
function isCanonical(publicKey: Uint8Array): boolean {
  for (let index = 0; index < publicKeyBytes; index++) {
    const byte = publicKey[publicKeyBytes - 1 - index] as number;
    const digit = index === 0 ? byte & ~signBit : byte;
    if (digit !== prime[index]) return digit < (prime[index] as number);
  }
  return false;
}
