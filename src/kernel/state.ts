import {
  assert,
  CorruptionError,
  type LeafIndex,
  limits,
  type ObjectId,
  type Position,
  type TenantId,
  type TimestampMicros,
  VerityError,
} from '../base/index.ts';
import { type CommandMetadata, type LogEvent, rowIdOfKey } from '../codec/index.ts';
import type { ParsedStatement, PreparedStatement } from '../sql/index.ts';
import { indexesOf, prepare } from '../sql/index.ts';
import type { ReadView, Store, StoreChange } from '../store/index.ts';
import type { ReadBlob } from './blobs.ts';
import { changesOf } from './evolve.ts';
import { catalogOf, catalogVersion, firstUserObject, schemaOf, tableById } from './objects.ts';
import { Overlay } from './overlay.ts';
import { PlannerStatistics } from './planner-statistics.ts';
import { RecentChanges } from './recent-changes.ts';
import { requestChange } from './requests.ts';

interface PreparedAt {
  readonly version: Position;
  readonly prepared: PreparedStatement;
  /** When the log has this many events the plan is made anew, by what the tables hold then. */
  readonly until: number;
}

interface TenantCounters {
  nextObject: number;
  nextRow: number;
}

/** A command that is decided and not committed. */
export interface DecidedChanges {
  readonly position: Position;
  readonly changes: readonly StoreChange[];
}

/** A tenant's counters as a checkpoint keeps them. */
export interface CountersOfTenant extends Readonly<TenantCounters> {
  readonly tenant: TenantId;
}

/** What a checkpoint keeps of the state, beside the store and the tenants' counters. */
export interface KernelSnapshot {
  /** The newest committed position. */
  readonly position: Position;
  readonly leafCount: LeafIndex;
  readonly time: TimestampMicros;
  readonly nextTenant: TenantId;
  /** A tenant's counters, asked for at its first use; undefined if the checkpoint has none. */
  readonly countersOf: (tenant: TenantId) => CountersOfTenant | undefined;
}

const rowIdKeyLength = 8;

const noBlobs: ReadBlob = () => {
  throw new VerityError('IO_ERROR', 'Values that are kept as blobs cannot be read from here.');
};

/**
 * The kernel's state: the committed store, the overlay of decided but uncommitted changes, and the
 * counters. Counters only grow; ids may have gaps, leaf indexes may not.
 */
export class KernelState {
  readonly store: Store;
  readonly overlay: Overlay;
  /** What was committed while transactions were about. */
  readonly recent = new RecentChanges();
  /** How values that rows do not hold are read; the shell's to set. */
  readBlob: ReadBlob = noBlobs;
  #nextPosition = 1 as Position;
  #leafCount = 0 as LeafIndex;
  #time = 0 as TimestampMicros;
  #nextTenant = 1;
  readonly #counters = new Map<TenantId, TenantCounters>();
  /** Those that no checkpoint has. */
  readonly #changed = new Set<TenantId>();
  readonly #snapshot: KernelSnapshot | undefined;
  readonly #prepared = new Map<TenantId, WeakMap<ParsedStatement, PreparedAt>>();

  readonly #statistics: PlannerStatistics;

  /** A state to go on from what a checkpoint kept, or an empty one. */
  constructor(store: Store, snapshot?: KernelSnapshot) {
    this.store = store;
    this.overlay = new Overlay(store);
    this.#statistics = new PlannerStatistics(store);
    this.#snapshot = snapshot;
    if (snapshot === undefined) return;
    assert(store.appliedPosition === snapshot.position, 'store and counters are of one position');
    this.#nextPosition = (snapshot.position + 1) as Position;
    this.#leafCount = snapshot.leafCount;
    this.#time = snapshot.time;
    this.#nextTenant = snapshot.nextTenant;
  }

