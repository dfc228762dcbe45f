/** The N-th call of each kind that changes the disk fails, for every N of a small load. */
import { describe, expect, test } from 'vitest';
import { type Fault, type FaultKind, faultKinds, runWithFault } from './io-faults.ts';

const whole = await runWithFault();

/** The kinds whose failure leaves it open what is on the disk. */
const flushes: readonly FaultKind[] = ['flush', 'flushInBackground'];
/** What a failing write leaves of its bytes: another share for each call, two of them when it fails once. */
const shares = [0, 0.5, 0.99, 1];

function* faultsOf(kind: FaultKind, code: Fault['code'], forGood: boolean): Generator<Fault> {
  for (let number = 1; number <= whole.calls[kind]; number++) {
    if (kind !== 'write') yield { kind, number, code, forGood };
    else {
      for (const other of forGood ? [0] : [0, 2]) {
        const written = shares[(number + other) % shares.length] as number;
        yield { kind, number, code, forGood, written };
      }
    }
  }
}

test('the load flushes, rolls, replaces the keyring, and nothing is refused without a fault', () => {
  expect(whole).toMatchObject({ struck: false, poisoned: false, refused: 0 });
  expect(whole.calls.write).toBeGreaterThan(20);
  expect(whole.calls.flush).toBeGreaterThan(10);
  expect(whole.calls.flushInBackground).toBeGreaterThan(2);
  expect(whole.calls.rename).toBeGreaterThan(3);
  expect(whole.calls.flushDirectory).toBeGreaterThan(5);
  expect(whole.calls.truncate).toBeGreaterThan(0);
});

describe.each(['IO_ERROR', 'DISK_FULL'] as const)('%s', (code) => {
  describe.each([false, true])('for good: %s', (forGood) => {
    test.each(faultKinds.filter((kind) => whole.calls[kind] > 0))(
      'of any %s: an error, reads go on, nothing acknowledged is lost, and the database opens again',
      async (kind) => {
        let struck = 0;
        let poisoned = 0;
        for (const fault of faultsOf(kind, code, forGood)) {
          try {
            const run = await runWithFault(fault);
            if (run.struck) struck += 1;
            if (run.poisoned) poisoned += 1;
          } catch (error) {
            throw new Error(`${JSON.stringify(fault)}: ${String(error)}`, { cause: error });
          }
        }
        expect(struck).toBeGreaterThan(whole.calls[kind] / 2);
        if (flushes.includes(kind)) expect(poisoned).toBeGreaterThan(whole.calls[kind] / 2);
      },
    );
  });
});
