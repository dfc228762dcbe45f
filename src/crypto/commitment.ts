/**
 * Commitments to events (docs/format/log.md).
 *
 *   kind 0: SHA-256(domain ‖ 0x00 ‖ salt ‖ event)
 *   kind 1: SHA-256(domain ‖ 0x01 ‖ root), root = Merkle root (RFC 6962 shape) over
 *           SHA-256(field domain ‖ salt of the field ‖ field)
 *
 * A salt is SHA-256(salt domain ‖ seed ‖ event number ‖ field number)[0..16]; the seed is random, one per
 * section, and is stored inside the sealed section. A commitment hides its event; opening one event
 * (its bytes and salt) tells nothing about another. Section-commitments.ts makes those of many events.
 */
import { assert, utf8Encode } from '../base/index.ts';
import { digestBytes, sha256Into } from './hash.ts';

export const saltBytes = 16;
export const seedBytes = 32;
export const commitmentDomain = utf8Encode('veritydb/commitment/v1');
export const fieldDomain = utf8Encode('veritydb/field/v1');
export const saltDomain = utf8Encode('veritydb/salt/v1');
/** Of a commitment of kind 0, in front of the event. */
export const eventPrefixBytes = commitmentDomain.length + 1 + saltBytes;

const saltInput = new Uint8Array(saltDomain.length + seedBytes + 8);
saltInput.set(saltDomain);
const saltView = new DataView(saltInput.buffer);
const digest = new Uint8Array(digestBytes);
let scratch = new Uint8Array(4096);
scratch.set(commitmentDomain);
/** Views of the beginning of `scratch`, by length: most events are short, and a view costs more than their salt's copy. */
let scratchViews: (Uint8Array | undefined)[] = [];
const scratchViewsMax = 1024;

/** The salt (16 bytes) of event `event` (from 0 within its section) and its field `field` (0 for kind 0): what opens its commitment. */
export function commitmentSalt(seed: Uint8Array, event: number, field: number): Uint8Array {
  makeSalt(seed, event, field);
  return digest.slice(0, saltBytes);
}

/** Writes the kind-0 commitment of the section's event `number` (from 0) into `target` at `offset`. */
export function commitEventInto(
  { target, offset }: { readonly target: Uint8Array; readonly offset: number },
  seed: Uint8Array,
  number: number,
  event: Uint8Array,
): void {
  makeSalt(seed, number, 0);
  commitSaltedInto(target, offset, digest, event);
}

/** Writes the kind-0 commitment of `event` under the salt that `salt` begins with into `target` at `offset`. */
export function commitSaltedInto(
  target: Uint8Array,
  offset: number,
  salt: Uint8Array,
  event: Uint8Array,
): void {
  const length = eventPrefixBytes + event.length;
  if (length > scratch.length) growScratch(length * 2);
  const saltAt = commitmentDomain.length + 1;
  for (let index = 0; index < saltBytes; index++) scratch[saltAt + index] = salt[index] as number;
  scratch[commitmentDomain.length] = 0;
  scratch.set(event, eventPrefixBytes);
  sha256Into(target, offset, scratchTo(length));
}

/** Leaves the salt at the beginning of `digest`. */
function makeSalt(seed: Uint8Array, event: number, field: number): void {
  assert(seed.length === seedBytes, 'a seed has 32 bytes');
  saltInput.set(seed, saltDomain.length);
  saltView.setUint32(saltDomain.length + seedBytes, event, true);
  saltView.setUint32(saltDomain.length + seedBytes + 4, field, true);
  sha256Into(digest, 0, saltInput);
}

function scratchTo(length: number): Uint8Array {
  if (length > scratchViewsMax) return scratch.subarray(0, length);
  return (scratchViews[length] ??= scratch.subarray(0, length));
}

function growScratch(length: number): void {
  const grown = new Uint8Array(length);
  grown.set(commitmentDomain);
  scratch.fill(0);
  scratch = grown;
  scratchViews = [];
}
