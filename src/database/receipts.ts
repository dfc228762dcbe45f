/** Makes receipts: events of the log, opened, with the proof that a signed checkpoint covers them. docs/format/receipt.md */
import {
  assert,
  AssertionError,
  type LeafIndex,
  type ObjectId,
  parsePosition,
  type Position,
  type StoreKey,
  systemTenant,
  type TenantId,
  treeOf,
  VerityError,
} from '../base/index.ts';
import { type LogEvent, Reader, type RowEvent, type TableSchema } from '../codec/index.ts';
import type { Engine, OpenedLogEvent, SignedCheckpoint } from '../engine/index.ts';
import { objectKey, schemaOf, tablesObject, tenantsTree } from '../kernel/index.ts';
import {
  formatReceipt,
  proofOfOpened,
  receiptBytesMax,
  type ReceiptEvent,
  type ReceiptKind,
  type StateProof,
  type WholeEvent,
} from '../receipt/index.ts';
import { bytesOfKey } from '../sql/index.ts';
import { eventShowing, showsKey, type ShownColumns, wholeEvent } from './receipt-events.ts';
import { handOversOf } from './hand-overs.ts';
import type { ReceiptOptions } from './types.ts';

const timeStampsMax = 16;
/** Of events, before base64: the text stays below what a receipt may be. */
const eventBytesMax = Math.floor(receiptBytesMax / 2);

/** The receipt of everything that a tenant's commands at some positions recorded. */
export async function positionsReceipt(
  engine: Engine,
  tenant: TenantId,
  range: { readonly from: bigint; readonly to: bigint; readonly isSingle: boolean },
  options: ReceiptOptions,
): Promise<string> {
  engine.checkReadable();
  engine.catchUp();
  const from = parsePosition(range.from);
  const to = parsePosition(range.to);
  if (from > to)
    throw new VerityError('INVALID_ARGUMENT', 'A range of positions ends before it begins.');
  const maker = new ReceiptMaker(engine, tenant, options);
  for (const command of engine.opened.between(tenant, from, to))
    for (const event of command) maker.claim(event);
  if (maker.isEmpty) throw nothingThere(engine, from, to);
  const checkpoint = await checkpointAbove(engine, maker.lastLeaf);
  await engine.proofs.tree.catchUp();
  return maker.receipt(range.isSingle ? 'position' : 'range', checkpoint);
}

/** The receipt of all changes of one row, and of what the state says of it now. */
export async function rowReceipt(
  engine: Engine,
  tenant: TenantId,
  { table, key }: { readonly table: TableSchema; readonly key: StoreKey },
  options: ReceiptOptions,
): Promise<string> {
  engine.checkReadable();
  engine.catchUp();
  const { captured, checkpoint } = await engine.proofs.captureAtState(({ position }) => {
    const versions = engine.state.store.versions(treeOf(tenant, table.id), key);
    return {
      newest: versions.find(({ from }) => from <= position)?.leaf,
      proof: engine.proveRow({ tenant, table: table.id, key: bytesOfKey(key) }),
    };
  });
  await engine.proofs.tree.catchUp();
  const { newest, proof } = captured;
  if (newest === undefined)
    throw new VerityError(
      'INVALID_ARGUMENT',
      `No row of table "${table.name}" has ever had this key. query() with { prove: true } proves that there is none.`,
    );
  const maker = new ReceiptMaker(engine, tenant, { ...options, withKey: true });
  for (const event of changesBefore(engine, tenant, newest)) maker.claim(event);
  return maker.receipt('row', checkpoint, [proof]);
}

/** A row's events from this one back to its first. */
function* changesBefore(
  engine: Engine,
  tenant: TenantId,
  newest: LeafIndex,
): Generator<OpenedLogEvent> {
  for (let leaf: LeafIndex | undefined = newest; leaf !== undefined;) {
    const opened = engine.opened.atLeaf(tenant, leaf);
    assert(opened !== undefined && isRowEvent(opened.event), 'a row names the event that wrote it');
    yield opened;
    leaf = opened.event.previousLeaf;
  }
}

/** The receipt of kind `state`: what the state says of some keys, with the events that wrote the rows that are there. */
export function stateReceipt(
  engine: Engine,
  of: {
    readonly tenant: TenantId;
    /** Of the events that wrote the rows. */
    readonly leaves: readonly LeafIndex[];
    readonly state: readonly StateProof[];
    /** Tables of rows that are not there. */
    readonly tables: readonly ObjectId[];
    /** The columns that are shown, where all events were written so that others can be withheld; all if it is left out. */
    readonly shown?: { readonly table: TableSchema; readonly columns: readonly string[] };
    readonly checkpoint: SignedCheckpoint;
  },
): string {
  const events = of.leaves.map((leaf) => {
    const opened = engine.opened.atLeaf(of.tenant, leaf);
    assert(opened !== undefined, 'a row names the event that wrote it');
    return opened;
  });
  // Of another version columns may have other names.
  const isFielded = events.every(
    ({ event, fields }) =>
      fields !== undefined && isRowEvent(event) && event.schemaVersion === of.shown?.table.version,
  );
  const columns = isFielded && of.shown !== undefined ? { columns: of.shown.columns } : {};
  const maker = new ReceiptMaker(engine, of.tenant, { ...columns, withKey: true });
  for (const event of events) maker.claim(event);
  if (events.length === 0) for (const table of of.tables) maker.define(table, of.checkpoint);
  return maker.receipt('state', of.checkpoint, of.state);
}

