import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commitEventInto, commitmentSalt } from './commitment.ts';
import { commitSection, type SectionEvents, SectionCommitter } from './section-commitments.ts';
import { Sha256Lanes } from './sha256-lanes.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const reference = (...parts: readonly Uint8Array[]): Uint8Array => {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return digest.digest();
};
const u32 = (value: number): Uint8Array =>
  Uint8Array.from(new Uint8Array(Uint32Array.of(value).buffer));
const saltOf = (seed: Uint8Array, event: number, field: number): Uint8Array =>
  reference(utf8('veritydb/salt/v1'), seed, u32(event), u32(field)).subarray(0, 16);

/** The Merkle tree hash of RFC 6962, 2.1, as it stands there. */
function treeHash(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves;
  if (leaves.length === 1 && first !== undefined) return reference(Uint8Array.of(0), first);
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return reference(Uint8Array.of(1), treeHash(leaves.slice(0, half)), treeHash(leaves.slice(half)));
}

/** An event is its bytes, or its fields. */
type MadeEvent = Uint8Array | readonly Uint8Array[];

/** The commitment as docs/format/log.md says. */
function expected(seed: Uint8Array, number: number, event: MadeEvent): string {
  const domain = utf8('veritydb/commitment/v1');
  if (event instanceof Uint8Array)
    return hex(reference(domain, Uint8Array.of(0), saltOf(seed, number, 0), event));
  const leaves = event.map((field, index) =>
    reference(utf8('veritydb/field/v1'), saltOf(seed, number, index), field),
  );
  return hex(reference(domain, Uint8Array.of(1), treeHash(leaves)));
}

/** A section in which the events lie one behind the other, with a byte between any two parts. */
function sectionOf(seed: Uint8Array, events: readonly MadeEvent[]): SectionEvents {
  const parts: Uint8Array[] = [];
  let at = 0;
  const put = (bytes: Uint8Array): [number, number] => {
    parts.push(bytes, Uint8Array.of(0xee));
    at += bytes.length + 1;
    return [at - 1 - bytes.length, at - 1];
  };
  const bounds: number[] = [];
  const fields = new Map<number, number[]>();
  for (const [number, event] of events.entries()) {
    if (event instanceof Uint8Array) bounds.push(...put(event));
    else {
      const start = at;
      fields.set(number, event.flatMap(put));
      bounds.push(start, at);
    }
  }
  return { seed, source: Buffer.concat(parts), bounds, ...(fields.size > 0 && { fields }) };
}

type Commit = (
  section: SectionEvents,
  target: { readonly bytes: Uint8Array; readonly offsets: readonly number[] },
) => void;

function commitments(commit: Commit, seed: Uint8Array, events: readonly MadeEvent[]): string[] {
  const offsets = events.map((_, number) => 34 * number + 2);
  const bytes = new Uint8Array(34 * events.length).fill(0xcc);
  commit(sectionOf(seed, events), { bytes, offsets });
  for (const offset of offsets)
    expect([bytes[offset - 2], bytes[offset - 1]]).toEqual([0xcc, 0xcc]);
  return offsets.map((offset) => hex(bytes.subarray(offset, offset + 32)));
}

const withLanes = (lanes: Sha256Lanes): Commit => {
  const committer = new SectionCommitter(lanes);
  return (section, target) => {
    committer.commitWhole(section, target);
    committer.commitFields(section, target);
    expect(lanes.bytes.some((byte) => byte !== 0)).toBe(false);
    expect(lanes.digests.some((byte) => byte !== 0)).toBe(false);
  };
};

const bytes = fc.oneof(
  { weight: 5, arbitrary: fc.uint8Array({ maxLength: 40 }) },
  { weight: 2, arbitrary: fc.uint8Array({ minLength: 100, maxLength: 300 }) },
  {
    weight: 1,
    arbitrary: fc
      .integer({ min: 4_000, max: 9_000 })
      .map((size) => new Uint8Array(size).fill(size)),
  },
);
const madeEvents = fc.oneof(
  bytes,
  fc.array(bytes, { minLength: 1, maxLength: 20 }),
) as fc.Arbitrary<MadeEvent>;
const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });

describe.each([
  ['as the log makes them', commitSection as Commit],
  ['with vectors', withLanes(new Sha256Lanes())],
  ['without vectors', withLanes(new Sha256Lanes({ vectors: false }))],
])('commitments of a section, %s,', (_form, commit) => {
  test('are as documented, of both kinds and any lengths', () => {
    fc.assert(
      fc.property(seeds, fc.array(madeEvents, { maxLength: 30 }), (seed, events) => {
        expect(commitments(commit, seed, events)).toEqual(
          events.map((event, number) => expected(seed, number, event)),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('are so in sections that are larger than a batch', () => {
    const seed = new Uint8Array(32).fill(5);
    const events = Array.from({ length: 2_500 }, (_, number): MadeEvent => {
      if (number % 5 !== 0) return new Uint8Array(number % 150).fill(number);
      const width = number === 1_000 ? 2_100 : number % 9;
      return Array.from({ length: width + 1 }, (_each, field) => Uint8Array.of(number, field));
    });
    expect(commitments(commit, seed, events)).toEqual(
      events.map((event, number) => expected(seed, number, event)),
    );
  });
});

test('one event, and a salt alone, are as documented', () => {
  const seed = new Uint8Array(32).fill(5);
  for (const size of [0, 1, 100, 4_000, 5_000, 100_000]) {
    const event = new Uint8Array(size).fill(size & 0xff);
    const target = new Uint8Array(40);
    commitEventInto({ target, offset: 4 }, seed, size, event);
    expect(hex(target.subarray(4, 36))).toBe(expected(seed, size, event));
    expect(hex(target.subarray(0, 4)) + hex(target.subarray(36))).toBe('0000000000000000');
    expect(hex(commitmentSalt(seed, size, 7))).toBe(hex(saltOf(seed, size, 7)));
  }
});
