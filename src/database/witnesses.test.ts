/** Witnesses, as a log in memory sees them, with real ones on loopback. The same with a database: test/sdk/witness.test.ts. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { SignedLog } from '../../test/support/signed-log.ts';
import { startTestWitness, type TestWitness } from '../../test/support/witness.ts';
import type { Scheduler, VerityError } from '../base/index.ts';
import { ed25519Verify } from '../crypto/index.ts';
import { addSignatures, formatVkey, openNote, type Vkey } from '../proof/index.ts';
import type { AttestedLog } from './attested-log.ts';
import { checkAgainstWitnesses } from './rollback-check.ts';
import { Witnesses } from './witnesses.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});
const code = (name: string) => expect.objectContaining({ code: name });

/** A log whose settings and notes are in memory. */
class TestLog implements AttestedLog {
  readonly signed: SignedLog;
  readonly settings = new Map<string, unknown>();
  newest: { note: string; size: number } | undefined;

  constructor(signed: SignedLog, settings: Iterable<[string, unknown]> = []) {
    this.signed = signed;
    for (const [name, value] of settings) this.settings.set(name, value);
  }
  get origin(): string {
    return this.signed.vkey.name;
  }
  get vkeys(): Vkey[] {
    return [this.signed.vkey];
  }
  get size(): number {
    return this.signed.leaves.length;
  }
  checkpoint(): Promise<{ note: string; size: number }> {
    if (this.newest?.size !== this.size)
      this.newest = { note: this.signed.note(), size: this.size };
    return Promise.resolve(this.newest);
  }
  all() {
    return this.newest === undefined ? [] : [this.newest];
  }
  root(size: number): Uint8Array {
    return this.signed.root(size);
  }
  consistencyProof(from: number, to: number): Uint8Array[] {
    return this.signed.consistency(from, to);
  }
  amend(size: number, signatures: Parameters<AttestedLog['amend']>[1]): void {
    if (this.newest?.size === size)
      this.newest = { size, note: addSignatures(this.newest.note, signatures) };
  }
  setting(name: string): unknown {
    return this.settings.get(name);
  }
  changeSetting(name: string, value: unknown): Promise<void> {
    this.settings.set(name, JSON.parse(JSON.stringify(value)));
    return Promise.resolve();
  }
}

async function newWitness(name: string, log: Vkey): Promise<TestWitness> {
  const directory = mkdtempSync(join(tmpdir(), 'verity-witness-'));
  const witness = await startTestWitness(join(directory, 'w'), name, log);
  closing.push(
    () => rmSync(directory, { recursive: true, force: true }),
    () => witness.stop(),
  );
  return witness;
}

/** Pauses that a test ends by hand. */
class Pauses implements Scheduler {
  readonly waiting: { milliseconds: number; callback: () => void }[] = [];
  defer(callback: () => void): void {
    setImmediate(callback);
  }
  delay(milliseconds: number, callback: () => void): () => void {
    const pause = { milliseconds, callback };
    this.waiting.push(pause);
    return () => void this.waiting.splice(this.waiting.indexOf(pause), 1);
  }
}

function witnessesOfLog(log: TestLog, pauses = new Pauses()) {
  const troubles: VerityError[] = [];
  const witnesses = new Witnesses({
    log,
    scheduler: pauses,
    onTrouble: (error) => void troubles.push(error),
    checkWritable: () => undefined,
  });
  closing.push(() => witnesses.stop());
  return { witnesses, troubles, pauses };
}

const grown = (count: number, salt?: string): SignedLog =>
  new SignedLog('log.example/a').grow(count, salt);

