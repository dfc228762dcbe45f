import { expect, test } from 'vitest';
import {
  CorruptionError,
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  type TimestampMicros,
  treeOf,
  utf8Encode,
} from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import { MemoryStore, type StoreChange } from '../store/index.ts';
import { firstUserObject, streamKey, streamsObject } from './objects.ts';
import { type DecidedChanges, KernelState } from './state.ts';

const tenant = 1 as TenantId;
const tree = treeOf(tenant, streamsObject);

function appended(position: number, version: number, events = 1): LogEvent[] {
  return Array.from({ length: events }, (_, index) => ({
    position: position as Position,
    tenant,
    ...(index === 0 && { command: { time: 1_000 as TimestampMicros, eventCount: events } }),
    type: 'streamAppended' as const,
    name: 's',
    version: version + index,
    data: utf8Encode(String(version + index)),
  }));
}

/** A store one of whose pages does not open. */
class DamagedStore extends MemoryStore {
  damaged: StoreKey | undefined;

  override reach(batch: readonly StoreChange[] = []): void {
    if (batch.some(({ key }) => key === this.damaged))
      throw new CorruptionError('AUTHENTICATION_FAILED', 'store/pages', 4_096, 'A page lies');
  }
}

test('a command that meets damage is undone: those before it stay, and the next gets its place', () => {
  const store = new DamagedStore();
  const state = new KernelState(store);
  const waiting: DecidedChanges[] = [];
  const decided = (events: LogEvent[]): void => {
    const changes = state.evolveNew(events, () => waiting);
    waiting.push({ position: (events[0] as LogEvent).position, changes });
  };
  decided(appended(1, 1));
  decided(appended(2, 2, 2));
  const { leafCount, nextPosition } = state;
  store.damaged = streamKey('s', 5);
  expect(() => decided(appended(3, 4, 3))).toThrow(CorruptionError);
  expect([state.leafCount, state.nextPosition]).toEqual([leafCount, nextPosition]);
  const versions = (): number => {
    let count = 0;
    const cursor = state.overlay.scan(tree, {});
    while (cursor.next() !== undefined) count += 1;
    return count;
  };
  expect(versions()).toBe(3);
  store.damaged = undefined;
  decided(appended(3, 4));
  for (const { position, changes } of waiting) state.commit(position, changes);
  expect(versions()).toBe(4);
  expect(state.overlay.latest(tree, streamKey('s', 4))?.leaf).toBe(3);
});

test('what has changed of the counters is told once, and all of it again to a store that lacks it', () => {
  const state = new KernelState(new MemoryStore());
  state.allocateRow(tenant);
  state.allocateObject(tenant);
  const counters = { tenant, nextObject: (firstUserObject + 1) as ObjectId, nextRow: 2 };
  expect(state.takeChangedCounters()).toEqual([counters]);
  expect(state.takeChangedCounters()).toEqual([]);
  state.retakeCounters();
  expect(state.takeChangedCounters()).toEqual([counters]);
});
