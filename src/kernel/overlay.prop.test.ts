import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LeafIndex, Position, StoreKey, TreeId } from '../base/index.ts';
import { type Cursor, type KeyRange, MemoryStore, type StoreChange } from '../store/index.ts';
import { Overlay } from './overlay.ts';
import { ReadSet, TrackingView } from './read-set.ts';

const tree = 1 as TreeId;
const letters = [...'abcdefghij'] as StoreKey[];
const key = fc.constantFrom(...letters);
const change = fc.record({ key, row: fc.option(fc.nat(255), { nil: undefined }) });
const batches = fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { maxLength: 8 });
const range = fc.record(
  { from: key, to: key, reverse: fc.boolean() },
  { requiredKeys: [] },
) as fc.Arbitrary<KeyRange>;

type Given = readonly (readonly { readonly key: StoreKey; readonly row: number | undefined }[])[];

function changesOf(batch: Given[number], leaf: number): StoreChange[] {
  return batch.map(({ key: name, row }) => ({
    tree,
    key: name,
    leaf: leaf as LeafIndex,
    row: row === undefined ? undefined : Uint8Array.of(row),
  }));
}

/** A store that holds `committed`, an overlay above it with `decided`, and a store that holds both. */
function build(committed: Given, decided: Given) {
  const store = new MemoryStore();
  const both = new MemoryStore();
  const overlay = new Overlay(store);
  let position = 0 as Position;
  for (const batch of committed) {
    position = (position + 1) as Position;
    store.apply(position, changesOf(batch, position));
    both.apply(position, changesOf(batch, position));
  }
  const waiting = decided.map((batch) => {
    position = (position + 1) as Position;
    const changes = changesOf(batch, position);
    for (const one of changes) overlay.put(position, one);
    both.apply(position, changes);
    return { position, changes };
  });
  return { store, overlay, both, waiting };
}

function drain(cursor: Cursor): string[] {
  const seen: string[] = [];
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    seen.push(`${entry.key} ${entry.row[0]} ${entry.from} ${entry.leaf}`);
  }
  return seen;
}

function expectSame(left: Overlay, right: MemoryStore, within: KeyRange): void {
  expect(drain(left.scan(tree, within))).toEqual(drain(right.scan(tree, within)));
  for (const name of letters) {
    expect(left.get(tree, name)?.row).toEqual(right.get(tree, name)?.row);
    const { from, leaf, row } = left.latest(tree, name) ?? {};
    const other = right.latest(tree, name);
    expect({ from, leaf, row }).toEqual({ from: other?.from, leaf: other?.leaf, row: other?.row });
  }
}

test('it reads as if what was decided were committed', () => {
  fc.assert(
    fc.property(batches, batches, range, (committed, decided, within) => {
      const { overlay, both } = build(committed, decided);
      expectSame(overlay, both, within);
    }),
    { numRuns: 300 },
  );
});

test('committing position by position changes nothing that is read, and leaves nothing behind', () => {
  fc.assert(
    fc.property(batches, batches, range, (committed, decided, within) => {
      const { store, overlay, both, waiting } = build(committed, decided);
      for (const { position, changes } of waiting) {
        store.apply(position, changes);
        overlay.settle([{ position, changes }]);
        expectSame(overlay, both, within);
      }
      expect(overlay.changedSince(tree, {}, 0 as Position)).toBe(false);
    }),
    { numRuns: 150 },
  );
});

test('dropped, it reads as what it lies on', () => {
  fc.assert(
    fc.property(batches, batches, range, (committed, decided, within) => {
      const { store, overlay } = build(committed, decided);
      overlay.drop();
      expectSame(overlay, store, within);
    }),
    { numRuns: 100 },
  );
});

test('a read set is stale exactly if a key or range that was read has a newer version, committed or not', () => {
  fc.assert(
    fc.property(
      batches,
      batches,
      range,
      key,
      fc.nat(8),
      (committed, decided, within, name, back) => {
        const { store, overlay, both } = build(committed, decided);
        const snapshot = Math.max(0, store.appliedPosition - back) as Position;
        const state = {
          latest: (...place: [TreeId, StoreKey]) => overlay.latest(...place),
          changedSince: (...since: [TreeId, KeyRange, Position]) =>
            overlay.changedSince(...since) || store.changedSince(...since),
        };
        const byKey = new TrackingView(store.viewAt(snapshot));
        byKey.get(tree, name);
        expect(byKey.reads.changedSince(state, snapshot)).toBe(
          (both.latest(tree, name)?.from ?? 0) > snapshot,
        );
        const byRange = new TrackingView(store.viewAt(snapshot));
        byRange.scan(tree, within);
        expect(byRange.reads.changedSince(state, snapshot)).toBe(
          both.changedSince(tree, within, snapshot),
        );
      },
    ),
    { numRuns: 300 },
  );
});

test('a transaction that read nothing conflicts with nothing', () => {
  const { overlay } = build(
    [[{ key: letters[0] as StoreKey, row: 1 }]],
    [[{ key: letters[1] as StoreKey, row: 1 }]],
  );
  expect(new ReadSet().changedSince(overlay, 0 as Position)).toBe(false);
});
