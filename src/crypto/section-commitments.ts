/**
 * The commitments of a section's events (docs/format/log.md), of both kinds, in batches: each step, salts, events, fields, levels of
 * the trees over fields, is hashed for many events at once. A few events, and long ones, are hashed one behind the other.
 */
import { assert } from '../base/index.ts';
import {
  commitEventInto,
  commitmentDomain,
  commitSaltedInto,
  eventPrefixBytes,
  fieldDomain,
  saltBytes,
  saltDomain,
  seedBytes,
} from './commitment.ts';
import { digestBytes, sha256Into } from './hash.ts';
import { digestWords, laneMessageBytesMax, type Sha256Lanes, sha256Lanes } from './sha256-lanes.ts';

/** The events of one section, by their numbers in it. */
export interface SectionEvents {
  /** 32 bytes. */
  readonly seed: Uint8Array;
  readonly source: Uint8Array;
  /** Start and end in `source` of each event. */
  readonly bounds: readonly number[];
  /** Of the events of kind 1: start and end in `source` of each field. */
  readonly fields?: ReadonlyMap<number, readonly number[]> | undefined;
}

/** Where commitments go. */
export interface CommitmentTarget {
  readonly bytes: Uint8Array;
  /** For each event where its 32 bytes begin. */
  readonly offsets: readonly number[];
}

/** Of so few events a batch costs more than it saves. */
const batchMin = 3;
/** Salts held at a time. */
const saltsMax = 2_048;
const saltMessageBytes = saltDomain.length + seedBytes + 8;
const fieldPrefixBytes = fieldDomain.length + saltBytes;
const commitmentBytes = commitmentDomain.length + 1 + digestBytes;
const nodeBytes = 1 + 2 * digestBytes;

/** Writes the commitment of each event to its place in `target`. */
export function commitSection(events: SectionEvents, target: CommitmentTarget): void {
  const { seed, bounds, fields } = events;
  assert(seed.length === seedBytes, 'a seed has 32 bytes');
  const count = bounds.length / 2;
  const whole = count - (fields?.size ?? 0);
  // Without vectors a batch is no quicker, and for the few there need be none.
  if (whole >= batchMin && sha256Lanes().hasVectors) committer().commitWhole(events, target);
  else if (whole > 0) commitOneByOne(events, target);
  if (fields !== undefined) committer().commitFields(events, target);
}

function commitOneByOne(events: SectionEvents, { bytes, offsets }: CommitmentTarget): void {
  const { seed, source, bounds, fields } = events;
  for (let number = 0; number * 2 < bounds.length; number++) {
    if (fields?.has(number) === true) continue;
    const event = source.subarray(bounds[number * 2], bounds[number * 2 + 1]);
    commitEventInto({ target: bytes, offset: offsets[number] as number }, seed, number, event);
  }
}

let onlyCommitter: SectionCommitter | undefined;
function committer(): SectionCommitter {
  const lanes = sha256Lanes();
  return (onlyCommitter ??= new SectionCommitter(lanes));
}

/** Makes commitments with these lanes, which nobody else uses meanwhile. */
export class SectionCommitter {
  readonly #lanes: Sha256Lanes;
  /** The salts, then the hashes, of events or fields. */
  #words = new Uint32Array(1_024);
  #hashes = new Uint8Array(this.#words.buffer);
  /** Where the digests of the messages that were added go: in words here, or in the target. */
  readonly #places: number[] = [];
  readonly #salt = new Uint8Array(saltMessageBytes);
  readonly #prefix = new Uint8Array(eventPrefixBytes);
  readonly #saltOfEvent = this.#prefix.subarray(commitmentDomain.length + 1);

  constructor(lanes: Sha256Lanes) {
    this.#lanes = lanes;
    this.#salt.set(saltDomain);
    this.#prefix.set(commitmentDomain);
  }

  /** Of the events of kind 0. */
  commitWhole(events: SectionEvents, target: CommitmentTarget): void {
    const count = events.bounds.length / 2;
    this.#salt.set(events.seed, saltDomain.length);
    for (let first = 0; first < count; first += saltsMax) {
      const range = { first, end: Math.min(first + saltsMax, count) };
      this.#reserve(range.end - first);
      let salts = 0;
      for (let number = first; number < range.end; number++)
        if (events.fields?.has(number) !== true) this.#addSalt(number, 0, salts++);
      this.#run();
      this.#hashEvents(events, range, target);
      this.#wipe(range.end - first);
    }
    this.#salt.fill(0, saltDomain.length);
  }

