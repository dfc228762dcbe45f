import { assert, objectOfTree, type Position, type Scheduler, type TreeId } from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import { deriveKey, type SecretKey } from '../crypto/index.ts';
import {
  StateChanges,
  stateHash,
  stateHashBytes,
  StatePaths,
  trieSummary,
  updateTrie,
} from '../store/index.ts';
import type { StateProof } from '../proof/index.ts';
import type { RecordTree } from './checkpoint-records.ts';
import { asVerityError, closedError } from './commit-errors.ts';
import { lastingKey } from './key-files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { proveRow, type StateRow } from './state-prover.ts';
import {
  ChangeReader,
  ChangeWriter,
  changesOffset,
  changesRecordKey,
  hashOfTries,
  readMark,
  rowNodes,
  tableNodes,
  writeMark,
} from './state-records.ts';

const stateKeyPurpose = 'veritydb/state-hash/v1';

/** The key of the state hash: from the key that outlives rotations, so that equal logs have equal hashes for ever. */
export function stateKey({ keyring, root }: KeyHierarchy): SecretKey {
  const lasting = lastingKey(keyring, root);
  const key = deriveKey(lasting, stateKeyPurpose);
  lasting.wipe();
  return key;
}

/** The state hash (docs/format/state-hash.md) and the position of the last command that it covers. */
export interface StateHash {
  readonly hash: Uint8Array;
  readonly position: Position;
}

/** So many changes are applied at the next checkpoint, whatever the number of rows; */
const changesFew = 4_096;
/** and more of them when they are this share of all rows. */
const changedShare = 1;
/** Where a change stands in a batch: the number of its record times this, and the offset in that. */
const recordSpan = 2 ** 30;
/** Changes gathered in memory before they become a record. */
const recordBytes = 256 << 10;
/** Of changes that are applied as one batch, which takes about three times as much memory. */
const batchBytesMax = 32 << 20;
const batchBytesMin = 1 << 20;
const batchChangesMax = 1 << 20;
/** The same as a share of the memory for pages. */
const batchShare = 1 / 8;
/** Done within a turn of the event loop, in hashes of short messages: one to two milliseconds. */
const turnCost = 800;
/** Paths made at a stretch. */
const pathsAtOnce = 256;
/** What they cost, and the change of a table, in hashes. */
const pathCost = 3;
const tableCost = 16;

export interface StateHasherOptions {
  readonly position?: Position;
  /** Memory for pages of the store. */
  readonly cacheBytes?: number;
}

/** What a batch does to one table. */
interface TableChanges {
  /** Where the changes of its rows stand in the batch: see `recordSpan`. */
  readonly starts: number[];
  isDropped: boolean;
}

/**
 * Keeps the state hash: notes what committed frames do to rows, and, when asked to, brings the tries up to date with
 * that, in slices. What is noted and the tries are records of the store, so both are as bounded in memory as it is.
 *
 * Invariants
 * - Tries and records of changes together are the state at `notedPosition`, at every turn of the event loop, so a
 *   checkpoint may be frozen at any.
 * - `newest` is of a state that was committed, never of one between.
 */
export class StateHasher {
  readonly #records: () => RecordTree;
  readonly #paths: StatePaths;
  readonly #batchBytes: number;
  /** The changes that are in no record yet, or in one that is not full. */
  readonly #open = new ChangeWriter();
  #noted: Position;
  #newest: StateHash;
  #first = 0;
  #count = 0;
  /** Of the records, so many must go into the tries together. */
  #begun = 0;
  /** Changes in the records. */
  #waiting = 0;
  /** Rows in the tries. */
  #rows = 0;
  /** How often the records of another were gone on with. */
  #takenOver = 0;
  #run: Generator<number, void> | undefined;
  #running: Promise<void> | undefined;
  #failure: Error | undefined;

  /** `records`: the store's unversioned tree, which is of `position`, or empty. The key stays the caller's. */
  constructor(
    records: () => RecordTree,
    key: SecretKey,
    { position = 0 as Position, cacheBytes = 0 }: StateHasherOptions = {},
  ) {
    this.#records = records;
    this.#batchBytes = Math.min(batchBytesMax, Math.max(batchBytesMin, cacheBytes * batchShare));
    this.#paths = new StatePaths(key);
    this.#noted = position;
    const mark = readMark(records());
    if (mark === undefined) {
      this.#newest = { hash: hashOfTries(records()), position };
      return;
    }
    this.#newest = { hash: mark.hash, position: mark.position };
    this.#first = mark.first;
    this.#count = mark.count;
    this.#begun = mark.begun;
    this.#waiting = mark.waiting;
    this.#rows = mark.rows;
  }

  /** Whether records are those of a store that keeps the state hash. */
  static isKept(records: RecordTree): boolean {
    return readMark(records) !== undefined;
  }

