import { expect, test } from 'vitest';
import { LogMaker } from '../../test/support/log-maker.ts';
import {
  type Op,
  type Position,
  Prng,
  type TenantId,
  type TimestampMicros,
} from '../base/index.ts';
import { encodeEvent, Writer } from '../codec/index.ts';
import { segmentHeaderBytes, segmentPath } from '../log/index.ts';
import { SimDisk } from '../sim/index.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { LogIndex } from './log-index.ts';
import { LogReader } from './log-reader.ts';
import { SecurityMonitor } from './security.ts';

interface Written {
  readonly tenant: TenantId;
  readonly position: Position;
  readonly time: number;
}

/** A log of stream events of three tenants, several a frame, with marks between; `head` is the newest op to read. */
function makeLog(seed: number) {
  const prng = new Prng(seed);
  const maker = new LogMaker();
  const index = new LogIndex();
  const written: Written[] = [];
  const path = segmentPath(1 as Position);
  for (let frame = 0; frame < 25; frame++) {
    const position = maker.head.position;
    const time = maker.head.timestamp + 1_000;
    const events = Array.from({ length: prng.below(4) }, (_unused, number) => {
      const command = {
        tenant: (1 + prng.below(3)) as TenantId,
        position: (position + number + 1) as Position,
        time,
      };
      written.push(command);
      const writer = new Writer();
      encodeEvent(writer, {
        ...command,
        type: 'streamAppended',
        name: 's',
        version: 1,
        data: prng.bytes(prng.below(9_000)),
        command: { time: time as TimestampMicros, eventCount: 1 },
      });
      return { tenant: command.tenant, event: writer.finish() };
    });
    const made = maker.add(events.length === 0 ? 'mark' : 'data', events);
    index.add({
      path,
      offset: made.offset,
      op: made.op,
      position: (position + 1) as Position,
      timestamp: maker.head.timestamp,
    });
  }
  const security = new SecurityMonitor();
  let strangers = 0;
  const hierarchy = {
    sectionKey: (tenant: TenantId) => maker.keyFor(tenant + strangers),
    security,
  } as unknown as KeyHierarchy;
  const image = new Map([[path, maker.segment]]);
  let head = maker.head.op;
  const reader = (): LogReader =>
    new LogReader({ disk: SimDisk.fromImage(image), hierarchy, index, head: () => head });
  return {
    maker,
    written,
    image,
    path,
    reader,
    security,
    setHead: (op: number) => (head = op as Op),
    /** From now on all keys are other tenants'. */
    useWrongKeys: () => (strangers = 100),
  };
}

const tenants = [1, 2, 3] as TenantId[];

test('it yields a tenant’s commands from any position on, in order, once each', () => {
  for (let seed = 1; seed <= 5; seed++) {
    const { written, reader } = makeLog(seed);
    for (const tenant of tenants) {
      for (let from = 0; from <= written.length + 1; from++) {
        const expected = written.filter((one) => one.tenant === tenant && one.position >= from);
        const read = [...reader().commands(tenant, from as Position)];
        expect(read.map(({ position }) => position)).toEqual(
          expected.map(({ position }) => position),
        );
      }
    }
  }
});

test('it names the newest position at or before a time', () => {
  const { written, reader, maker } = makeLog(7);
  for (let time = 0; time <= maker.head.timestamp + 500; time += 250) {
    const last = written.findLast((one) => one.time <= time)?.position ?? 0;
    for (const tenant of tenants) {
      // All that this tenant had by then, and nothing of it later.
      const position = reader().positionAt(tenant, time);
      const own = written.filter((one) => one.tenant === tenant);
      expect(own.filter((one) => one.position <= position)).toEqual(
        own.filter((one) => one.position <= last),
      );
    }
  }
});

test('it stops at the newest frame that may be read, whatever lies behind it', () => {
  const { maker, written, reader, image, path, setHead } = makeLog(9);
  for (const [number, frame] of maker.frames.entries()) {
    if (number === 0 || frame.kind === 'mark') continue;
    const before = maker.frames[number - 1] as typeof frame;
    setHead(before.op);
    // Half a frame, such as a failed write leaves; a changed one; and none.
    const half = maker.segment.fill(0, frame.offset + 60);
    const flipped = maker.segment.fill(0x55, frame.offset + 90, frame.offset + 99);
    const short = maker.segment.subarray(0, frame.offset);
    for (const bytes of [half, flipped, short, maker.segment]) {
      image.set(path, bytes);
      const read = tenants.flatMap((tenant) => [...reader().commands(tenant, 0 as Position)]);
      const readable = written.filter(({ time }) => time <= number * 1_000);
      expect(read.length).toBe(readable.length);
    }
  }
});

test('damage within what may be read is named', () => {
  const { maker, reader, image, path } = makeLog(11);
  const data = maker.frames.filter(({ kind }) => kind === 'data');
  for (const { offset } of data) {
    image.set(path, maker.segment.fill(0x55, offset + 200, offset + 204));
    expect(() => tenants.map((tenant) => [...reader().commands(tenant, 0 as Position)])).toThrow(
      expect.objectContaining({ name: 'CorruptionError', file: path }),
    );
    expect(offset).toBeGreaterThanOrEqual(segmentHeaderBytes);
  }
});

test('what does not open is counted, once a failure', () => {
  const { reader, security, useWrongKeys } = makeLog(5);
  const read = (): unknown => [...reader().commands(tenants[0] as TenantId, 0 as Position)];
  expect(read).not.toThrow();
  expect(() => reader().positionAt(tenants[0] as TenantId, Number.MAX_SAFE_INTEGER)).not.toThrow();
  expect(security.figures.failures).toBe(0);
  useWrongKeys();
  expect(read).toThrow(expect.objectContaining({ code: 'AUTHENTICATION_FAILED' }));
  expect(() => reader().positionAt(tenants[0] as TenantId, Number.MAX_SAFE_INTEGER)).toThrow();
  expect(security.figures).toMatchObject({ failures: 2, byCode: { AUTHENTICATION_FAILED: 2 } });
});