  /** Of the events of kind 1. */
  commitFields({ seed, source, fields }: SectionEvents, target: CommitmentTarget): void {
    this.#salt.set(seed, saltDomain.length);
    let chunk: FieldedEvent[] = [];
    let count = 0;
    const finish = (): void => {
      this.#commitChunk(source, chunk, target.bytes);
      chunk = [];
      count = 0;
    };
    for (const [number, places] of fields ?? []) {
      assert(places.length > 0, 'an event of kind 1 has fields');
      chunk.push({ number, places, offset: target.offsets[number] as number });
      count += places.length / 2;
      if (count >= saltsMax) finish();
    }
    if (count > 0) finish();
    this.#salt.fill(0, saltDomain.length);
  }

  #commitChunk(source: Uint8Array, events: readonly FieldedEvent[], target: Uint8Array): void {
    let count = 0;
    for (const { places } of events) count += places.length / 2;
    this.#reserve(count);
    let field = 0;
    for (const { number, places } of events)
      for (let index = 0; index < places.length / 2; index++) this.#addSalt(number, index, field++);
    this.#run();
    this.#hashFields(source, events);
    this.#hashTrees(events, count);
    this.#hashRoots(events, target);
    this.#wipe(count);
  }

  #reserve(hashes: number): void {
    if (hashes * digestWords <= this.#words.length) return;
    this.#words = new Uint32Array(hashes * digestWords);
    this.#hashes = new Uint8Array(this.#words.buffer);
  }

  /** Salts, events and fields lay in it. */
  #wipe(hashes: number): void {
    this.#lanes.wipe();
    this.#words.fill(0, 0, hashes * digestWords);
    this.#saltOfEvent.fill(0);
  }

  #addSalt(event: number, field: number, place: number): void {
    const lanes = this.#lanes;
    const message = this.#salt;
    writeNumber(message, saltDomain.length + seedBytes, event);
    writeNumber(message, saltDomain.length + seedBytes + 4, field);
    if (!lanes.hasRoom(saltMessageBytes)) this.#run();
    lanes.bytes.set(message, lanes.add(saltMessageBytes));
    this.#places.push(place * digestWords);
  }

  #hashEvents(
    { source, bounds, fields }: SectionEvents,
    { first, end }: { readonly first: number; readonly end: number },
    { bytes: target, offsets }: CommitmentTarget,
  ): void {
    const lanes = this.#lanes;
    const prefix = this.#prefix;
    let salt = 0;
    for (let number = first; number < end; number++) {
      if (fields?.has(number) === true) continue;
      const saltAt = commitmentDomain.length + 1;
      for (let byte = 0; byte < saltBytes; byte++)
        prefix[saltAt + byte] = this.#hashes[salt + byte] as number;
      salt += digestBytes;
      const event = source.subarray(bounds[number * 2], bounds[number * 2 + 1]);
      const length = eventPrefixBytes + event.length;
      const offset = offsets[number] as number;
      if (length > laneMessageBytesMax) {
        commitSaltedInto(target, offset, this.#saltOfEvent, event);
        continue;
      }
      if (!lanes.hasRoom(length)) this.#runInto(target);
      const at = lanes.add(length);
      lanes.bytes.set(prefix, at);
      lanes.bytes.set(event, at + eventPrefixBytes);
      this.#places.push(offset);
    }
    this.#runInto(target);
  }

  #hashFields(source: Uint8Array, events: readonly FieldedEvent[]): void {
    const lanes = this.#lanes;
    const { bytes } = lanes;
    let field = 0;
    for (const { places } of events) {
      for (let index = 0; index < places.length; index += 2, field++) {
        const start = places[index] as number;
        const end = places[index + 1] as number;
        const length = fieldPrefixBytes + end - start;
        if (length > laneMessageBytesMax) {
          this.#hashLongField(source.subarray(start, end), field);
          continue;
        }
        if (!lanes.hasRoom(length)) this.#run();
        const at = lanes.add(length);
        this.#writeFieldPrefix(bytes, at, field);
        const to = at + fieldPrefixBytes - start;
        for (let byte = start; byte < end; byte++) bytes[to + byte] = source[byte] as number;
        this.#places.push(field * digestWords);
      }
    }
    this.#run();
  }

  #hashLongField(bytes: Uint8Array, field: number): void {
    const message = new Uint8Array(fieldPrefixBytes + bytes.length);
    this.#writeFieldPrefix(message, 0, field);
    message.set(bytes, fieldPrefixBytes);
    sha256Into(this.#hashes, field * digestBytes, message);
    message.fill(0);
  }

  #writeFieldPrefix(bytes: Uint8Array, at: number, field: number): void {
    for (let byte = 0; byte < fieldDomain.length; byte++)
      bytes[at + byte] = fieldDomain[byte] as number;
    const to = at + fieldDomain.length;
    const salt = field * digestBytes;
    for (let byte = 0; byte < saltBytes; byte++)
      bytes[to + byte] = this.#hashes[salt + byte] as number;
  }

  /** Merkle tree hash of RFC 6962 section 2.1 over each event's fields, level by level: in the end each event's first hash. */
  #hashTrees(events: readonly FieldedEvent[], fields: number): void {
    const lanes = this.#lanes;
    for (let field = 0; field < fields; field++) {
      if (!lanes.hasRoom(nodeBytes)) this.#run();
      lanes.addLeaf(this.#words, field * digestWords);
      this.#places.push(field * digestWords);
    }
    this.#run();
    const counts = events.map(({ places }) => places.length / 2);
    for (let isDone = false; !isDone;) {
      isDone = true;
      let first = 0;
      for (let index = 0; index < counts.length; index++) {
        const count = counts[index] as number;
        this.#addLevel(first, count);
        counts[index] = (count + 1) >> 1;
        isDone &&= count <= 2;
        first += (events[index] as FieldedEvent).places.length / 2;
      }
      this.#run();
    }
  }

  /** Adds the nodes over an event's `count` hashes from `first` on; one that is left over goes up as it is. */
  #addLevel(first: number, count: number): void {
    const lanes = this.#lanes;
    const words = this.#words;
    const from = first * digestWords;
    const pairs = count >> 1;
    for (let pair = 0; pair < pairs; pair++) {
      // What is written by a run meanwhile is in the place of what was added before.
      if (!lanes.hasRoom(nodeBytes)) this.#run();
      const left = from + 2 * pair * digestWords;
      lanes.addNode(words, left, left + digestWords);
      this.#places.push(from + pair * digestWords);
    }
    if (count % 2 === 0 || count === 1) return;
    const odd = from + (count - 1) * digestWords;
    words.copyWithin(from + pairs * digestWords, odd, odd + digestWords);
  }

  #hashRoots(events: readonly FieldedEvent[], target: Uint8Array): void {
    const lanes = this.#lanes;
    let first = 0;
    for (const { places, offset } of events) {
      if (!lanes.hasRoom(commitmentBytes)) this.#runInto(target);
      const at = lanes.add(commitmentBytes);
      lanes.bytes.set(commitmentDomain, at);
      lanes.bytes[at + commitmentDomain.length] = 1;
      const to = at + commitmentDomain.length + 1;
      const from = first * digestBytes;
      for (let byte = 0; byte < digestBytes; byte++)
        lanes.bytes[to + byte] = this.#hashes[from + byte] as number;
      this.#places.push(offset);
      first += places.length / 2;
    }
    this.#runInto(target);
  }

  /** Hashes what was added; the digests become our hashes. */
  #run(): void {
    const lanes = this.#lanes;
    const places = this.#places;
    lanes.run();
    for (let index = 0; index < places.length; index++)
      lanes.digestInto(this.#words, places[index] as number, index);
    places.length = 0;
  }

  /** Hashes what was added; the digests are commitments. */
  #runInto(target: Uint8Array): void {
    const { digests } = this.#lanes;
    const places = this.#places;
    this.#lanes.run();
    for (let index = 0; index < places.length; index++) {
      const from = index * digestBytes;
      const to = places[index] as number;
      for (let byte = 0; byte < digestBytes; byte++)
        target[to + byte] = digests[from + byte] as number;
    }
    places.length = 0;
  }
}

interface FieldedEvent {
  readonly number: number;
  readonly places: readonly number[];
  /** Where in the target its commitment goes. */
  readonly offset: number;
}

function writeNumber(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value & 0xff;
  bytes[at + 1] = (value >> 8) & 0xff;
  bytes[at + 2] = (value >> 16) & 0xff;
  bytes[at + 3] = value >>> 24;
}
