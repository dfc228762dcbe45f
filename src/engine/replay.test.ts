import { expect, test } from 'vitest';
import { LogMaker } from '../../test/support/log-maker.ts';
import { type Position, systemTenant, type TenantId, type TimestampMicros } from '../base/index.ts';
import { encodeEvent, type LogEvent, Writer } from '../codec/index.ts';
import { KernelState } from '../kernel/index.ts';
import { emptyLogHead, type LogHead } from '../log/index.ts';
import { SimDisk } from '../sim/index.ts';
import { MemoryStore } from '../store/index.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { LogIndex } from './log-index.ts';
import { LogWalk } from './log-walk.ts';
import { type Replay, replayLog } from './replay.ts';

const path = 'log/00000000000000000001.vlog';
const tenant = 1 as TenantId;

/** Commands of stream events: how many events each says it has, and how many it has. */
function eventOf(position: number, version: number, eventCount?: number): LogEvent {
  const command =
    eventCount === undefined ? {} : { command: { time: 5 as TimestampMicros, eventCount } };
  return {
    type: 'streamAppended',
    position: position as Position,
    tenant,
    name: 's',
    version,
    data: Uint8Array.of(0x31),
    ...command,
  };
}

function encoded(event: LogEvent): { tenant: number; event: Uint8Array } {
  const writer = new Writer();
  encodeEvent(writer, event);
  return { tenant: event.tenant, event: writer.finish() };
}

/** A replay over `segment`, under the maker's keys. `tenants`: those that the keyring knows. */
function replayOf(
  maker: LogMaker,
  segment: Uint8Array,
  tenants = [systemTenant, tenant],
): { replay: Replay; start: LogHead } {
  const hierarchy = {
    keyring: { generation: 1, has: (id: TenantId) => tenants.includes(id) },
    sectionKey: (id: TenantId) => (tenants.includes(id) ? maker.keyFor(id) : undefined),
  } as unknown as KeyHierarchy;
  const disk = SimDisk.fromImage(new Map([[path, segment]]));
  const state = new KernelState(new MemoryStore());
  return {
    replay: { disk, hierarchy, state, index: new LogIndex() },
    start: emptyLogHead(maker.logId),
  };
}

test('it rebuilds the state, and says where the log ends', () => {
  const maker = new LogMaker();
  maker.add('data', [encoded(eventOf(1, 1, 1)), encoded(eventOf(2, 2, 1))]);
  maker.add('mark');
  maker.add('data', [encoded(eventOf(3, 3, 1))]);
  const { replay, start } = replayOf(maker, maker.segment);
  const tail = replayLog(replay, start);
  expect(tail).toMatchObject({
    path,
    offset: maker.segment.length,
    torn: undefined,
    abandoned: undefined,
  });
  expect(tail.head).toEqual(maker.head);
  expect(replay.state.store.appliedPosition).toBe(3);
  expect(replay.state.leafCount).toBe(3);
  expect(replay.index.before(3 as Position)).toBeDefined();
});

test('events that do not make whole commands are damage, at the frame', () => {
  const cases: readonly (readonly [string, readonly LogEvent[]])[] = [
    ['fewer events than it says', [eventOf(1, 1, 2)]],
    ['no metadata', [eventOf(1, 1)]],
    ['metadata in the middle', [eventOf(1, 1, 2), eventOf(1, 2, 1)]],
    ['two positions', [eventOf(1, 1, 2), eventOf(2, 2)]],
    ['no event at all', [eventOf(1, 1, 0)]],
    ['a position outside the frame', [eventOf(9, 1, 1)]],
  ];
  for (const [what, events] of cases) {
    const maker = new LogMaker();
    const { offset, end } = maker.add('data', events.map(encoded));
    const { replay, start } = replayOf(maker, maker.segment);
    let error: { code?: string; file?: string; offset?: number } = {};
    try {
      replayLog(replay, start);
    } catch (thrown) {
      error = thrown as typeof error;
    }
    expect(error, what).toMatchObject({ code: 'STATE_MISMATCH', file: path });
    expect(error.offset).toBeGreaterThanOrEqual(offset);
    expect(error.offset).toBeLessThan(end);
    // Nothing of it is wrong to somebody without a key.
    const walk = new LogWalk({ disk: replay.disk, start });
    while (walk.next() !== undefined);
  }
});

test('events that are not events, or another tenant’s, are damage', () => {
  const bad = [
    { tenant, event: Uint8Array.of(99, 1, 1) },
    { tenant: 2, event: encoded(eventOf(1, 1, 1)).event },
  ];
  for (const made of bad) {
    const maker = new LogMaker();
    maker.add('data', [made]);
    const { replay, start } = replayOf(maker, maker.segment, [systemTenant, tenant, 2 as TenantId]);
    expect(() => replayLog(replay, start)).toThrow(
      expect.objectContaining({ code: 'STATE_MISMATCH' }),
    );
  }
});

test('a section whose key is missing is named, not skipped', () => {
  const maker = new LogMaker();
  maker.add('data', [encoded(eventOf(1, 1, 1))]);
  const { replay, start } = replayOf(maker, maker.segment, [systemTenant]);
  expect(() => replayLog(replay, start)).toThrow(
    expect.objectContaining({ code: 'MISSING_DATA', file: path }),
  );
});