/** The newest signed checkpoint if it covers the leaf, or a new one. */
async function checkpointAbove(engine: Engine, leaf: LeafIndex): Promise<SignedCheckpoint> {
  const { newest } = engine.proofs;
  const covers = (checkpoint: SignedCheckpoint): boolean => checkpoint.record.leaf > leaf;
  if (newest !== undefined && covers(newest)) return newest;
  const made = await engine.proofs.checkpoint();
  if (covers(made)) return made;
  throw new VerityError(
    'READ_ONLY',
    'No signed checkpoint covers this position yet, and this handle only reads. Make one with "verity checkpoint", or open the database for writing.',
  );
}

function nothingThere({ committedPosition }: Engine, from: Position, to: Position): VerityError {
  const where = from === to ? `at position ${from}` : `from position ${from} to ${to}`;
  return new VerityError(
    'POSITION_UNKNOWN',
    `The tenant has recorded nothing ${where}; the newest position is ${committedPosition}. Positions of other tenants are not shown.`,
  );
}

interface MakerOptions extends ReceiptOptions {
  /** Keys are shown though their columns are not: the receipt is of these rows. */
  readonly withKey?: boolean;
}

/** Gathers the events of one receipt. */
class ReceiptMaker {
  readonly #engine: Engine;
  readonly #tenant: TenantId;
  readonly #shown: ShownColumns | undefined;
  readonly #showsCommands: boolean;
  readonly #claimed = new Map<LeafIndex, OpenedLogEvent>();
  readonly #context = new Map<LeafIndex, OpenedLogEvent>();
  #bytes = 0;

  constructor(engine: Engine, tenant: TenantId, options: MakerOptions) {
    const { columns, withKey = false, commands = false } = options;
    this.#engine = engine;
    this.#tenant = tenant;
    this.#shown = columns && { names: new Set(columns), withKey };
    this.#showsCommands = commands;
  }

  get isEmpty(): boolean {
    return this.#claimed.size === 0;
  }

