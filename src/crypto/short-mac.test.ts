import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex } from '../base/index.ts';
import { hmac } from './kdf.ts';
import { SecretKey } from './secret-key.ts';
import { sha256Lanes } from './sha256-lanes.ts';
import { ShortMac } from './short-mac.ts';

test('is HMAC-SHA256, whatever keys and messages came before', () => {
  const mac = new ShortMac();
  const message = fc.uint8Array({ maxLength: 700 });
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
          messages: fc.array(message, { maxLength: 4 }),
        }),
        { maxLength: 4 },
      ),
      (uses) => {
        for (const { key, messages } of uses) {
          mac.setKey(key);
          for (const each of messages) {
            const target = new Uint8Array(40);
            mac.macInto(target, 4, each);
            const within = Uint8Array.from([1, 2, ...each, 3]);
            const again = new Uint8Array(40);
            mac.macInto(again, 4, within, { start: 2, end: 2 + each.length });
            expect(again).toEqual(target);
            expect(toHex(target)).toBe(
              `00000000${toHex(hmac(new SecretKey(key.slice()), each))}00000000`,
            );
          }
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('made side by side are the same, whatever their lengths and their number', () => {
  const mac = new ShortMac();
  const lengths = fc.array(fc.nat({ max: 200 }), { maxLength: 600 });
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ minLength: 800, maxLength: 800 }),
      lengths,
      (key, source, all) => {
        mac.setKey(key);
        const together = new Uint8Array(all.length * 32);
        const single = new Uint8Array(all.length * 32);
        for (const [number, length] of all.entries()) {
          const range = { start: number, end: number + length };
          // From behind, so that places are not those of the batch.
          const offset = (all.length - 1 - number) * 32;
          mac.macLater(together, offset, source, range);
          mac.macInto(single, offset, source, range);
        }
        mac.finish();
        expect(toHex(together)).toBe(toHex(single));
      },
    ),
    { numRuns: 100 },
  );
});

test('made side by side leave nothing in the memory that all share, finished or given up', () => {
  const lanes = sha256Lanes();
  lanes.wipe();
  const used = (bytes: Uint8Array): boolean => bytes.some((byte) => byte !== 0);
  const mac = new ShortMac();
  const target = new Uint8Array(5 * 32);
  const begin = (): void => {
    mac.setKey(new Uint8Array(32).fill(7));
    for (let number = 0; number < 5; number++)
      mac.macLater(target, number * 32, new Uint8Array(100).fill(9), {
        start: 0,
        end: number * 20,
      });
    expect(used(lanes.bytes)).toBe(true);
  };
  for (const end of ['finish', 'wipe', 'finish'] as const) {
    begin();
    mac[end]();
    expect(used(lanes.bytes)).toBe(false);
    expect(used(lanes.digests)).toBe(false);
  }
});