describe('witnesses of a log', () => {
  test('are added, cosign, are listed and removed', async () => {
    const log = new TestLog(grown(7));
    const [one, two] = [
      await newWitness('w.example/1', log.signed.vkey),
      await newWitness('w.example/2', log.signed.vkey),
    ];
    const { witnesses } = witnessesOfLog(log);
    await witnesses.add(one.url, one.text);
    await witnesses.add(two.url, two.text);
    await expect(witnesses.add(one.url, one.text)).rejects.toThrow(code('INVALID_ARGUMENT'));
    await expect(witnesses.add('file:///x', one.text)).rejects.toThrow(code('INVALID_ARGUMENT'));
    await expect(witnesses.add(one.url, formatVkey(log.signed.vkey))).rejects.toThrow(
      code('VKEY_INVALID'),
    );
    await expect(witnesses.setPolicy({ required: 3 })).rejects.toThrow(code('INVALID_ARGUMENT'));
    await witnesses.setPolicy({ required: 2 });
    expect(witnesses.policy).toEqual({ required: 2, strict: false });

    const report = await witnesses.cosign();
    expect(report).toMatchObject({ size: 7n, cosigned: 2, required: 2 });
    const keys = [log.signed.vkey, one.vkey, two.vkey];
    expect(openNote(report.note, keys, ed25519Verify).verified).toHaveLength(3);
    expect(witnesses.list().map(({ name, failure }) => [name, failure])).toEqual([
      ['w.example/1', undefined],
      ['w.example/2', undefined],
    ]);

    await expect(witnesses.remove('w.example/1')).rejects.toThrow(code('INVALID_ARGUMENT'));
    await witnesses.setPolicy({ required: 1 });
    await witnesses.remove('w.example/1');
    await expect(witnesses.remove('w.example/1')).rejects.toThrow(code('INVALID_ARGUMENT'));
    expect(witnesses.list().map(({ name }) => name)).toEqual(['w.example/2']);
    log.signed.grow(3);
    await two.stop();
    const without = await witnesses.cosign({ timeoutMs: 2000 });
    expect(without).toMatchObject({ size: 10n, cosigned: 0, required: 1 });
    expect(without.witnesses[0]?.failure).toContain('w.example/2');
  });

  test('are told of checkpoints in the background, and again after a pause that doubles', async () => {
    const log = new TestLog(grown(7));
    const witness = await newWitness('w.example/1', log.signed.vkey);
    const { witnesses, troubles, pauses } = witnessesOfLog(log);
    await witnesses.add('http://127.0.0.1:1', witness.text);
    const first = await log.checkpoint();
    witnesses.send(first);
    for (const milliseconds of [1000, 2000, 4000]) {
      await expect.poll(() => pauses.waiting.length, { timeout: 10_000 }).toBe(1);
      const [pause] = pauses.waiting.splice(0);
      expect(pause?.milliseconds).toBe(milliseconds);
      pause?.callback();
    }
    await expect.poll(() => pauses.waiting.length, { timeout: 10_000 }).toBe(1);
    // Told once, not at every attempt.
    expect(troubles).toEqual([code('WITNESS_UNAVAILABLE')]);

    await witnesses.remove('w.example/1');
    expect(pauses.waiting).toEqual([]);
    await witnesses.add(witness.url, witness.text);
    witnesses.send(first);
    await expect.poll(() => witnesses.list()[0]?.cosigned, { timeout: 10_000 }).toBeDefined();
    expect(pauses.waiting).toEqual([]);
  });

  test('that know another log of the same name are heard at once, and not asked again', async () => {
    const log = new TestLog(grown(7));
    const witness = await newWitness('w.example/1', log.signed.vkey);
    const other = witnessesOfLog(new TestLog(grown(4, 'other')));
    await other.witnesses.add(witness.url, witness.text);
    await other.witnesses.cosign();
    const { witnesses, troubles, pauses } = witnessesOfLog(log);
    await witnesses.add(witness.url, witness.text);
    witnesses.send(await log.checkpoint());
    await expect.poll(() => troubles.length, { timeout: 10_000 }).toBe(1);
    expect(troubles).toEqual([code('LOG_ROLLED_BACK')]);
    expect(pauses.waiting).toEqual([]);
  });
});

describe('a log that is compared with its witnesses', () => {
  const warnings: string[] = [];
  const check = (log: AttestedLog, acceptRollback = false) =>
    checkAgainstWitnesses(log, { acceptRollback, warn: (text) => void warnings.push(text) });

  async function cosigned(size: number, settings: [string, unknown][] = []) {
    const log = new TestLog(grown(size), settings);
    const witness = await newWitness('w.example/1', log.signed.vkey);
    const { witnesses } = witnessesOfLog(log);
    await witnesses.add(witness.url, witness.text);
    await witnesses.cosign();
    warnings.splice(0);
    return { log, witness, settings: [...log.settings] };
  }

  test('is found good as it is, and when it has grown', async () => {
    const { log } = await cosigned(9);
    expect(await check(log)).toBe(1);
    log.signed.grow(4);
    expect(await check(log)).toBe(1);
    expect(warnings).toEqual([]);
  });

  test.each([
    ['rewound', grown(5)],
    ['rewound, and written on', grown(5).grow(20, 'after')],
    ['of the same size, and another', grown(8).grow(1, 'other')],
    ['rewound to before its key was rotated', new SignedLog('log.example/a', 2).grow(5)],
  ])('is refused when it is %s', async (_, signed) => {
    const { settings } = await cosigned(9);
    const rewound = new TestLog(signed, settings);
    await expect(check(rewound)).rejects.toThrow(code('LOG_ROLLED_BACK'));
    await expect(check(rewound)).rejects.toThrow(/w\.example\/1.*9 events.*--accept-rollback/);
  });

  test('goes on when that is accepted, once, and says so in the log', async () => {
    const { settings } = await cosigned(9);
    const rewound = new TestLog(grown(5), settings);
    await check(rewound, true);
    expect(rewound.setting('rollback-accepted')).toEqual([
      expect.objectContaining({ witness: 'w.example/1', size: 9, leaves: 5 }),
    ]);
    expect(warnings).toHaveLength(1);
    // The same contradiction needs no second acceptance; another does.
    rewound.signed.grow(2, 'after');
    await check(rewound);
    const forged = (rewound.setting('rollback-accepted') as object[]).map((one) => ({
      ...one,
      size: 8,
    }));
    rewound.settings.set('rollback-accepted', forged);
    await expect(check(rewound)).rejects.toThrow(code('LOG_ROLLED_BACK'));
  });

  test('of witnesses that do not answer is opened with a warning, or not when the policy is strict', async () => {
    const { log, witness } = await cosigned(9);
    await witness.stop();
    expect(await check(log)).toBe(0);
    expect(warnings).toEqual([expect.stringContaining('w.example/1')]);
    log.settings.set('quorum', { required: 1, strict: true });
    await expect(check(log)).rejects.toThrow(code('WITNESS_UNAVAILABLE'));
  });

  test('without witnesses asks nobody', async () => {
    expect(await check(new TestLog(grown(3)))).toBe(0);
  });
});
