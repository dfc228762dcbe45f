/**
 * What the store's unversioned tree keeps of the state hash: the nodes of its tries, the changes that these lack, and how
 * far they are. docs/format/store.md draws the bytes.
 */
import {
  type ObjectId,
  objectOfTree,
  type Position,
  type StoreKey,
  type TenantId,
  type TreeId,
  treeOf,
} from '../base/index.ts';
import { type LogEvent, Reader, Writer } from '../codec/index.ts';
import { schemaOf } from '../kernel/index.ts';
import { leafBytes } from '../log/index.ts';
import { stateHash, stateHashBytes, type TrieNodes, trieSummary } from '../store/index.ts';
import { recordKey, type RecordTree } from './checkpoint-records.ts';

const rowNodesKey = 3;
const tableNodesKey = 4;
const changesKey = 5;
/** 6 was that of tries whose tables were hashed otherwise: these are made anew from the log. */
const markKey = 7;
/** Numbers of the records of changes are used again and again: a key that is no more still takes room. */
const changeRecordsMax = 0x1_0000;

/** Changes are those of the table that was named before. */
const kinds = { written: 0, removed: 1, dropped: 2, table: 3 } as const;
const noTree = -1 as TreeId;

/** How far the tries are. */
export interface StateMark {
  /** What `hash` stands for: the state after this command. */
  readonly position: Position;
  readonly hash: Uint8Array;
  /** Number of the first record of changes that are not in the tries, and how many there are. */
  readonly first: number;
  readonly count: number;
  /** So many of them were being applied: all of these go into the tries before any hash is right again. */
  readonly begun: number;
  /** Changes in those records. */
  readonly waiting: number;
  /** Rows in the tries, roughly: after a crash some may be counted twice. */
  readonly rows: number;
}

export function readMark(records: RecordTree): StateMark | undefined {
  const record = records.get(recordKey(markKey, 0));
  if (record === undefined) return undefined;
  const reader = new Reader(record);
  return {
    position: reader.u64() as Position,
    hash: reader.raw(stateHashBytes).slice(),
    first: reader.u32(),
    count: reader.u32(),
    begun: reader.u32(),
    waiting: reader.u64(),
    rows: reader.u64(),
  };
}

export function writeMark(records: RecordTree, mark: StateMark): void {
  const record = new Writer(80);
  record.u64(mark.position);
  record.raw(mark.hash);
  record.u32(mark.first);
  record.u32(mark.count);
  record.u32(mark.begun);
  record.u64(mark.waiting);
  record.u64(mark.rows);
  records.put(recordKey(markKey, 0), record.finish());
}

export const changesRecordKey = (number: number): StoreKey =>
  recordKey(changesKey, number % changeRecordsMax);

/** The nodes of a table's trie. */
export function rowNodes(records: RecordTree, tree: TreeId): TrieNodes {
  const { tenant, object } = objectOfTree(tree);
  return nodesIn(records, recordKey(rowNodesKey, tenant) + recordKey(0, object).slice(1));
}

/** The nodes of the trie of all tables. */
export const tableNodes = (records: RecordTree): TrieNodes =>
  nodesIn(records, recordKey(tableNodesKey, 0));

/** The state hash that the tries as they are lead to; not of a committed state while records are being applied. */
export const hashOfTries = (records: RecordTree): Uint8Array =>
  stateHash(trieSummary(tableNodes(records)));

function nodesIn(records: RecordTree, start: string): TrieNodes {
  return {
    get: (prefix) => records.get((start + prefix) as StoreKey),
    put: (prefix, node) => records.put((start + prefix) as StoreKey, node),
  };
}

/** A record of changes begins with the position of the last of them, and how many there are. */
export const changesOffset = 12;

/** Gathers what frames do to rows, until it is a record. */
export class ChangeWriter {
  readonly #record = new Writer(4_096);
  #tree = noTree;
  #count = 0;

  constructor() {
    this.#begin();
  }

