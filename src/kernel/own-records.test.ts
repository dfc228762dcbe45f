/** What the log says of the database itself: checkpoints, settings, signing keys. */
import { beforeEach, expect, test } from 'vitest';
import type { Position, TimestampMicros } from '../base/index.ts';
import { MemoryStore } from '../store/index.ts';
import { type CheckpointRecord, newestCheckpoint } from './checkpoints.ts';
import type { Command, Decision } from './command.ts';
import { decide } from './decide.ts';
import { settingOf } from './settings.ts';
import { signingKeysOf } from './signing-keys.ts';
import { KernelState } from './state.ts';

const origin = {};
const of = (fill: number, length = 32): Uint8Array => new Uint8Array(length).fill(fill);

let state: KernelState;
beforeEach(() => {
  state = new KernelState(new MemoryStore());
});

function decided(command: Command): Decision {
  return decide(state, command, { time: 1_000 as TimestampMicros });
}

function commit(command: Command): void {
  const decision = decided(command);
  if (decision.kind !== 'accepted') throw new Error(decision.kind);
  state.commit(decision.position, state.evolve(decision.events));
}

function setting(name: string, value: unknown): Command {
  return { kind: 'changeSetting', name, value, origin };
}

test('the newest checkpoint is what its record says, and where it stands', () => {
  expect(newestCheckpoint(state.store)).toBeUndefined();
  const bare: CheckpointRecord = {
    size: 7,
    root: of(1),
    covered: 5 as Position,
    chainHash: of(2),
    keyNumber: 1,
  };
  const stated = { ...bare, size: 8, state: { position: 4 as Position, hash: of(3) } };
  commit({ kind: 'checkpoint', record: bare, origin });
  expect(newestCheckpoint(state.store)).toEqual({ ...bare, leaf: 0 });
  commit({ kind: 'checkpoint', record: stated, origin });
  expect(newestCheckpoint(state.store)).toEqual({ ...stated, leaf: 1 });
});

test('the newest value of each setting holds; what is set already is not logged again', () => {
  expect(settingOf(state.store, 'quorum')).toBeUndefined();
  commit(setting('quorum', { of: 2, names: ['a', 'ü'] }));
  commit(setting('witnesses', []));
  expect(decided(setting('quorum', { of: 2, names: ['a', 'ü'] })).kind).toBe('unchanged');
  commit(setting('quorum', { of: 3 }));
  expect(settingOf(state.store, 'quorum')).toEqual({ of: 3 });
  expect(settingOf(state.store, 'witnesses')).toEqual([]);
  commit(setting('quorum', null));
  expect(settingOf(state.store, 'quorum')).toBeUndefined();
  expect(decided(setting('never-set', undefined)).kind).toBe('unchanged');
});

test('a setting without a proper name, or larger than the limit, is refused', () => {
  const codeOf = (command: Command): string => {
    const decision = decided(command);
    return decision.kind === 'rejected' ? decision.error.code : decision.kind;
  };
  for (const name of ['', 'Quorum', 'two words', 'ü', 'q'.repeat(1_000)])
    expect(codeOf(setting(name, 1)), name).toBe('INVALID_ARGUMENT');
  expect(codeOf(setting('s', 'x'.repeat(65_534)))).toBe('accepted');
  expect(codeOf(setting('s', 'x'.repeat(65_535)))).toBe('VALUE_TOO_LARGE');
  expect(codeOf(setting('s', 'ü'.repeat(32_768)))).toBe('VALUE_TOO_LARGE');
});

test('all signing keys stay known, in order', () => {
  expect(signingKeysOf(state.store)).toEqual([]);
  const records = Array.from({ length: 300 }, (_, index) => ({
    keyNumber: index + 2,
    previousKey: of(index & 255),
    publicKey: of((index + 1) & 255),
    signature: of(index & 255, 64),
  }));
  for (const record of records) commit({ kind: 'changeSigningKey', record, origin });
  expect(signingKeysOf(state.store)).toEqual(
    records.map((record, index) => ({ ...record, leaf: index })),
  );
});
