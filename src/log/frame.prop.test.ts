import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LogMaker } from '../../test/support/log-maker.ts';
import { equalBytes, utf8Encode } from '../base/index.ts';
import {
  checkFrame,
  type CheckedFrame,
  decodeFrameHeader,
  type FrameHeader,
  isProblem,
  openFrame,
} from './index.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });
const event = fc.record({
  tenant: fc.integer({ min: 1, max: 5 }),
  event: fc.oneof(bytes(300), fc.array(bytes(60), { minLength: 1, maxLength: 6 })),
});
const events = fc.array(event, { minLength: 1, maxLength: 20 });

function whole(event: Uint8Array | readonly Uint8Array[]): Uint8Array {
  return event instanceof Uint8Array
    ? event
    : Uint8Array.of(...event.flatMap((field) => [...field]));
}

function checked(frame: Uint8Array): CheckedFrame {
  const result = checkFrame(frame, decodeFrameHeader(frame, 0) as FrameHeader);
  if (isProblem(result)) throw new Error(result.what);
  return result;
}

test('events of both kinds come back as they were, in log order, with their tenants', () => {
  fc.assert(
    fc.property(events, (given) => {
      const maker = new LogMaker();
      const frame = checked(maker.add('data', given).bytes);
      const opened = openFrame(frame, ({ tenant }) => maker.keyFor(tenant));
      if (isProblem(opened)) throw new Error(opened.what);
      expect(opened.map(({ leaf }) => leaf)).toEqual(given.map((_one, index) => index));
      for (const [index, { tenant, event: back }] of opened.entries()) {
        const original = given[index] as (typeof given)[number];
        expect(tenant).toBe(original.tenant);
        expect(equalBytes(back, whole(original.event))).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});

test('a tenant without a key is passed over, and the others keep their places', () => {
  fc.assert(
    fc.property(events, fc.integer({ min: 1, max: 5 }), (given, without) => {
      const maker = new LogMaker();
      const frame = checked(maker.add('data', given).bytes);
      const opened = openFrame(frame, ({ tenant }) =>
        tenant === without ? undefined : maker.keyFor(tenant),
      );
      if (isProblem(opened)) throw new Error(opened.what);
      const expected = given.flatMap(({ tenant }, leaf) =>
        tenant === without ? [] : [{ tenant, leaf }],
      );
      expect(opened.map(({ tenant, leaf }) => ({ tenant, leaf }))).toEqual(expected);
    }),
    { numRuns: 100 },
  );
});

test('the frame is a multiple of 8 bytes, ends without a zero, and tells its own length', () => {
  fc.assert(
    fc.property(events, (given) => {
      const frame = new LogMaker().add('data', given).bytes;
      expect(frame.length % 8).toBe(0);
      expect([...frame.subarray(-8)]).not.toContain(0);
      expect((decodeFrameHeader(frame, 0) as FrameHeader).frameLength).toBe(frame.length);
    }),
    { numRuns: 100 },
  );
});

test('a changed byte anywhere is found without any key, and never by an exception', () => {
  const maker = new LogMaker();
  const { bytes: frame } = maker.add('data', [
    { tenant: 1, event: utf8Encode('one') },
    { tenant: 2, event: [utf8Encode('two'), utf8Encode('parts')] },
  ]);
  for (let at = 0; at < frame.length; at++) {
    for (const mask of [0x01, 0x80, 0xff]) {
      const changed = frame.slice();
      changed[at] = (changed[at] as number) ^ mask;
      const header = decodeFrameHeader(changed, 0);
      const found =
        typeof header === 'string' ||
        header.frameLength !== changed.length ||
        isProblem(checkFrame(changed, header));
      expect(found, `byte ${at}, mask ${mask}`).toBe(true);
    }
  }
});

test('a section does not open under another tenant’s key, or moved to another frame', () => {
  const maker = new LogMaker();
  const first = checked(maker.addBytes(50, 1).bytes);
  const second = checked(maker.addBytes(50, 1).bytes);
  const moved = { ...second, sections: first.sections };
  for (const [frame, tenant] of [
    [first, 2],
    [moved, 1],
  ] as const) {
    expect(openFrame(frame, () => maker.keyFor(tenant))).toMatchObject({
      code: 'AUTHENTICATION_FAILED',
    });
  }
});

test('leaves that name another section, or none, do not match their commitments', () => {
  const maker = new LogMaker();
  const { bytes: frame } = maker.add('data', [
    { tenant: 1, event: utf8Encode('one') },
    { tenant: 2, event: utf8Encode('two') },
  ]);
  const intact = checked(frame);
  for (const name of [1, 2, 0xffff]) {
    const leaves = intact.leaves.slice();
    new DataView(leaves.buffer).setUint16(0, name, true);
    const opened = openFrame({ ...intact, leaves }, ({ tenant }) => maker.keyFor(tenant));
    expect(opened).toMatchObject({ code: 'COMMITMENT_MISMATCH' });
  }
});

test('an event of either kind whose commitment is another is refused, whichever byte it is', () => {
  const maker = new LogMaker();
  const { bytes: frame } = maker.add('data', [
    { tenant: 1, event: utf8Encode('one') },
    { tenant: 2, event: [utf8Encode('of'), utf8Encode('fields')] },
    { tenant: 1, event: utf8Encode('three') },
    { tenant: 1, event: [utf8Encode('four')] },
    { tenant: 1, event: utf8Encode('five') },
  ]);
  const intact = checked(frame);
  const open = (leaves: Uint8Array): unknown =>
    openFrame({ ...intact, leaves }, ({ tenant }) => maker.keyFor(tenant));
  expect(open(intact.leaves)).toHaveLength(5);
  for (let leaf = 0; leaf < 5; leaf++) {
    for (let byte = 2; byte < 34; byte++) {
      const leaves = intact.leaves.slice();
      leaves[leaf * 34 + byte]! ^= 1 << (byte % 8);
      expect(open(leaves)).toMatchObject({ code: 'COMMITMENT_MISMATCH' });
    }
  }
});

test('what was dropped is not in the next frame', () => {
  const maker = new LogMaker();
  const same = new LogMaker();
  maker.drop([
    { tenant: 3, event: utf8Encode('dropped') },
    { tenant: 1, event: [utf8Encode('x')] },
  ]);
  const [left, right] = [maker, same].map((one) =>
    one.add('data', [{ tenant: 1, event: utf8Encode('kept') }]),
  );
  expect(left?.bytes).toEqual(right?.bytes);
});
