/**
 * Where a row's event is cut into the fields that a commitment of kind 1 is made over (docs/format/events.md, Fields).
 * Joined, in order, they are the event. Lengths that would tell that of a withheld field are fields of their own.
 */
import { assert, type ColumnType } from '../base/index.ts';
import { type RowPart, rowPart } from './row.ts';

/** Cuts the events of rows of one table. */
export interface EventCut {
  /** About so many bytes an event takes in a section besides its own: a length in front of each field. */
  readonly overheadBytes: number;
  /** Appends to `ends` where each field of the encoded row event ends. The row has all of the table's columns, as rows do that are written. */
  fieldEnds(event: Uint8Array, ends: number[]): void;
}

const tags = { command: 1, key: 4, row: 5, previousLeaf: 6 } as const;
const answerFlag = 16;
/** All but the row's: head, three of an answer, table, key, the row's length, previous leaf, blobs. */
const fieldsOfEventMax = 9;

/** `columns` are all that rows have, dropped ones too, each with the group of columns that it was added with. */
export function eventCut(
  columns: readonly { readonly type: ColumnType; readonly group: number }[],
): EventCut {
  const groups = new Map<number, ColumnType[]>();
  for (const { type, group } of columns) {
    const types = groups.get(group);
    if (types === undefined) groups.set(group, [type]);
    else types.push(type);
  }
  const parts = [...groups.values()].map((types) => rowPart(types));
  return {
    overheadBytes: fieldsOfEventMax + columns.length + parts.length,
    fieldEnds: (event, ends) => {
      cutHead(event, ends);
      cutFields(event, parts, ends);
    },
  };
}

/** Where reading goes on. Module variables: this runs for every row that is written. */
let at = 0;

function cutHead(bytes: Uint8Array, ends: number[]): void {
  at = 1;
  readVarint(bytes);
  readVarint(bytes);
  if (bytes[at] !== tags.command) {
    ends.push(at);
    return;
  }
  const tagEnd = at + 1;
  at = tagEnd;
  const length = readVarint(bytes);
  const commandStart = at;
  const commandEnd = at + length;
  readVarint(bytes);
  readVarint(bytes);
  const flags = bytes[at++] as number;
  if ((flags & answerFlag) !== 0) {
    // Actor, reason, request and statement stand before the answer, those that are there.
    for (let flag = 1; flag < answerFlag; flag *= 2) if ((flags & flag) !== 0) skipBytes(bytes);
    ends.push(tagEnd, commandStart, at);
  }
  at = commandEnd;
  ends.push(at);
}

function cutFields(bytes: Uint8Array, parts: readonly RowPart[], ends: number[]): void {
  while ((bytes[at] as number) < tags.key) skipField(bytes);
  ends.push(at);
  assert(bytes[at] === tags.key, 'a row event has a key');
  skipField(bytes);
  ends.push(at);
  if (bytes[at] === tags.row) {
    at += 1;
    const length = readVarint(bytes);
    ends.push(at);
    const rowEnd = at + length;
    for (const part of parts) at = part.cut(bytes, at, ends);
    assert(at === rowEnd, 'a row that is written has all groups of its columns');
  }
  if (bytes[at] === tags.previousLeaf) skipField(bytes);
  ends.push(at);
  // Of the fields that a row event has, only the blobs are left.
  ends.push(bytes.length);
}

function skipField(bytes: Uint8Array): void {
  at += 1;
  skipBytes(bytes);
}

function skipBytes(bytes: Uint8Array): void {
  const length = readVarint(bytes);
  at += length;
}

function readVarint(bytes: Uint8Array): number {
  let value = 0;
  let scale = 1;
  for (;;) {
    const byte = bytes[at++] as number;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return value;
    scale *= 0x80;
  }
}
