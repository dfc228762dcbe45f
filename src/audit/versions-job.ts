/**
 * Holding a checkpoint's rows against the log, without making them anew. The events of a position are evolved on what the
 * checkpoint says of the position before; if that yields, over all positions, exactly the versions that the checkpoint has, all of them are
 * those of a rebuild: what the first position makes rests on nothing, and what each further one makes rests on versions that are right.
 */
import {
  type LeafIndex,
  objectOfTree,
  type Position,
  type StoreKey,
  type TimestampMicros,
  type TreeId,
  type TenantId,
} from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import { applyEvents, corruption, decodeFrame, type KeyHierarchy } from '../engine/index.ts';
import { catalogObject, definitionsObject, KernelState, tablesObject } from '../kernel/index.ts';
import {
  checkFrame,
  decodeFrameHeader,
  decodeSegmentHeader,
  type DurableFrame,
  isProblem,
  segmentHeaderBytes,
} from '../log/index.ts';
import type {
  Cursor,
  KeyRange,
  ReadView,
  Store,
  StoreChange,
  StoredRow,
  StoreVersion,
  TreeStore,
} from '../store/index.ts';
import { FrameLinks, noLink } from './row-links.ts';
import { VersionSums, type VersionSum } from './version-sums.ts';

/** Of so many versions that were made, one key is told, so that the walk over them can be divided. */
const sampledEvery = 1_024;

export interface ReplayJob {
  readonly kind: 'replay';
  readonly path: string;
  /** Positions up to here are not looked at. */
  readonly after: Position;
  /** Positions behind it are not in the checkpoint. */
  readonly upTo: Position;
  /** Under which versions are summed: 32 bytes. */
  readonly sumKey: Uint8Array;
  /** The last frame of the log, which was found good. */
  readonly durable: DurableFrame;
}

export interface ReplayedVersions {
  readonly sums: ReadonlyMap<TreeId, VersionSum>;
  /** Some of the keys that the segment's commands wrote. */
  readonly sampled: ReadonlyMap<TreeId, readonly StoreKey[]>;
  /** Trees that events of rows wrote to, whose links are in the sums. */
  readonly rowTrees: ReadonlySet<TreeId>;
}

export interface WalkJob {
  readonly kind: 'walk';
  readonly tree: TreeId;
  /** Whether rows lie in it. */
  readonly isRows: boolean;
  readonly from?: StoreKey;
  readonly to?: StoreKey;
  readonly after: Position;
  readonly upTo: Position;
  readonly sumKey: Uint8Array;
  readonly durable: DurableFrame;
}

export interface WalkedVersions {
  readonly sums: ReadonlyMap<TreeId, VersionSum>;
}

export interface ReplayReading {
  /** The whole segment, until the piece is done. */
  readonly bytes: Uint8Array;
  readonly hierarchy: KeyHierarchy;
  readonly store: TreeStore;
}

/** Sums up the versions that a segment's commands make; yields the bytes that each step went through. Throws CorruptionError. */
export function* replaySegment(
  { bytes, hierarchy, store }: ReplayReading,
  job: ReplayJob,
): Generator<number, ReplayedVersions> {
  const header = decodeSegmentHeader(bytes);
  if (typeof header === 'string') throw changed(job.path, 0);
  const position = (header.firstPosition - 1) as Position;
  const target = new SummingStore(store, position, job);
  const state = new KernelState(target, {
    position,
    leafCount: header.firstLeaf,
    time: 0 as TimestampMicros,
    nextTenant: 1 as TenantId,
    countersOf: () => undefined,
  });
  for (let offset = segmentHeaderBytes; offset < bytes.length;) {
    const frameHeader = decodeFrameHeader(bytes, offset);
    if (typeof frameHeader === 'string' || frameHeader.lastPosition > job.upTo) break;
    const frame = checkFrame(bytes.subarray(offset, offset + frameHeader.frameLength), frameHeader);
    if (isProblem(frame)) throw changed(job.path, offset + frame.offset);
    const events = decodeFrame(hierarchy, frame);
    if (isProblem(events))
      throw corruption(job.path, { ...events, offset: offset + events.offset });
    target.begin(events, frameHeader.firstLeaf);
    const steps = applyEvents(state, events);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    if (!step.value) throw changed(job.path, offset);
    offset += frameHeader.frameLength;
    yield frameHeader.frameLength;
  }
  return { sums: target.sums.sums, sampled: target.sampled, rowTrees: target.rowTrees };
}

