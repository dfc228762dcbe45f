import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LeafIndex, Position, StoreKey, TreeId } from '../base/index.ts';
import { firstStoreDifference } from './compare.ts';
import { MemoryStore } from './memory-store.ts';
import type { StoreChange } from './store.ts';
import type { Cursor, KeyRange } from './view.ts';

const key = fc.constantFrom(...'abcdefgh').map((letter) => letter as StoreKey);
const tree = fc.constantFrom(1, 2).map((id) => id as TreeId);
const change = fc.record({ tree, key, row: fc.option(fc.nat(255), { nil: undefined }) });
const batches = fc.array(
  fc.record({ gap: fc.integer({ min: 1, max: 3 }), changes: fc.array(change, { maxLength: 5 }) }),
  { minLength: 1, maxLength: 15 },
);
const range = fc.record(
  { from: key, to: key, reverse: fc.boolean() },
  { requiredKeys: [] },
) as fc.Arbitrary<KeyRange>;

interface Version {
  readonly from: Position;
  readonly row: Uint8Array | undefined;
  readonly leaf: LeafIndex;
}

/** Every version of every key in a list, oldest first: what the store must be equal to. */
class Model {
  readonly versions = new Map<string, Version[]>();
  position = 0 as Position;

  apply(position: Position, batch: readonly StoreChange[]): void {
    for (const { tree: id, key: name, row, leaf } of batch) {
      const list = this.versions.get(`${id}${name}`) ?? [];
      this.versions.set(`${id}${name}`, [
        ...list.filter(({ from }) => from !== position),
        { from: position, row, leaf },
      ]);
    }
    this.position = position;
  }

  at(id: TreeId, name: StoreKey, position: Position): Version | undefined {
    return this.versions.get(`${id}${name}`)?.findLast(({ from }) => from <= position);
  }

  scan(
    id: TreeId,
    { from, to, reverse }: KeyRange,
    position: Position,
  ): { key: string; from: number }[] {
    const keys = ([...'abcdefgh'] as StoreKey[]).filter(
      (name) => (from === undefined || name >= from) && (to === undefined || name < to),
    );
    if (reverse === true) keys.reverse();
    return keys.flatMap((name) => {
      const version = this.at(id, name, position);
      return version?.row === undefined ? [] : [{ key: name, from: version.from }];
    });
  }
}

function build(
  given: readonly {
    gap: number;
    changes: readonly { tree: TreeId; key: StoreKey; row: number | undefined }[];
  }[],
) {
  const store = new MemoryStore();
  const model = new Model();
  const views: { position: Position; seen: string }[] = [];
  let position = 0;
  let leaf = 0;
  for (const { gap, changes } of given) {
    position += gap;
    const batch = changes.map(({ row, ...place }) => ({
      ...place,
      row: row === undefined ? undefined : Uint8Array.of(row),
      leaf: leaf++ as LeafIndex,
    }));
    store.apply(position as Position, batch);
    model.apply(position as Position, batch);
    views.push({ position: position as Position, seen: dump(store, position as Position) });
  }
  return { store, model, views };
}

function drain(cursor: Cursor): { key: string; from: number }[] {
  const seen: { key: string; from: number }[] = [];
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    seen.push({ key: entry.key, from: entry.from });
  }
  return seen;
}

function dump(store: MemoryStore, position: Position): string {
  const view = store.viewAt(position);
  return JSON.stringify([1, 2].map((id) => drain(view.scan(id as TreeId, {}))));
}

test('every position reads as it did when it was the newest, and as a list of versions would', () => {
  fc.assert(
    fc.property(batches, range, tree, (given, within, id) => {
      const { store, model, views } = build(given);
      expect(store.appliedPosition).toBe(model.position);
      for (const { position, seen } of views) {
        expect(dump(store, position)).toBe(seen);
        expect(drain(store.scanAt(id, within, position))).toEqual(model.scan(id, within, position));
        for (const name of [...'abcdefgh'] as StoreKey[]) {
          const version = model.at(id, name, position);
          const row = store.getAt(id, name, position);
          expect(row?.row).toEqual(version?.row);
          if (row !== undefined)
            expect([row.from, row.leaf]).toEqual([version?.from, version?.leaf]);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test('the newest versions, histories and changes since a position are those of the list', () => {
  fc.assert(
    fc.property(batches, range, tree, (given, within, id) => {
      const { store, model, views } = build(given);
      for (const name of [...'abcdefgh'] as StoreKey[]) {
        const list = model.versions.get(`${id}${name}`) ?? [];
        const newest = list.at(-1);
        expect(store.latest(id, name)?.from).toBe(newest?.from);
        expect(store.get(id, name)?.row).toEqual(newest?.row);
        expect(store.versions(id, name).map(({ from, row }) => ({ from, row }))).toEqual(
          list.toReversed().map(({ from, row }) => ({ from, row })),
        );
      }
      for (const { position } of [{ position: 0 as Position }, ...views]) {
        const changed = ([...'abcdefgh'] as StoreKey[]).some((name) => {
          const { from, to } = within;
          if ((from !== undefined && name < from) || (to !== undefined && name >= to)) return false;
          return (model.versions.get(`${id}${name}`)?.at(-1)?.from ?? 0) > position;
        });
        expect(store.changedSince(id, within, position)).toBe(changed);
      }
    }),
    { numRuns: 150 },
  );
});

test('a cursor keeps its view while positions are applied', () => {
  fc.assert(
    fc.property(batches, batches, fc.boolean(), (first, second, reverse) => {
      const { store, model } = build(first);
      const at = store.appliedPosition;
      const cursor = store.scanAt(1 as TreeId, { reverse }, at);
      const seen: { key: string; from: number }[] = [];
      for (const [index, { changes }] of second.entries()) {
        const entry = cursor.next();
        if (entry !== undefined) seen.push({ key: entry.key, from: entry.from });
        const batch = changes.map((one) => ({
          ...one,
          row: Uint8Array.of(1),
          leaf: 0 as LeafIndex,
        }));
        store.apply((at + index + 1) as Position, batch);
      }
      expect([...seen, ...drain(cursor)]).toEqual(model.scan(1 as TreeId, { reverse }, at));
    }),
    { numRuns: 100 },
  );
});

test('two stores are equal if they were given the same, and the first difference is named', () => {
  fc.assert(
    fc.property(batches, change, (given, { tree: id, key: name }) => {
      const [left, right] = [build(given).store, build(given).store];
      expect(firstStoreDifference(left, right)).toBeUndefined();
      const next = (left.appliedPosition + 1) as Position;
      const batch = (row: number) => [
        { tree: id, key: name, row: Uint8Array.of(row), leaf: 9 as LeafIndex },
      ];
      left.apply(next, batch(1));
      right.apply(next, batch(2));
      expect(firstStoreDifference(left, right)).toEqual({ tree: id, key: name });
    }),
    { numRuns: 60 },
  );
});

test('positions are applied in strictly increasing order', () => {
  const store = new MemoryStore();
  store.apply(3 as Position, []);
  expect(() => store.apply(3 as Position, [])).toThrow(/strictly increasing/);
  expect(() => store.viewAt(4 as Position)).toThrow(/at or before the applied/);
});
