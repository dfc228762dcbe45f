import { expect, test } from 'vitest';
import { type LeafIndex, type Position, type StoreKey, treeOf } from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import { brokenLinks, FrameLinks, noLink } from './row-links.ts';

const key = (text: string): StoreKey => text as StoreKey;
const leaf = (number: number): LeafIndex => number as LeafIndex;
const tree = treeOf(7 as never, 100 as never);
const other = treeOf(7 as never, 101 as never);

function row(position: number, of: string, previousLeaf?: number): LogEvent {
  return {
    type: 'rowUpdated',
    position: position as Position,
    tenant: 7,
    object: 100,
    schemaVersion: 1,
    key: of,
    ...(previousLeaf !== undefined && { previousLeaf }),
  } as unknown as LogEvent;
}
const noRow = (position: number): LogEvent =>
  ({ type: 'tenantCreated', position, tenant: 0, name: 'n' }) as unknown as LogEvent;

/** Of key k, leaf 3 was newest before. */
const latest = (_tree: unknown, of: StoreKey): LeafIndex | undefined =>
  of === 'k' ? leaf(3) : undefined;

test('links to the version before, in the store or in the events before, are good', () => {
  const events = [row(5, 'k', 3), row(5, 'k', 10), noRow(6), row(7, 'k', 11), row(7, 'new')];
  expect(brokenLinks(events, leaf(10), latest)).toEqual([]);
});

test('a link that is left out, to an earlier event, to one of another row, or to one that is not there yet is told', () => {
  for (const wrong of [undefined, 2, 12, 10]) {
    const events = [row(5, 'k', 3), row(5, 'new'), row(6, 'k', wrong)];
    const expected = wrong === 10 ? [] : [{ tree, key: 'k', position: 6, leaf: 12 }];
    expect(brokenLinks(events, leaf(10), latest), String(wrong)).toEqual(expected);
  }
  // The first event of a key names none.
  expect(brokenLinks([row(5, 'new', 4)], leaf(10), latest)).toHaveLength(1);
});

test('a position’s links are what the first event of each key names, and wrong where those behind it do not follow', () => {
  const trees: number[] = [];
  const events = [
    row(5, 'k', 3),
    row(6, 'k', 10),
    row(6, 'k', 11),
    row(6, 'new'),
    noRow(7),
    row(8, 'k', 12),
    row(8, 'k', 12),
  ];
  const links = new FrameLinks(events, leaf(10), (each) => trees.push(each));
  const five = links.take(5 as Position);
  expect([five(tree, key('k')), five(tree, key('x')), five(other, key('k'))]).toEqual([
    3,
    undefined,
    undefined,
  ]);
  const six = links.take(6 as Position);
  expect([six(tree, key('k')), six(tree, key('new')), six(other, key('k'))]).toEqual([
    10,
    noLink,
    undefined,
  ]);
  expect(links.take(7 as Position)(tree, key('k'))).toBeUndefined();
  // The second event should have named leaf 15.
  expect(links.take(8 as Position)(tree, key('k'))).not.toBe(12);
  expect(new Set(trees)).toEqual(new Set([tree]));
});
