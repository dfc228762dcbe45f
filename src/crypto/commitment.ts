import { hash } from 'node:crypto';
import { assert, utf8Encode } from '../base/index.ts';
import { digestBytes, sha256Into } from './hash.ts';

/**
 * Commitments to events (DESIGN: kinds 0 and 1).
 *
 *   kind 0: SHA-256(domain ‖ 0x00 ‖ salt ‖ event)
 *   kind 1: SHA-256(domain ‖ 0x01 ‖ root), root = Merkle root (RFC 6962 shape) over
 *           SHA-256(field domain ‖ salt of the field ‖ field)
 *
 * A salt is SHA-256(salt domain ‖ seed ‖ event number ‖ field number)[0..16]; the seed is random, one per
 * section, and is stored inside the sealed section. A commitment hides its event; opening one event
 * (its bytes and salt) tells nothing about another.
 */
const saltBytes = 16;
export const seedBytes = 32;
const commitmentDomain = utf8Encode('veritydb/commitment/v1');
const fieldDomain = utf8Encode('veritydb/field/v1');
const saltDomain = utf8Encode('veritydb/salt/v1');

const saltInput = new Uint8Array(saltDomain.length + seedBytes + 8);
saltInput.set(saltDomain);
const saltView = new DataView(saltInput.buffer);
const digest = new Uint8Array(digestBytes);
const prefixBytes = commitmentDomain.length + 1 + saltBytes;
let scratch = new Uint8Array(4096);
scratch.set(commitmentDomain);

/** Derives the salt of event `event` (from 0 within its section), field `field` (0 for kind 0) into `target`. */
function saltInto(
  target: Uint8Array,
  offset: number,
  seed: Uint8Array,
  place: { event: number; field: number },
): void {
  assert(seed.length === seedBytes, 'a seed has 32 bytes');
  saltInput.set(seed, saltDomain.length);
  saltView.setUint32(saltDomain.length + seedBytes, place.event, true);
  saltView.setUint32(saltDomain.length + seedBytes + 4, place.field, true);
  sha256Into(digest, 0, saltInput);
  for (let index = 0; index < saltBytes; index++) target[offset + index] = digest[index] as number;
}

/** Views of the beginning of `scratch`, by length: most events are short, and a view costs more than their salt's copy. */
let scratchViews: (Uint8Array | undefined)[] = [];
const scratchViewsMax = 1024;

/** Makes the kind-0 commitments of one section, whose salts share a seed. */
export class EventCommitter {
  readonly #saltInput = new Uint8Array(saltDomain.length + seedBytes + 8);
  readonly #saltView = new DataView(this.#saltInput.buffer);

  constructor(seed: Uint8Array) {
    assert(seed.length === seedBytes, 'a seed has 32 bytes');
    this.#saltInput.set(saltDomain);
    this.#saltInput.set(seed, saltDomain.length);
  }

  /** Writes the commitment of the section's event `number` (from 0) into `target` at `offset`. */
  commitInto(target: Uint8Array, offset: number, number: number, event: Uint8Array): void {
    const length = prefixBytes + event.length;
    if (length > scratch.length) growScratch(length * 2);
    this.#saltView.setUint32(saltDomain.length + seedBytes, number, true);
    const salt = hash('sha256', this.#saltInput, 'binary');
    const saltAt = commitmentDomain.length + 1;
    for (let index = 0; index < saltBytes; index++)
      scratch[saltAt + index] = salt.charCodeAt(index);
    scratch[commitmentDomain.length] = 0;
    scratch.set(event, prefixBytes);
    sha256Into(target, offset, scratchTo(length));
  }
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

/** Writes the kind-0 commitment of `event` into `target` at `offset`. */
export function commitEventInto(
  target: Uint8Array,
  offset: number,
  seed: Uint8Array,
  number: number,
  event: Uint8Array,
): void {
  new EventCommitter(seed).commitInto(target, offset, number, event);
}

/** Writes the kind-1 commitment over the event's fields into `target` at `offset`. */
export function commitFieldsInto(
  target: Uint8Array,
  offset: number,
  seed: Uint8Array,
  number: number,
  fields: readonly Uint8Array[],
): void {
  assert(fields.length > 0, 'an event of kind 1 has fields');
  const leaves = fields.map((field, index) => {
    const input = new Uint8Array(fieldDomain.length + saltBytes + field.length);
    input.set(fieldDomain);
    saltInto(input, fieldDomain.length, seed, { event: number, field: index });
    input.set(field, fieldDomain.length + saltBytes);
    const leaf = new Uint8Array(digestBytes);
    sha256Into(leaf, 0, input);
    return leaf;
  });
  const input = new Uint8Array(commitmentDomain.length + 1 + digestBytes);
  input.set(commitmentDomain);
  input[commitmentDomain.length] = 1;
  input.set(merkleRoot(leaves), commitmentDomain.length + 1);
  sha256Into(target, offset, input);
}

/** Merkle tree hash of RFC 6962 section 2.1 over `leaves` (at least one), level by level. */
function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  assert(leaves.length > 0, 'a tree has leaves');
  let level = leaves.map((leaf) => prefixed(0, leaf));
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let index = 0; index + 1 < level.length; index += 2) {
      next.push(prefixed(1, level[index] as Uint8Array, level[index + 1] as Uint8Array));
    }
    if (level.length % 2 === 1) next.push(level[level.length - 1] as Uint8Array);
    level = next;
  }
  return level[0] as Uint8Array;
}

function prefixed(prefix: number, ...parts: readonly Uint8Array[]): Uint8Array {
  let length = 1;
  for (const part of parts) length += part.length;
  const input = new Uint8Array(length);
  input[0] = prefix;
  let offset = 1;
  for (const part of parts) {
    input.set(part, offset);
    offset += part.length;
  }
  const node = new Uint8Array(digestBytes);
  sha256Into(node, 0, input);
  return node;
}
