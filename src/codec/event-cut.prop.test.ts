import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type ColumnType,
  concatBytes,
  type LeafIndex,
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  type TimestampMicros,
  toHex,
  type Value,
} from '../base/index.ts';
import { BlobReference } from './blob-reference.ts';
import { eventCut } from './event-cut.ts';
import { type CommandMetadata, encodeEvent, type RowEvent } from './event.ts';
import { groupedRowCodec } from './row-groups.ts';
import { rowCodec } from './row.ts';
import { Writer } from './writer.ts';

interface Cell {
  readonly type: ColumnType;
  readonly value: Value;
}
const cell = (name: ColumnType['name'], values: fc.Arbitrary<Value>): fc.Arbitrary<Cell> =>
  fc.record({ type: fc.constant({ name }), value: fc.option(values, { freq: 4 }) });
const cells = fc.oneof(
  cell('integer', fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  cell('smallint', fc.integer({ min: -300, max: 300 })),
  cell('bigint', fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n })),
  cell('double precision', fc.double({ noNaN: true })),
  cell('real', fc.float({ noNaN: true })),
  cell('numeric', fc.integer({ min: 1, max: 99_999 }).map(String)),
  cell(
    'text',
    fc.oneof(
      fc.string(),
      fc.integer({ min: 120, max: 20_000 }).map((length) => 'x'.repeat(length)),
    ),
  ),
  cell('boolean', fc.boolean()),
  cell('bytea', fc.uint8Array({ maxLength: 200 })),
  cell('date', fc.integer({ min: -9_999, max: 9_999 })),
  cell('uuid', fc.uuid()),
);
const groups = fc.array(fc.array(cells, { minLength: 1, maxLength: 10 }), {
  minLength: 1,
  maxLength: 4,
});
const command = fc.record(
  {
    time: fc.integer({ min: 0, max: 2 ** 52 }) as fc.Arbitrary<TimestampMicros>,
    eventCount: fc.integer({ min: 1, max: 200_000 }),
    actor: fc.string({ unit: 'binary' }),
    reason: fc.string({ maxLength: 300 }),
    request: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    statement: fc.string({ maxLength: 2_000 }),
    receipt: fc.uint8Array({ minLength: 34, maxLength: 300 }),
  },
  { requiredKeys: ['time', 'eventCount'] },
) as fc.Arbitrary<CommandMetadata>;
const blobs = fc.constant([
  new BlobReference({
    id: new Uint8Array(16).fill(1),
    lengthBytes: 2 ** 21,
    digest: new Uint8Array(32).fill(2),
    isText: true,
  }),
]);
const rowEvents = fc.record(
  {
    position: fc.integer({ min: 1, max: 2 ** 53 - 1 }) as unknown as fc.Arbitrary<Position>,
    tenant: fc.integer({ min: 1, max: 2 ** 32 - 1 }) as unknown as fc.Arbitrary<TenantId>,
    object: fc.integer({ min: 1, max: 2 ** 32 - 1 }) as unknown as fc.Arbitrary<ObjectId>,
    schemaVersion: fc.integer({ min: 1, max: 999 }),
    key: fc
      .uint8Array({ minLength: 1, maxLength: 300 })
      .map((bytes) => String.fromCharCode(...bytes)) as unknown as fc.Arbitrary<StoreKey>,
    command,
    previousLeaf: fc.integer({ min: 0, max: 2 ** 53 - 1 }) as unknown as fc.Arbitrary<LeafIndex>,
    blobs,
  },
  { requiredKeys: ['position', 'tenant', 'object', 'schemaVersion', 'key'] },
);

const encoded = (write: (writer: Writer) => void): Uint8Array => {
  const writer = new Writer(64);
  write(writer);
  return writer.finish();
};
/** A tag, a length and so many bytes of an event. */
const field = (tag: number, bytes: Uint8Array): Uint8Array =>
  encoded((writer) => {
    writer.u8(tag);
    writer.bytes(bytes);
  });
const number = (tag: number, value: number): Uint8Array =>
  field(
    tag,
    encoded((writer) => writer.varint(value)),
  );
const empty = new Uint8Array();

