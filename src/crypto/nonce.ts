import { hash } from 'node:crypto';
import { nonceBytes } from './aead.ts';
import type { SecretKey } from './secret-key.ts';

const blockBytes = 64;
const digestBytes = 32;
const keyBytes = 32;
const innerPad = 0x36;
const outerPad = 0x5c;

/** What is hashed: padded keys and plaintext, so it is outside V8's heap and wiped after each use. */
const scratchBytes = 1 << 14;
/** A larger one, for one large section, is not kept. */
const scratchBytesMax = 1 << 20;
let scratch = scratchOf(scratchBytes);
const outer = scratchOf(blockBytes + digestBytes);

interface Scratch {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/**
 * The nonce of a section: the first 12 bytes of HMAC-SHA-256(key, PAE(aad, plaintext)) (RFC 2104). It is made of
 * two one-shot hashes, which cost half of what Node's Hmac object does. Throws CLOSED when the key was wiped.
 */
export function nonceOf(key: SecretKey, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const length = blockBytes + 24 + aad.length + plaintext.length;
  if (length > scratch.bytes.length) scratch = scratchOf(length);
  const { bytes, view } = scratch;
  try {
    padKey(bytes, key, innerPad);
    // PAE: the count of parts, and before each its length. The upper halves of these numbers are zero already.
    view.setUint32(blockBytes, 2, true);
    view.setUint32(blockBytes + 8, aad.length, true);
    bytes.set(aad, blockBytes + 16);
    const at = blockBytes + 16 + aad.length;
    view.setUint32(at, plaintext.length, true);
    bytes.set(plaintext, at + 8);
    const inner = hash('sha256', bytes.subarray(0, length), 'binary');
    padKey(outer.bytes, key, outerPad);
    writeBinary(outer.bytes, blockBytes, inner, digestBytes);
    const nonce = new Uint8Array(nonceBytes);
    writeBinary(nonce, 0, hash('sha256', outer.bytes, 'binary'), nonceBytes);
    return nonce;
  } finally {
    bytes.fill(0, 0, length);
    outer.bytes.fill(0);
    if (bytes.length > scratchBytesMax) scratch = scratchOf(scratchBytes);
  }
}

function scratchOf(length: number): Scratch {
  const buffer = new ArrayBuffer(length);
  return { bytes: new Uint8Array(buffer), view: new DataView(buffer) };
}

function padKey(target: Uint8Array, key: SecretKey, pad: number): void {
  const secret = key.expose();
  for (let index = 0; index < keyBytes; index++) target[index] = (secret[index] as number) ^ pad;
  target.fill(pad, keyBytes, blockBytes);
}

function writeBinary(target: Uint8Array, offset: number, text: string, count: number): void {
  for (let index = 0; index < count; index++) target[offset + index] = text.charCodeAt(index);
}