  /** The position that the next accepted command gets. */
  get nextPosition(): Position {
    return this.#nextPosition;
  }
  /** The newest position decided. */
  get decidedPosition(): Position {
    return (this.#nextPosition - 1) as Position;
  }
  /** Events decided so far: the next leaf index. */
  get leafCount(): LeafIndex {
    return this.#leafCount;
  }
  get nextTenant(): TenantId {
    return this.#nextTenant as TenantId;
  }

  /** The time of the next command: the clock's, but never before the last command's. */
  timeAt(now: TimestampMicros): TimestampMicros {
    return now > this.#time ? now : this.#time;
  }

  /**
   * The counters that changed since the last call, for a checkpoint. Those of commands that are decided but not
   * committed count too: ids may have gaps.
   */
  takeChangedCounters(): CountersOfTenant[] {
    const changed = [...this.#changed].map((tenant) => ({ tenant, ...this.#countersOf(tenant) }));
    this.#changed.clear();
    return changed;
  }

  /** The next checkpoint is of other trees, which lack what was taken before. */
  retakeCounters(): void {
    for (const tenant of this.#counters.keys()) this.#changed.add(tenant);
  }

  /** Draws an id for a new table or index; ids of refused commands are lost. */
  allocateObject(tenant: TenantId): ObjectId {
    const counters = this.#countersOf(tenant);
    if (counters.nextObject >= limits.objectsPerTenantMax) {
      throw new VerityError(
        'COMMAND_TOO_LARGE',
        `The tenant has used up its ${limits.objectsPerTenantMax} tables and indexes. Use another tenant.`,
      );
    }
    counters.nextObject += 1;
    this.#changed.add(tenant);
    return (counters.nextObject - 1) as ObjectId;
  }

  /** Draws a hidden row id; ids of refused commands are lost. */
  allocateRow(tenant: TenantId): number {
    const counters = this.#countersOf(tenant);
    counters.nextRow += 1;
    this.#changed.add(tenant);
    return counters.nextRow - 1;
  }

  /** The statement prepared against the tenant's definitions as `view` shows them; kept as long as the parsed statement is. */
  prepare(tenant: TenantId, statement: ParsedStatement, view: ReadView): PreparedStatement {
    const version = catalogVersion(view, tenant);
    let cache = this.#prepared.get(tenant);
    if (cache === undefined) {
      cache = new WeakMap();
      this.#prepared.set(tenant, cache);
    }
    const known = cache.get(statement);
    if (known !== undefined && known.version === version && this.#leafCount < known.until)
      return known.prepared;
    const statistics = this.#statistics.reader(tenant, this.#leafCount);
    const catalog = { ...catalogOf(view, tenant), statistics: statistics.read };
    const prepared = prepare(statement, catalog);
    cache.set(statement, { version, prepared, until: statistics.until });
    return prepared;
  }

  /**
   * As `evolve`, of a new command, with everything read that committing it needs. Throws CorruptionError where that is
   * damaged: then the command is undone, by way of `waiting`: all commands that are decided and not committed, in order.
   */
  evolveNew(events: readonly LogEvent[], waiting: () => Iterable<DecidedChanges>): StoreChange[] {
    const leafCount = this.#leafCount;
    try {
      const changes = this.#changesOf(events);
      this.store.reach(changes);
      this.#advance(events);
      return changes;
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.#leafCount = leafCount;
      this.overlay.drop();
      for (const { position, changes } of waiting()) {
        for (const change of changes) this.overlay.put(position, change);
      }
      throw error;
    }
  }

  /**
   * Applies the events of one command to the overlay and the counters; returns the store changes, to be
   * applied when the command is committed. Throws CorruptionError when a page of the store is damaged.
   */
  evolve(events: readonly LogEvent[]): StoreChange[] {
    const changes = this.#changesOf(events);
    this.#advance(events);
    return changes;
  }

  #changesOf(events: readonly LogEvent[]): StoreChange[] {
    const first = events[0];
    assert(first?.command !== undefined, 'the first event of a command carries its metadata');
    assert(first.position >= this.#nextPosition, 'positions strictly increase');
    const changes = this.#evolveOne(first, first.command);
    for (let index = 1; index < events.length; index++) {
      const event = events[index] as LogEvent;
      assert(event.position === first.position, 'the events of a command share its position');
      for (const change of this.#evolveOne(event, first.command)) changes.push(change);
    }
    return changes;
  }

  #advance([first]: readonly LogEvent[]): void {
    assert(first?.command !== undefined, 'a command has a first event');
    this.#nextPosition = (first.position + 1) as Position;
    this.#time = this.timeAt(first.command.time);
  }

  #evolveOne(event: LogEvent, command: CommandMetadata): StoreChange[] {
    const changes = changesOf(event, this.#leafCount, this.overlay, command);
    if (event.command?.receipt !== undefined) {
      const remembered = requestChange(event.tenant, event.command, this.#leafCount);
      if (remembered !== undefined) changes.push(remembered);
    }
    for (const change of changes) this.overlay.put(event.position, change);
    this.#count(event);
    this.#leafCount = (this.#leafCount + 1) as LeafIndex;
    return changes;
  }

  /** Moves the changes of a durable command from the overlay into the store. */
  commit(position: Position, changes: readonly StoreChange[]): void {
    this.commitAll([{ position, changes }]);
  }

  /** As `commit`, of several commands, in order. */
  commitAll(commands: readonly DecidedChanges[]): void {
    for (const { position, changes } of commands) {
      this.store.apply(position, changes);
      this.recent.add(position, changes);
    }
    this.overlay.settle(commands);
  }

  /** Forgets everything decided but not committed. Positions are not used again. */
  drop(committedLeafCount: LeafIndex): void {
    assert(committedLeafCount <= this.#leafCount, 'what is committed was decided');
    this.overlay.drop();
    this.#leafCount = committedLeafCount;
  }

  /** Goes back to the end of a frame, behind which one was applied in part: that is applied again. */
  rewind(to: { readonly position: Position; readonly leafCount: LeafIndex }): void {
    this.overlay.drop();
    this.#leafCount = to.leafCount;
    this.#nextPosition = (to.position + 1) as Position;
  }

  #count(event: LogEvent): void {
    if (event.type === 'tenantCreated') {
      this.#nextTenant = Math.max(this.#nextTenant, event.created + 1);
    } else if (event.type === 'tableDefined') {
      const counters = this.#countersOf(event.tenant);
      const indexes = indexesOf(schemaOf(event.schema));
      counters.nextObject = Math.max(
        counters.nextObject,
        event.object + 1,
        ...indexes.map((index) => index.id + 1),
      );
      this.#changed.add(event.tenant);
    } else if (event.type === 'rowInserted' && event.key.length === rowIdKeyLength) {
      const table = tableById(this.overlay, event.tenant, event.object);
      if (table === undefined || table.primaryKey.length > 0) return;
      const counters = this.#countersOf(event.tenant);
      counters.nextRow = Math.max(counters.nextRow, rowIdOfKey(event.key) + 1);
      this.#changed.add(event.tenant);
    }
  }

  #countersOf(tenant: TenantId): TenantCounters {
    let counters = this.#counters.get(tenant);
    if (counters === undefined) {
      const { nextObject = firstUserObject, nextRow = 1 } =
        this.#snapshot?.countersOf(tenant) ?? {};
      counters = { nextObject, nextRow };
      this.#counters.set(tenant, counters);
    }
    return counters;
  }
}