  get count(): number {
    return this.#count;
  }
  get sizeBytes(): number {
    return this.#record.length;
  }

  /** Adds what the events of a frame did. `leaves`: as in the frame, one for each event. */
  add(events: readonly LogEvent[], leaves: Uint8Array): void {
    const record = this.#record;
    for (let index = 0; index < events.length; index++) {
      const event = events[index] as LogEvent;
      switch (event.type) {
        case 'rowInserted':
        case 'rowUpdated':
          this.#beginChange(kinds.written, event);
          record.binary(event.key);
          record.raw(leaves.subarray(index * leafBytes + 2, (index + 1) * leafBytes));
          break;
        case 'rowDeleted':
          this.#beginChange(kinds.removed, event);
          record.binary(event.key);
          break;
        case 'tableDefined':
          if (schemaOf(event.schema).dropped === true) this.#beginChange(kinds.dropped, event);
          break;
        default:
      }
    }
  }

  /** All that was added, the last of it of this position, as a record; another begins. */
  finish(position: Position): Uint8Array {
    const record = this.#record;
    record.u32At(0, position % 0x1_0000_0000);
    record.u32At(4, Math.floor(position / 0x1_0000_0000));
    record.u32At(8, this.#count);
    const bytes = record.finish();
    this.#begin();
    return bytes;
  }

  /** Goes on with what `other` has gathered. */
  takeOver(other: ChangeWriter): void {
    this.#record.reset();
    this.#record.raw(other.#record.view());
    this.#tree = other.#tree;
    this.#count = other.#count;
  }

  wipe(): void {
    this.#record.wipe();
    this.#begin();
  }

  #begin(): void {
    this.#record.reset();
    this.#record.skip(changesOffset);
    this.#tree = noTree;
    this.#count = 0;
  }

  #beginChange(
    kind: number,
    { tenant, object }: { readonly tenant: TenantId; readonly object: ObjectId },
  ): void {
    const record = this.#record;
    const tree = treeOf(tenant, object);
    if (tree !== this.#tree) {
      record.u8(kinds.table);
      record.u32(tenant);
      record.u32(object);
      this.#tree = tree;
    }
    record.u8(kind);
    this.#count += 1;
  }
}

/** Reads the changes of a record, one at a time and without an object for each. */
export class ChangeReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  /** The tree of the table that was named last. */
  tree = noTree;
  /** Whether it is a change at all, and not the name of a table. */
  isChange = false;
  /** Whether the table was dropped. */
  isDrop = false;
  keyStart = 0;
  keyEnd = 0;
  /** Where the commitment stands; -1 if the row is no more. */
  commitmentAt = -1;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Of the last change. */
  get position(): Position {
    const view = this.#view;
    return (view.getUint32(0, true) + view.getUint32(4, true) * 0x1_0000_0000) as Position;
  }

  get count(): number {
    return this.#view.getUint32(8, true);
  }

  /** Reads the change, or the name of the table of those that follow, at `start`; returns where the next one begins. */
  read(start: number): number {
    const { bytes } = this;
    const kind = bytes[start];
    this.isChange = kind !== kinds.table;
    if (kind === kinds.table) {
      const view = this.#view;
      const tenant = view.getUint32(start + 1, true) as TenantId;
      this.tree = treeOf(tenant, view.getUint32(start + 5, true) as ObjectId);
      return start + 9;
    }
    this.isDrop = kind === kinds.dropped;
    if (this.isDrop) return start + 1;
    const low = bytes[start + 1] as number;
    const isLong = low > 0x7f;
    this.keyStart = start + (isLong ? 3 : 2);
    // Keys are shorter than 2^14.
    this.keyEnd =
      this.keyStart + (isLong ? (low & 0x7f) | ((bytes[start + 2] as number) << 7) : low);
    this.commitmentAt = kind === kinds.written ? this.keyEnd : -1;
    return this.keyEnd + (kind === kinds.written ? stateHashBytes : 0);
  }
}