/** The fields made one by one, as docs/format/events.md says, from what the event is. */
function expectedFields(event: RowEvent, row: readonly Cell[][] | undefined): Uint8Array[] {
  const type = event.type === 'rowInserted' ? 3 : event.type === 'rowUpdated' ? 4 : 5;
  const place = encoded((writer) => {
    writer.u8(type);
    writer.varint(event.position);
    writer.varint(event.tenant);
  });
  const fields = headFields(place, event.command);
  fields.push(
    concatBytes(number(2, event.object), number(3, event.schemaVersion)),
    field(
      4,
      Uint8Array.from(event.key, (char) => char.charCodeAt(0)),
    ),
  );
  if (row !== undefined) {
    const parts = row.flatMap((group) => {
      const bitmap = new Uint8Array((group.length + 7) >> 3);
      group.forEach(({ value }, index) => {
        if (value === null) bitmap[index >> 3]! |= 1 << (index & 7);
      });
      const values = group.map(({ type: columnType, value }) =>
        value === null
          ? empty
          : encoded((writer) => rowCodec([columnType]).encode(writer, [value])).subarray(1),
      );
      return [bitmap, ...values];
    });
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const head = encoded((writer) => {
      writer.u8(5);
      writer.varint(length);
    });
    fields.push(head, ...parts);
  }
  fields.push(event.previousLeaf === undefined ? empty : number(6, event.previousLeaf));
  fields.push(
    event.blobs === undefined
      ? empty
      : field(
          24,
          encoded((writer) => {
            writer.raw(new Uint8Array(16).fill(1));
            writer.u32(2 ** 21);
            writer.raw(new Uint8Array(32).fill(2));
          }),
        ),
  );
  return fields;
}

function headFields(place: Uint8Array, metadata: CommandMetadata | undefined): Uint8Array[] {
  if (metadata === undefined) return [place];
  const { actor, reason, request, statement, receipt } = metadata;
  const body = encoded((writer) => {
    writer.varint(metadata.time);
    writer.varint(metadata.eventCount);
    const given = [actor, reason, request, statement, receipt];
    writer.u8(
      given.reduce<number>((sum, part, bit) => sum + (part === undefined ? 0 : 1 << bit), 0),
    );
    if (actor !== undefined) writer.text(actor);
    if (reason !== undefined) writer.text(reason);
    if (request !== undefined) writer.bytes(request);
    if (statement !== undefined) writer.text(statement);
  });
  if (receipt === undefined) return [concatBytes(place, field(1, body))];
  const answer = encoded((writer) => writer.bytes(receipt));
  const length = encoded((writer) => writer.varint(body.length + answer.length));
  return [concatBytes(place, Uint8Array.of(1)), length, body, answer];
}

test('a row event is cut into its documented fields, which joined are the event', () => {
  fc.assert(
    fc.property(
      rowEvents,
      fc.constantFrom('rowInserted', 'rowUpdated', 'rowDeleted'),
      groups,
      (place, type, row) => {
        const columns = row.flatMap((group, index) =>
          group.map((each) => ({ type: each.type, group: index * 2 + 1, missing: null })),
        );
        const isDeleted = type === 'rowDeleted';
        const values = row.flat().map(({ value }) => value);
        const bytes = encoded((writer) => groupedRowCodec(columns).encode(writer, values));
        const event = { ...place, type, ...(!isDeleted && { row: bytes }) } as RowEvent;
        const whole = encoded((writer) => encodeEvent(writer, event));
        const ends: number[] = [];
        const cut = eventCut(columns);
        cut.fieldEnds(whole, ends);
        let start = 0;
        const fields = ends.map((end) => whole.subarray(start, (start = end)));
        expect(fields.map(toHex)).toEqual(
          expectedFields(event, isDeleted ? undefined : row).map(toHex),
        );
        expect(ends.at(-1)).toBe(whole.length);
        expect(ends.length).toBeLessThanOrEqual(cut.overheadBytes);
      },
    ),
    { numRuns: 300 },
  );
});

test('a large value is the field of its column, as a reference', () => {
  const columns = [
    { type: { name: 'integer' as const }, group: 1 },
    { type: { name: 'text' as const }, group: 1 },
    { type: { name: 'boolean' as const }, group: 1 },
  ];
  const reference = new BlobReference({
    id: new Uint8Array(16).fill(3),
    lengthBytes: 2 ** 21,
    digest: new Uint8Array(32).fill(4),
    isText: true,
  });
  const row = encoded((writer) =>
    rowCodec(columns.map(({ type }) => type)).encode(writer, [1, reference as never, true]),
  );
  const event: RowEvent = {
    type: 'rowInserted',
    position: 1 as Position,
    tenant: 1 as TenantId,
    object: 2 as ObjectId,
    schemaVersion: 1,
    key: '\x01' as StoreKey,
    row,
    blobs: [reference],
  };
  const whole = encoded((writer) => encodeEvent(writer, event));
  const ends: number[] = [];
  eventCut(columns).fieldEnds(whole, ends);
  const lengths = ends.map((end, index) => end - (ends[index - 1] ?? 0));
  // Head, table, key, the row's length, bitmap, three columns, no previous leaf, the references.
  expect(lengths).toEqual([3, 6, 3, 2, 1, 1, 57, 1, 0, 54]);
});