  /** The newest hash that is known. Throws what stopped it being kept. */
  get newest(): StateHash {
    this.#check();
    // Where no row has changed since, the hash is that of now.
    return this.#isBehind ? this.#newest : { hash: this.#newest.hash, position: this.#noted };
  }
  /** As `newest`; undefined where something stopped it being kept. */
  get known(): StateHash | undefined {
    return this.#failure === undefined ? this.newest : undefined;
  }
  /** Position of the last frame that was noted. */
  get notedPosition(): Position {
    return this.#noted;
  }

  /** A frame was committed, or read from the log. `leaves` as in the frame, one for each event. Never throws. */
  note(events: readonly LogEvent[], leaves: Uint8Array, position: Position): void {
    // Records that were taken over may have noted it already.
    if (this.#failure !== undefined || position <= this.#noted) return;
    const records = this.#takenOver;
    try {
      this.#open.add(events, leaves);
      this.#noted = position;
      if (this.#open.sizeBytes >= recordBytes) this.#close();
    } catch (error) {
      if (records === this.#takenOver) this.#fail(error);
      else this.note(events, leaves, position);
    }
  }

  /** Before the store is frozen: what is in memory becomes records, and the mark is written. Throws what stopped it being kept. */
  keep(): void {
    this.#check();
    this.#close();
    this.#mark();
  }

  /**
   * Whether the tries are to be brought up to date with a checkpoint: when that is done at once, or when so many changes
   * wait that each node that must be written is for several of them. A node costs as much for one as for all of it.
   */
  get isDue(): boolean {
    const waiting = this.#waiting + this.#open.count;
    return waiting <= changesFew || waiting >= this.#rows * changedShare;
  }

  /** Brings the hash up to what is noted now, on this turn. */
  updateNow(): void {
    while (this.#isBehind && this.#failure === undefined) this.#slice(Infinity);
  }

  /** As `updateNow`, if much is noted: for whoever keeps it in memory. */
  relieve(): void {
    if (this.#count * recordBytes >= this.#batchBytes) this.updateNow();
  }

  /**
   * Brings the hash up to what is noted now, or further, in slices of about a millisecond: it ends also where more is noted
   * all the time than a slice is good for. Rejects with what stopped it.
   */
  async update(scheduler: Scheduler): Promise<StateHash> {
    const wanted = this.#noted;
    while (this.newest.position < wanted) {
      this.#running ??= this.#slices(scheduler).finally(() => {
        this.#running = undefined;
      });
      await this.#running;
    }
    return this.newest;
  }

  /**
   * The proof that a row is there, or is not, in the state of `newest`: O(depth) reads. Only in a turn in which nothing is
   * noted that the tries lack, as right after `updateNow`. Throws CorruptionError.
   */
  prove(row: StateRow): StateProof {
    this.#check();
    assert(!this.#isBehind, 'the tries are those of the newest hash');
    return proveRow(this.#records(), this.#paths, { row, hash: this.#newest.hash });
  }

  /** Goes on with the records of `other`, which has noted the same frames, or more, and is used no further. */
  takeOver(other: StateHasher): void {
    assert(other.#noted >= this.#noted, 'the other has noted the same frames, or more');
    this.#noted = other.#noted;
    this.#takenOver += 1;
    this.#run = undefined;
    this.#open.takeOver(other.#open);
    this.#newest = other.#newest;
    this.#first = other.#first;
    this.#count = other.#count;
    this.#begun = other.#begun;
    this.#waiting = other.#waiting;
    this.#rows = other.#rows;
    this.#failure = other.#failure;
    other.stop(closedError());
  }

  /** Keeps nothing any more, tells those who ask why, and overwrites keys. */
  stop(why: Error): void {
    this.#failure ??= why;
    this.#run = undefined;
    this.#open.wipe();
    this.#paths.wipe();
  }

  get #isBehind(): boolean {
    return this.#open.count > 0 || this.#count > 0;
  }

  /** Applies a batch. */
  async #slices(scheduler: Scheduler): Promise<void> {
    while (this.#slice(turnCost)) await new Promise<void>((go) => scheduler.defer(go));
    this.#check();
  }

  /** Works for about so much; whether there is more to do for this batch. */
  #slice(cost: number): boolean {
    const records = this.#takenOver;
    try {
      this.#run ??= this.#batch();
      for (let spent = 0; spent < cost;) {
        const step = this.#run.next();
        if (step.done === true) {
          this.#run = undefined;
          return false;
        }
        spent += step.value;
      }
      return true;
    } catch (error) {
      // The batch was of records that went while it was applied.
      if (records !== this.#takenOver) return this.#isBehind;
      this.#fail(error);
      return false;
    }
  }

  /** Applies the oldest records of changes to the tries. Yields where a checkpoint may be frozen. */
  *#batch(): Generator<number, void> {
    if (this.#count === 0) this.#close();
    const readers: ChangeReader[] = [];
    const tables = new Map<TreeId, TableChanges>();
    let bytes = 0;
    let count = 0;
    const isEnough = (): boolean => bytes >= this.#batchBytes || count >= batchChangesMax;
    while (readers.length < this.#count && (!isEnough() || readers.length < this.#begun)) {
      const record = this.#records().get(changesRecordKey(this.#first + readers.length));
      assert(record !== undefined, 'changes that were noted are there');
      const reader = new ChangeReader(record);
      gather(tables, reader, readers.length);
      readers.push(reader);
      bytes += record.length;
      count += reader.count;
      yield record.length >> 7;
    }
    this.#begun = readers.length;
    const tops = new StateChanges(tables.size);
    for (const [tree, changes] of tables) yield* this.#table(tree, changes, { readers, tops });
    const top = yield* updateTrie(tableNodes(this.#records()), tops);
    for (let number = 0; number < readers.length; number++)
      this.#records().put(changesRecordKey(this.#first + number), undefined);
    this.#count -= readers.length;
    this.#first = this.#count === 0 ? 0 : this.#first + readers.length;
    this.#begun = 0;
    this.#waiting -= count;
    const { position } = readers.at(-1) ?? this.#newest;
    this.#newest = { hash: stateHash(top), position };
  }

  /** Brings one table's trie up to date and adds what becomes of the table to `tops`. */
  *#table(
    tree: TreeId,
    { starts, isDropped }: TableChanges,
    { readers, tops }: { readonly readers: readonly ChangeReader[]; readonly tops: StateChanges },
  ): Generator<number, void> {
    const { tenant, object } = objectOfTree(tree);
    const path = new Uint8Array(stateHashBytes);
    this.#paths.tableInto(path, 0, tenant, object);
    let hash: Uint8Array | undefined;
    // Nothing leads to the rows of a table that was dropped, and its number is never used again.
    if (!isDropped) {
      const nodes = rowNodes(this.#records(), tree);
      const changes = new StateChanges(starts.length);
      for (const [index, start] of starts.entries()) {
        if (index % pathsAtOnce === pathsAtOnce - 1) {
          this.#paths.finishRows();
          yield pathsAtOnce * pathCost;
        }
        const reader = readers[Math.floor(start / recordSpan)] as ChangeReader;
        reader.read(start % recordSpan);
        addRow(changes, reader, this.#paths);
      }
      this.#paths.finishRows();
      const before = trieSummary(nodes).count;
      const summary = yield* updateTrie(nodes, changes);
      this.#rows = Math.max(0, this.#rows + summary.count - before);
      if (summary.count > 0) hash = this.#paths.tableHash(summary);
    }
    const at = tops.add(hash === undefined);
    tops.bytes.set(path, at);
    if (hash !== undefined) tops.bytes.set(hash, at + stateHashBytes);
    yield tableCost;
  }

  /** What is open becomes a record. */
  #close(): void {
    const changes = this.#open.count;
    if (changes === 0) return;
    const record = this.#open.finish(this.#noted);
    this.#records().put(changesRecordKey(this.#first + this.#count), record);
    this.#count += 1;
    this.#waiting += changes;
  }

  #mark(): void {
    const { hash, position } = this.newest;
    writeMark(this.#records(), {
      position,
      hash,
      first: this.#first,
      count: this.#count,
      begun: this.#begun,
      waiting: this.#waiting,
      rows: this.#rows,
    });
  }

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fail(error: unknown): void {
    this.#run = undefined;
    this.#failure ??= asVerityError(error, 'The state hash could not be kept.');
  }
}

/** Notes where the changes of a record stand with their tables; `number`: the record's in the batch. */
function gather(tables: Map<TreeId, TableChanges>, reader: ChangeReader, number: number): void {
  let changes: TableChanges | undefined;
  for (let next = changesOffset; next < reader.bytes.length;) {
    const start = next;
    next = reader.read(start);
    if (!reader.isChange) {
      changes = tables.get(reader.tree) ?? { starts: [], isDropped: false };
      tables.set(reader.tree, changes);
    } else if (reader.isDrop) {
      assert(changes !== undefined, 'a table is named before what happened to it');
      changes.isDropped = true;
    } else changes?.starts.push(number * recordSpan + start);
  }
}

function addRow(changes: StateChanges, reader: ChangeReader, paths: StatePaths): void {
  const { bytes, keyStart, keyEnd, commitmentAt } = reader;
  const at = changes.add(commitmentAt === -1);
  paths.rowLater(changes.bytes, at, bytes, { start: keyStart, end: keyEnd });
  if (commitmentAt === -1) return;
  const commitment = bytes.subarray(commitmentAt, commitmentAt + stateHashBytes);
  changes.bytes.set(commitment, at + stateHashBytes);
}
