import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  toHex,
} from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import { SecretKey, sha256 } from '../crypto/index.ts';
import { leafBytes } from '../log/index.ts';
import { SimScheduler } from '../sim/index.ts';
import type { RecordTree } from './checkpoint-records.ts';
import { StateHasher } from './state-hasher.ts';

/** Records as the store keeps them; `copy` is what a checkpoint would have frozen. */
class Records implements RecordTree {
  readonly map: Map<StoreKey, Uint8Array>;
  constructor(map = new Map<StoreKey, Uint8Array>()) {
    this.map = map;
  }
  get(key: StoreKey): Uint8Array | undefined {
    return this.map.get(key)?.slice();
  }
  put(key: StoreKey, record: Uint8Array | undefined): void {
    if (record === undefined) this.map.delete(key);
    else this.map.set(key, record.slice());
  }
  copy(): Records {
    return new Records(new Map(this.map));
  }
}

interface Change {
  readonly tenant: number;
  readonly table: number;
  readonly row: number;
  readonly what: 'rowInserted' | 'rowDeleted' | 'drop';
}
interface Frame {
  readonly events: LogEvent[];
  readonly leaves: Uint8Array;
}

let nextLeaf = 0;
function frameOf(changes: readonly Change[]): Frame {
  const leaves = new Uint8Array(changes.length * leafBytes);
  const events = changes.map(({ tenant, table, row, what }, index) => {
    leaves.set(sha256(new TextEncoder().encode(`${nextLeaf++}`)), index * leafBytes + 2);
    const object = table as ObjectId;
    // Keys of one byte and of several hundred.
    const key = String.fromCharCode(row % 256).repeat(row % 5 === 0 ? 300 : 1) + row;
    const schema = new TextEncoder().encode(JSON.stringify({ id: table, dropped: true }));
    return what === 'drop'
      ? { type: 'tableDefined', tenant: tenant as TenantId, object, schema }
      : { type: what, tenant: tenant as TenantId, object, key: key as StoreKey };
  });
  return { events: events as unknown as LogEvent[], leaves };
}

const hasherOn = (records: Records, position = 0): StateHasher =>
  new StateHasher(() => records, new SecretKey(new Uint8Array(32).fill(5)), {
    position: position as Position,
  });

const note = (hasher: StateHasher, frames: readonly Frame[], from = 0): void => {
  for (const [index, { events, leaves }] of frames.entries())
    if (index >= from) hasher.note(events, leaves, (index + 1) as Position);
};

/** The hash when all is applied at once. */
function hashOf(frames: readonly Frame[]): string {
  const hasher = hasherOn(new Records());
  note(hasher, frames);
  hasher.updateNow();
  expect(hasher.newest.position).toBe(frames.length);
  return toHex(hasher.newest.hash);
}

const inserts = (tenant: number, table: number, rows: number, first = 0): Change[] =>
  Array.from({ length: rows }, (_, row) => ({
    tenant,
    table,
    row: first + row,
    what: 'rowInserted' as const,
  }));

const change = fc.record({
  tenant: fc.integer({ min: 1, max: 3 }),
  table: fc.constantFrom(16, 17),
  row: fc.nat(60),
  what: fc.constantFrom('rowInserted' as const, 'rowInserted' as const, 'rowDeleted' as const),
});

