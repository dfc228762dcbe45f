import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex } from '../base/index.ts';
import { hmac } from './kdf.ts';
import { SecretKey } from './secret-key.ts';
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
