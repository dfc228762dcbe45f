import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { digestWords, Sha256Lanes, sha256Lanes } from './sha256-lanes.ts';
import { lanesModule } from './sha256-lanes-module.ts';

const reference = (message: Uint8Array): string =>
  createHash('sha256').update(message).digest('hex');

function digestsOf(lanes: Sha256Lanes, messages: readonly Uint8Array[]): string[] {
  for (const message of messages) lanes.bytes.set(message, lanes.add(message.length));
  expect(lanes.count).toBe(messages.length);
  lanes.run();
  expect(lanes.count).toBe(0);
  return messages.map((_, number) =>
    Buffer.from(lanes.digests.subarray(number * 32, number * 32 + 32)).toString('hex'),
  );
}

test('the module is valid, and this Node has vectors', () => {
  expect(new Sha256Lanes().hasVectors).toBe(true);
  expect(new Sha256Lanes({ vectors: false }).hasVectors).toBe(false);
  // A change of the generator that changes what is run should be seen.
  expect(reference(lanesModule())).toMatchInlineSnapshot(
    `"ec38fe6ba1c8bb707f43867f24a7e7b6ad32c83c8eacc14fefd8283c7508bef6"`,
  );
});

describe.each([
  ['with vectors', true],
  ['without', false],
])('%s', (_form, vectors) => {
  const lanes = new Sha256Lanes({ vectors });

  test("FIPS 180-4's examples", () => {
    const two = 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq';
    const messages = ['abc', '', two, 'a'.repeat(1_000)].map((text) => Buffer.from(text));
    expect(digestsOf(lanes, messages)).toEqual([
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
      '41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3',
    ]);
  });

  test('every length up to four blocks, in lanes of unlike lengths', () => {
    const messages = Array.from({ length: 260 }, (_, size) =>
      Uint8Array.from({ length: (size * 101) % 260 }, (_byte, index) => index * 7 + size),
    );
    expect(digestsOf(lanes, messages)).toEqual(messages.map(reference));
  });

  test('any messages, also behind others that left their bytes there', () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(messages, (some) => {
        expect(digestsOf(lanes, some)).toEqual(some.map(reference));
      }),
      { numRuns: 150 },
    );
  });

  test('as many as there is room for, and no more', () => {
    let count = 0;
    while (lanes.hasRoom(0)) {
      lanes.add(0);
      count += 1;
    }
    expect(count).toBe(2_048);
    expect(() => lanes.add(0)).toThrow(/room/);
    lanes.run();
    expect(lanes.hasRoom(0)).toBe(true);
    let long = 0;
    while (lanes.hasRoom(10_000)) {
      const at = lanes.add(10_000);
      lanes.bytes.fill(long, at, at + 10_000);
      long += 1;
    }
    expect(long).toBeGreaterThan(40);
    lanes.run();
    for (const number of [0, long - 1])
      expect(
        Buffer.from(lanes.digests.subarray(number * 32, number * 32 + 32)).toString('hex'),
      ).toBe(reference(new Uint8Array(10_000).fill(number)));
    expect(lanes.hasRoom(1 << 20)).toBe(false);
  });

  test('Merkle leaves and nodes', () => {
    const hashes = Uint32Array.from({ length: 4 * digestWords }, (_, index) => index * 0x9e3779b9);
    const bytes = new Uint8Array(hashes.buffer);
    for (let leaf = 0; leaf < 4; leaf++) lanes.addLeaf(hashes, leaf * digestWords);
    for (const left of [0, 1, 2]) lanes.addNode(hashes, left * digestWords, digestWords * 3);
    lanes.run();
    const found = new Uint32Array(7 * digestWords);
    for (let number = 0; number < 7; number++)
      lanes.digestInto(found, number * digestWords, number);
    const hash = (index: number): Uint8Array => bytes.subarray(index * 32, index * 32 + 32);
    const all = [0, 1, 2, 3]
      .map((leaf) => reference(Buffer.concat([Uint8Array.of(0), hash(leaf)])))
      .concat(
        [0, 1, 2].map((left) => reference(Buffer.concat([Uint8Array.of(1), hash(left), hash(3)]))),
      );
    expect(Buffer.from(found.buffer).toString('hex')).toBe(all.join(''));
  });

  test('what another left behind is dropped by who begins', () => {
    const before = sha256Lanes();
    before.bytes.fill(1, before.add(90), 90);
    const next = sha256Lanes();
    expect(next).toBe(before);
    expect(digestsOf(next, [Uint8Array.of(1), Uint8Array.of(2)])).toEqual(
      [1, 2].map((byte) => reference(Uint8Array.of(byte))),
    );
    next.wipe();
    expect(next.bytes.some((byte) => byte !== 0)).toBe(false);
  });

  test('what is wiped is gone, also what was added and not run', () => {
    const secrets = [1, 2, 3, 4, 5].map((byte) => new Uint8Array(100).fill(byte));
    digestsOf(lanes, secrets);
    expect(lanes.bytes.includes(5)).toBe(true);
    const at = lanes.add(20);
    lanes.bytes.fill(9, at, at + 20);
    lanes.wipe();
    expect(lanes.bytes.some((byte) => byte !== 0)).toBe(false);
    expect(lanes.digests.some((byte) => byte !== 0)).toBe(false);
    expect(lanes.count).toBe(0);
  });
});