describe('the state hash', () => {
  test('is the same wherever it is brought up to date, kept and gone on from', () => {
    const frames = fc.array(fc.array(change, { minLength: 1, maxLength: 20 }), { maxLength: 20 });
    const steps = fc.infiniteStream(fc.constantFrom('note', 'note', 'update', 'keep', 'restart'));
    fc.assert(
      fc.property(frames, steps, (all, does) => {
        const noted = all.map(frameOf);
        let records = new Records();
        let hasher = hasherOn(records);
        let frozen = { records: records.copy(), position: 0 };
        for (const [index, { events, leaves }] of noted.entries()) {
          hasher.note(events, leaves, (index + 1) as Position);
          const what = does.next().value;
          if (what === 'update') hasher.updateNow();
          if (what === 'keep') {
            hasher.keep();
            frozen = { records: records.copy(), position: index + 1 };
          }
          if (what === 'restart') {
            records = frozen.records.copy();
            hasher = hasherOn(records, frozen.position);
            note(hasher, noted.slice(0, index + 1), frozen.position);
          }
        }
        hasher.updateNow();
        expect(toHex(hasher.newest.hash)).toBe(hashOf(noted));
      }),
      { numRuns: 100 },
    );
  });

  test('is made good when a checkpoint was frozen at any slice of an update, and no hash between is told', async () => {
    const frames = [
      frameOf(inserts(1, 16, 2_000)),
      frameOf([...inserts(1, 16, 4_000, 700), ...inserts(2, 16, 400)]),
    ];
    const more = frameOf(
      inserts(1, 16, 4_690).map((each) => ({ ...each, what: 'rowDeleted' as const })),
    );
    const before = hashOf(frames.slice(0, 1));
    const records = new Records();
    const hasher = hasherOn(records);
    note(hasher, frames.slice(0, 1));
    hasher.updateNow();
    note(hasher, frames, 1);
    const scheduler = new SimScheduler();
    const deferred: (() => void)[] = [];
    const done = hasher.update({
      defer: (go) => void deferred.push(go),
      delay: (...of) => scheduler.delay(...of),
    });
    let slices = 0;
    for (let isOver = false; !isOver; slices++) {
      if (hasher.newest.position === 1) expect(toHex(hasher.newest.hash)).toBe(before);
      hasher.keep();
      const copy = records.copy();
      const again = hasherOn(copy, 2);
      expect(toHex(again.newest.hash)).toBe(toHex(hasher.newest.hash));
      note(again, [...frames, more], 2);
      again.updateNow();
      expect(toHex(again.newest.hash)).toBe(hashOf([...frames, more]));
      deferred.splice(0).forEach((go) => go());
      await Promise.race([done, new Promise((resolve) => void setImmediate(resolve))]);
      isOver = hasher.newest.position === 2;
    }
    expect(slices).toBeGreaterThan(3);
    expect(toHex((await done).hash)).toBe(hashOf(frames));
  });

  test('comes to an end also where rows come faster than a slice takes them', async () => {
    const frames = [frameOf(inserts(1, 16, 3_000))];
    const hasher = hasherOn(new Records());
    note(hasher, frames);
    const scheduler = new SimScheduler();
    const done = hasher.update(scheduler);
    let isOver = false;
    void done.then(() => (isOver = true));
    for (let turns = 0; turns < 60 && !isOver; turns++) {
      frames.push(frameOf(inserts(1, 17, 1_000, turns * 1_000)));
      note(hasher, frames, frames.length - 1);
      scheduler.step();
      for (let hop = 0; hop < 20; hop++) await Promise.resolve();
    }
    expect(isOver).toBe(true);
    const { hash, position } = await done;
    expect(position).toBeLessThan(frames.length);
    expect(toHex(hash)).toBe(hashOf(frames.slice(0, position)));
  });

  test('does not depend on which tenant came first', () => {
    const one = [frameOf(inserts(1, 16, 40)), frameOf(inserts(1, 17, 3))];
    const other = [frameOf(inserts(2, 16, 50)), frameOf(inserts(3, 18, 1))];
    const hashes = [
      [...one, ...other],
      [...other, ...one],
      [one[0], other[0], one[1], other[1]],
    ];
    expect(new Set(hashes.map((frames) => hashOf(frames as Frame[]))).size).toBe(1);
  });

  test('forgets a table that is dropped, all at once, and one whose rows are gone', () => {
    const kept = frameOf(inserts(1, 16, 30));
    const rows = inserts(1, 17, 500);
    const drop = frameOf([{ tenant: 1, table: 17, row: 0, what: 'drop' }]);
    const gone = frameOf(rows.map((each) => ({ ...each, what: 'rowDeleted' as const })));
    const filled = frameOf(rows);
    expect(hashOf([kept, filled])).not.toBe(hashOf([kept]));
    expect(hashOf([kept, filled, drop])).toBe(hashOf([kept]));
    expect(hashOf([kept, filled, gone])).toBe(hashOf([kept]));
    const hasher = hasherOn(new Records());
    note(hasher, [kept, filled]);
    hasher.updateNow();
    note(hasher, [kept, filled, drop], 2);
    hasher.updateNow();
    expect(toHex(hasher.newest.hash)).toBe(hashOf([kept]));
  });
});
