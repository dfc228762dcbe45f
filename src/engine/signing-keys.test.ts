/** Rotation of the key that signs checkpoints. */
import { expect, test } from 'vitest';
import { imageOf } from '../../test/integrity/disk-image.ts';
import {
  append,
  engineWorld,
  type EngineWorld,
  openEngineOn,
} from '../../test/support/engine-world.ts';
import { Prng } from '../base/index.ts';
import { ed25519Verify, sha256 } from '../crypto/index.ts';
import { formatVkey, openNote, parseVkey } from '../proof/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../sim/index.ts';
import type { Engine } from './engine.ts';
import { handOverText, rotateSigningKey } from './signing-keys.ts';

const newScheduler = (): SimScheduler => new SimScheduler(new SimClock());

async function world(): Promise<EngineWorld> {
  return engineWorld(new SimDisk(), newScheduler());
}

const vkeysOf = (engine: Engine): string[] => engine.proofs.vkeys.map(formatVkey);

/** What holds of every database: one private half, and a chain of hand-overs that starts with the first key. */
function checkKeys(engine: Engine, first: string): void {
  const { proofs, hierarchy } = engine;
  const vkeys = vkeysOf(engine);
  expect(vkeys[0]).toBe(first);
  let known = parseVkey(sha256, first);
  for (const { from, to, signature } of proofs.handovers()) {
    expect(formatVkey(from)).toBe(formatVkey(known));
    const text = handOverText(proofs.origin, from, to);
    expect(ed25519Verify(known.publicKey, text, signature)).toBe(true);
    known = to;
  }
  expect(vkeys.at(-1)).toBe(formatVkey(known));
  expect(hierarchy.keyring.entryNumbers('signing')).toEqual([vkeys.length]);
  expect(hierarchy.keyring.entry('signing', vkeys.length)?.publicBytes).toEqual(known.publicKey);
}

test('each key says in the log that the next takes its place, and is gone from the keyring then', async () => {
  const { engine, scheduler, disk } = await world();
  const { settle } = { settle: scheduler.settle.bind(scheduler) };
  const [first] = vkeysOf(engine);
  const before = await settle(engine.proofs.checkpoint());
  await settle(engine.rotateSigningKey());
  await settle(engine.rotateSigningKey());
  checkKeys(engine, first!);
  const vkeys = engine.proofs.vkeys;
  expect(vkeys).toHaveLength(3);
  const after = await settle(engine.proofs.checkpoint());
  expect(after.record.keyNumber).toBe(3);
  const keysOf = (note: string): number[] =>
    openNote(note, vkeys, ed25519Verify).verified.map(({ vkey }) => vkeys.indexOf(vkey));
  expect([keysOf(before.note), keysOf(after.note)]).toEqual([[0], [2]]);
  await settle(engine.close());
  const again = await openEngineOn(disk, scheduler);
  checkKeys(again, first!);
  expect([...again.proofs.all()].map(({ size }) => size)).toEqual([before.size, after.size]);
  await settle(again.close());
});

test('a rotation waits for the checkpoint that is being made, which the key before it signs', async () => {
  const { engine, scheduler } = await world();
  const making = engine.proofs.checkpoint();
  const rotating = engine.rotateSigningKey();
  const next = engine.proofs.checkpoint();
  const [made, , then] = await scheduler.settle(Promise.all([making, rotating, next]));
  expect([made.record.keyNumber, then.record.keyNumber]).toEqual([1, 2]);
  for (const { note } of [made, then])
    expect(openNote(note, engine.proofs.vkeys, ed25519Verify).verified).toHaveLength(1);
  await scheduler.settle(engine.close());
});

/** Rotates between two checkpoints; `told` gets what callers were told. */
async function rotate(engine: Engine, scheduler: SimScheduler, told: string[]): Promise<void> {
  await scheduler.settle(engine.rotateSigningKey());
  told.push('rotated');
  await scheduler.settle(engine.proofs.checkpoint());
  told.push('signed');
  await scheduler.settle(engine.close());
}

test('a machine that stops at any call of a rotation has one key that signs, and every hand-over', async () => {
  const made = await world();
  const [first] = vkeysOf(made.engine);
  await made.scheduler.settle(made.engine.proofs.checkpoint());
  await made.scheduler.settle(append({ ...made }, 1));
  await made.scheduler.settle(made.engine.close());
  const image = imageOf(made.disk);
  const measured = SimDisk.fromImage(image);
  const scheduler = newScheduler();
  const engine = await openEngineOn(measured, scheduler);
  const from = measured.callCount;
  await rotate(engine, scheduler, []);
  const seen = { old: 0, rotated: 0, signed: 0 };
  for (let call = from + 1; call <= measured.callCount; call++) {
    const disk = SimDisk.fromImage(image, { seed: call, faults: { crashAtCall: call } });
    const before = newScheduler();
    const told: string[] = [];
    const opened = await openEngineOn(disk, before);
    await rotate(opened, before, told).catch(() => undefined);
    const after = newScheduler();
    const again = await openEngineOn(disk.crash(), after, { entropySeed: 1_000 + call });
    checkKeys(again, first!);
    const count = vkeysOf(again).length;
    if (told.includes('rotated')) expect(count, `call ${call}`).toBe(2);
    const next = await after.settle(again.proofs.checkpoint());
    expect(openNote(next.note, again.proofs.vkeys, ed25519Verify).verified).toHaveLength(1);
    const numbers = [...again.proofs.all()].map(({ record }) => record.keyNumber);
    expect(numbers, `call ${call}`).toEqual(numbers.toSorted((left, right) => left - right));
    if (told.includes('signed')) expect(numbers, `call ${call}`).toEqual([1, 2]);
    await after.settle(again.close());
    seen[told.includes('signed') ? 'signed' : count === 2 ? 'rotated' : 'old'] += 1;
  }
  expect(Math.min(seen.old, seen.rotated, seen.signed)).toBeGreaterThan(2);
}, 60_000);

test('there are not more signing keys than a keyring holds and a receipt shows', async () => {
  const { engine, scheduler } = await world();
  const { hierarchy, state } = engine;
  const of = (fill: number, length = 32): Uint8Array => new Uint8Array(length).fill(fill);
  const keys = { previousKey: of(1), publicKey: of(2), signature: of(3, 64) };
  const rotated = (keyNumber: number): Promise<void> =>
    scheduler.settle(
      engine
        .submit({ kind: 'changeSigningKey', record: { keyNumber, ...keys }, origin: {} })
        .then(() =>
          rotateSigningKey({
            hierarchy,
            entropy: new Prng(7),
            view: state.store,
            submit: (command) => engine.submit(command),
            changeKeyring: () => Promise.reject(new Error('begun')),
          }),
        ),
    );
  await expect(rotated(899)).rejects.toThrow('begun');
  await expect(rotated(900)).rejects.toMatchObject({ code: 'COMMAND_TOO_LARGE' });
  await scheduler.settle(engine.close());
});