  /** The highest one that is claimed. */
  get lastLeaf(): LeafIndex {
    let last = 0;
    for (const leaf of this.#claimed.keys()) last = Math.max(last, leaf);
    return last as LeafIndex;
  }

  claim(opened: OpenedLogEvent): void {
    this.#count(opened);
    this.#claimed.set(opened.leaf, opened);
  }

  /** Adds the newest definition of a table that the checkpoint covers to the context. */
  define(table: ObjectId, checkpoint: SignedCheckpoint): void {
    const tree = treeOf(this.#tenant, tablesObject);
    const versions = this.#engine.state.store.versions(tree, objectKey(table));
    const stored = versions.find(({ leaf }) => leaf < checkpoint.record.leaf);
    assert(stored !== undefined, 'a table was defined before its rows were looked for');
    this.#explain(this.#tenant, stored.leaf);
  }

  receipt(kind: ReceiptKind, checkpoint: SignedCheckpoint, state?: readonly StateProof[]): string {
    const { proofs, timeStamps } = this.#engine;
    const events = ascending(this.#claimed).map((event) => this.#addEvent(kind, event));
    const created = createdAt(this.#engine, this.#tenant);
    if (created !== undefined) this.#explain(systemTenant, created);
    const record = keptAt(this.#engine, systemTenant, checkpoint.record.leaf);
    const leaves = [...this.#claimed.keys(), ...this.#context.keys(), record.leaf];
    leaves.sort((left, right) => left - right);
    const { size, note } = checkpoint;
    proofs.tree.catchUpNow();
    const text = formatReceipt({
      kind,
      checkpoint: {
        handOvers: handOversOf(this.#engine),
        note,
        record: wholeEvent(record) as WholeEvent,
        timeStamps: timeStamps.of(size).slice(0, timeStampsMax),
      },
      events,
      context: ascending(this.#context).map((event) => this.#contextEvent(event)),
      proof: proofOfOpened(size, leaves, (leaf) => proofs.tree.inclusionProof(leaf, size)),
      ...(state !== undefined && { state }),
    });
    if (text.length > receiptBytesMax) throw tooLarge();
    return text;
  }

  /** The event as it is shown; what explains it goes into the context. */
  #addEvent(kind: ReceiptKind, opened: OpenedLogEvent): ReceiptEvent {
    const { event } = opened;
    if (!isRowEvent(event)) return wholeEvent(opened);
    const { table, leaf } = this.#tableOf(event);
    this.#explain(this.#tenant, leaf);
    const shown = this.#shown;
    const made = shown === undefined ? wholeEvent(opened) : eventShowing(opened, table, shown);
    if (kind === 'position' || kind === 'range') {
      const isKeyShown = shown === undefined || showsKey(table, shown);
      if (event.previousLeaf !== undefined && isKeyShown) this.#explainBefore(event.previousLeaf);
    } else if (this.#showsCommands && event.command === undefined) {
      const [first] = this.#engine.opened.atPosition(this.#tenant, event.position);
      if (first !== undefined) this.#explainWith(first);
    }
    return made;
  }

  /** An event that is not claimed: of a table that shows single columns no others than of the claimed ones. */
  #contextEvent(opened: OpenedLogEvent): ReceiptEvent {
    const { event } = opened;
    if (!isRowEvent(event) || opened.fields === undefined) return wholeEvent(opened);
    const { table } = this.#tableOf(event);
    const isBefore = [...this.#claimed.values()].some(
      ({ event: each }) => isRowEvent(each) && each.previousLeaf === opened.leaf,
    );
    if (!isBefore) return eventShowing(opened, table, noColumns);
    return this.#shown === undefined
      ? wholeEvent(opened)
      : eventShowing(opened, table, this.#shown);
  }

  #explainBefore(previous: LeafIndex): void {
    const before = this.#engine.opened.atLeaf(this.#tenant, previous);
    if (before !== undefined) this.#explainWith(before);
  }

  /** Adds a row's event to the context, and its table. */
  #explainWith(opened: OpenedLogEvent): void {
    if (this.#claimed.has(opened.leaf)) return;
    if (isRowEvent(opened.event)) this.#explain(this.#tenant, this.#tableOf(opened.event).leaf);
    this.#keep(opened);
  }

  #explain(tenant: TenantId, leaf: LeafIndex): void {
    if (this.#claimed.has(leaf) || this.#context.has(leaf)) return;
    this.#keep(keptAt(this.#engine, tenant, leaf));
  }

  #keep(opened: OpenedLogEvent): void {
    if (this.#context.has(opened.leaf)) return;
    this.#count(opened);
    this.#context.set(opened.leaf, opened);
  }

  #count({ bytes }: OpenedLogEvent): void {
    this.#bytes += bytes.length;
    if (this.#bytes > eventBytesMax) throw tooLarge();
  }

  /** The definition that a row event names, and the leaf of its event. */
  #tableOf({ object, schemaVersion }: RowEvent): {
    readonly table: TableSchema;
    readonly leaf: LeafIndex;
  } {
    const versions = this.#engine.state.store.versions(
      treeOf(this.#tenant, tablesObject),
      objectKey(object),
    );
    for (const { row, leaf } of versions) {
      const table = row && schemaOf(row);
      if (table?.version === schemaVersion) return { table, leaf };
    }
    throw new AssertionError('Assertion failed: a row event names a version of its table');
  }
}

/** Of a command whose other rows are not shown: who, when and why. */
const noColumns: ShownColumns = { names: new Set(), withKey: false };

function isRowEvent(event: LogEvent): event is RowEvent {
  return 'key' in event;
}

function ascending(events: ReadonlyMap<LeafIndex, OpenedLogEvent>): OpenedLogEvent[] {
  return [...events.values()].toSorted((left, right) => left.leaf - right.leaf);
}

/** Definitions, creations and checkpoint records: many receipts show the same ones. */
const kept = new WeakMap<Engine, Map<LeafIndex, OpenedLogEvent>>();
const keptMax = 256;
const keptBytesMax = 16 << 10;

function keptAt(engine: Engine, tenant: TenantId, leaf: LeafIndex): OpenedLogEvent {
  const known = kept.get(engine) ?? new Map<LeafIndex, OpenedLogEvent>();
  const opened = known.get(leaf) ?? engine.opened.atLeaf(tenant, leaf);
  assert(opened !== undefined, 'what the store names is in the log');
  if (opened.bytes.length > keptBytesMax) return opened;
  if (known.size >= keptMax) known.clear();
  known.set(leaf, opened);
  kept.set(engine, known);
  return opened;
}

/** Leaves of the events that created tenants. */
const creations = new WeakMap<Engine, Map<TenantId, LeafIndex>>();

function createdAt(engine: Engine, tenant: TenantId): LeafIndex | undefined {
  const known = creations.get(engine)?.get(tenant);
  if (known !== undefined) return known;
  const found = new Map<TenantId, LeafIndex>();
  const cursor = engine.state.store.scan(tenantsTree, {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next())
    found.set(new Reader(entry.row).u32() as TenantId, entry.leaf);
  creations.set(engine, found);
  return found.get(tenant);
}

function tooLarge(): VerityError {
  return new VerityError(
    'VALUE_TOO_LARGE',
    'A receipt of so many events takes more than 64 MiB. Ask for fewer positions.',
  );
}