/** Sums up the versions of a range of a checkpoint's tree; yields a cost in bytes now and then. Throws CorruptionError. */
export function* walkVersions(store: TreeStore, job: WalkJob): Generator<number, WalkedVersions> {
  const sums = new VersionSums(job.sumKey);
  const range: KeyRange = {
    ...(job.from !== undefined && { from: job.from }),
    ...(job.to !== undefined && { to: job.to }),
  };
  const { past } = store.viewAt(job.upTo);
  const cursor = past?.histories(job.tree, range);
  for (let entry = cursor?.next(); entry !== undefined; entry = cursor?.next()) {
    const { key, versions } = entry;
    for (const [index, { from, leaf, row }] of versions.entries()) {
      // Newest first: what is older need not be looked at.
      if (from <= job.after) break;
      const link = job.isRows ? (versions[index + 1]?.leaf ?? noLink) : undefined;
      sums.add(job.tree, { key, from, leaf, row, link });
    }
    yield 1_024;
  }
  return { sums: sums.sums };
}

function changed(path: string, offset: number): Error {
  const what = 'Bytes that changed while they were read lie';
  return corruption(path, { code: 'CHECKSUM_MISMATCH', offset, what });
}

/** Shows a checkpoint as of the position before the next, and sums up what is applied to it. */
class SummingStore implements Store {
  readonly sums: VersionSums;
  readonly sampled = new Map<TreeId, StoreKey[]>();
  readonly rowTrees = new Set<TreeId>();
  readonly #store: TreeStore;
  readonly #definitions = new Map<TreeId, Map<StoreKey, StoredRow>>();
  readonly #after: Position;
  #position: Position;
  #count = 0;
  #links: FrameLinks | undefined;

  constructor(store: TreeStore, position: Position, { sumKey, after }: ReplayJob) {
    this.#store = store;
    this.#position = position;
    this.sums = new VersionSums(sumKey);
    this.#after = after;
  }

  get appliedPosition(): Position {
    return this.#position;
  }

  /** The next positions are those of a frame with these events. */
  begin(events: readonly LogEvent[], firstLeaf: LeafIndex): void {
    this.#links = new FrameLinks(events, firstLeaf, (tree) => this.rowTrees.add(tree));
  }

  apply(position: Position, batch: readonly StoreChange[]): void {
    this.#position = position;
    const linkOf = this.#links?.take(position);
    // The later of two changes of a key is the version of the position.
    const settled = batch.length === 1 ? batch : lastOfEach(batch);
    for (const change of settled) {
      const { tree, key, leaf, row } = change;
      if (position > this.#after)
        this.sums.add(tree, { key, from: position, leaf, row, link: linkOf?.(tree, key) });
      if (isDefinitions(tree)) this.#definitions.clear();
      if (++this.#count % sampledEvery === 0) this.#sample(tree, key);
    }
  }

  get(tree: TreeId, key: StoreKey): StoredRow | undefined {
    if (!isDefinitions(tree)) return this.#store.getAt(tree, key, this.#position);
    // What is made of a definition is kept by the identity of its bytes.
    const known = this.#definitions.get(tree)?.get(key);
    if (known !== undefined) return known;
    const row = this.#store.getAt(tree, key, this.#position);
    if (row === undefined) return undefined;
    const keys = this.#definitions.get(tree) ?? new Map<StoreKey, StoredRow>();
    this.#definitions.set(tree, keys.set(key, row));
    return row;
  }

  getAt(tree: TreeId, key: StoreKey, position: Position): StoredRow | undefined {
    return this.#store.getAt(tree, key, position);
  }

  latest(tree: TreeId, key: StoreKey): StoreVersion | undefined {
    return this.versions(tree, key)[0];
  }

  versions(tree: TreeId, key: StoreKey): readonly StoreVersion[] {
    return this.#store.versions(tree, key).filter(({ from }) => from <= this.#position);
  }

  scan(tree: TreeId, range: KeyRange): Cursor {
    return this.#store.scanAt(tree, range, this.#position);
  }

  scanAt(tree: TreeId, range: KeyRange, position: Position): Cursor {
    return this.#store.scanAt(tree, range, position);
  }

  viewAt(position: Position): ReadView {
    return this.#store.viewAt(position);
  }

  changedSince(tree: TreeId, range: KeyRange, position: Position): boolean {
    return this.#store.changedSince(tree, range, position);
  }

  reach(): void {}

  #sample(tree: TreeId, key: StoreKey): void {
    const keys = this.sampled.get(tree);
    if (keys === undefined) this.sampled.set(tree, [key]);
    else keys.push(key);
  }
}

function lastOfEach(batch: readonly StoreChange[]): Iterable<StoreChange> {
  const byTree = new Map<TreeId, Map<StoreKey, StoreChange>>();
  for (const change of batch) {
    const keys = byTree.get(change.tree) ?? new Map<StoreKey, StoreChange>();
    byTree.set(change.tree, keys.set(change.key, change));
  }
  return [...byTree.values()].flatMap((keys) => [...keys.values()]);
}

const definitionObjects: ReadonlySet<number> = new Set([
  catalogObject,
  tablesObject,
  definitionsObject,
]);
const isDefinitions = (tree: TreeId): boolean => definitionObjects.has(objectOfTree(tree).object);
