/** A small log of a clinic, and what a test says of it: the good receipts that bad ones are made from. */
import type {
  LeafIndex,
  ObjectId,
  Position,
  StoreKey,
  TenantId,
  TimestampMicros,
} from '../../src/base/index.ts';
import { utf8Encode } from '../../src/base/index.ts';
import {
  type CommandMetadata,
  encodeKey,
  type LogEvent,
  rowCodec,
  type RowEvent,
  Writer,
} from '../../src/codec/index.ts';
import { SecretKey } from '../../src/crypto/index.ts';
import { StateHasher } from '../../src/engine/index.ts';
import type { StateProof } from '../../src/receipt/index.ts';
import { ReceiptLog, Signer } from './receipt-log.ts';

const clinic = 1 as TenantId;
export const other = 2 as TenantId;
const patients = 16 as ObjectId;
const system = 0 as TenantId;
const startMicros = 1_790_000_000_000_000;

const columns = [
  { name: 'id', type: { name: 'integer' }, notNull: true },
  { name: 'name', type: { name: 'text' }, notNull: false },
  { name: 'weight', type: { name: 'numeric' }, notNull: false },
] as const;
const codec = rowCodec(columns.map(({ type }) => type));

function keyOf(id: number): StoreKey {
  return encodeKey([{ name: 'integer' }], [id]);
}

function rowOf(id: number, name: string | null, weight: string | null = null): Uint8Array {
  const writer = new Writer();
  codec.encode(writer, [id, name, weight]);
  return writer.finish();
}

export function command(eventCount: number, more: Partial<CommandMetadata> = {}): CommandMetadata {
  return { time: startMicros as TimestampMicros, eventCount, actor: 'dr. jones', ...more };
}

export function definition(at: number, more: { readonly tenant?: TenantId } = {}): LogEvent {
  const schema = {
    id: patients,
    name: 'patients',
    version: 1,
    columns,
    primaryKey: [0],
    indexes: [],
    checks: [],
  };
  return {
    type: 'tableDefined',
    position: at as Position,
    tenant: more.tenant ?? clinic,
    command: command(1, { statement: 'CREATE TABLE patients (…)' }),
    object: patients,
    schema: utf8Encode(JSON.stringify(schema)),
  };
}

export interface RowChange {
  readonly position: number;
  readonly id: number;
  /** null: deleted. */
  readonly name: string | null;
  readonly weight?: string;
  readonly previous?: number;
  readonly command?: CommandMetadata;
  readonly tenant?: TenantId;
}

export function rowEvent(change: RowChange): RowEvent {
  const { position, id, name, weight, previous } = change;
  const isFirst = previous === undefined;
  return {
    type: name === null ? 'rowDeleted' : isFirst ? 'rowInserted' : 'rowUpdated',
    position: position as Position,
    tenant: change.tenant ?? clinic,
    ...(change.command !== undefined && { command: change.command }),
    object: patients,
    schemaVersion: 1,
    key: keyOf(id),
    ...(name !== null && { row: rowOf(id, name, weight) }),
    ...(previous !== undefined && { previousLeaf: previous as LeafIndex }),
  };
}

export function record(
  at: number,
  log: ReceiptLog,
  more: { readonly state?: Uint8Array } = {},
): LogEvent {
  return {
    type: 'checkpoint',
    position: at as Position,
    tenant: system,
    command: command(1),
    size: log.size,
    root: log.root(),
    covered: (at - 1) as Position,
    chainHash: new Uint8Array(32).fill(7),
    ...(more.state !== undefined && {
      state: { position: (at - 1) as Position, hash: more.state },
    }),
    keyNumber: 1,
  };
}

/** The state of a log's rows. */
class RowsState {
  readonly #records = new Map<StoreKey, Uint8Array>();
  readonly #hasher = new StateHasher(
    () => ({
      get: (key) => this.#records.get(key)?.slice(),
      put: (key, record) => {
        if (record === undefined) this.#records.delete(key);
        else this.#records.set(key, record.slice());
      },
    }),
    new SecretKey(new Uint8Array(32).fill(3)),
  );

  /** All events of a position. */
  note(events: readonly RowEvent[], commitments: readonly Uint8Array[]): void {
    const leaves = new Uint8Array(events.length * 34);
    commitments.forEach((commitment, index) => leaves.set(commitment, index * 34 + 2));
    this.#hasher.note(events, leaves, (events[0] as RowEvent).position);
    this.#hasher.updateNow();
  }

  get hash(): Uint8Array {
    return this.#hasher.newest.hash;
  }

  prove(id: number, tenant: TenantId = clinic): StateProof {
    const key = Uint8Array.from(keyOf(id), (char) => char.charCodeAt(0));
    return this.#hasher.prove({ tenant, table: patients, key });
  }
}

export interface World {
  readonly log: ReceiptLog;
  /** The proof of the row of this id, at the record's state. */
  readonly prove: (id: number) => StateProof;
  readonly signer: Signer;
  /** Leaves: tenant created, table defined, three inserts of one command, an update, a deletion, a stranger's insert. */
  readonly leaf: Readonly<
    Record<
      | 'created'
      | 'defined'
      | 'anna'
      | 'ben'
      | 'cleo'
      | 'annaAgain'
      | 'benGone'
      | 'stranger'
      | 'record',
      number
    >
  >;
}

/** Everybody's positions are 1 to 7, the record's is 8. */
export function clinicWorld(
  options: { readonly origin?: string; readonly secret?: number; readonly salt?: string } = {},
): World {
  const { origin = 'clinic.example', secret = 1, salt = 'salt' } = options;
  const signer = new Signer(origin, secret);
  const log = new ReceiptLog(salt);
  const state = new RowsState();
  const addRows = (...changes: RowChange[]): number[] => {
    const events = changes.map(rowEvent);
    const leaves = events.map((event) => log.add(event));
    state.note(
      events,
      leaves.map((leaf) => log.commitment(leaf)),
    );
    return leaves;
  };
  const created = log.add({
    type: 'tenantCreated',
    position: 1 as Position,
    tenant: system,
    command: command(1),
    created: clinic,
    name: 'clinic',
  });
  const defined = log.add(definition(2));
  const inserts = command(3, {
    reason: 'import',
    statement: 'INSERT INTO patients VALUES ($1, $2)',
  });
  const [anna = 0, ben = 0, cleo = 0] = addRows(
    { position: 3, id: 1, name: 'Anna', weight: '61.5', command: inserts },
    { position: 3, id: 2, name: 'Ben' },
    { position: 3, id: 3, name: 'Cleo' },
  );
  const [stranger = 0] = addRows({
    position: 4,
    id: 9,
    name: 'Zoe',
    command: command(1),
    tenant: other,
  });
  const [annaAgain = 0] = addRows({
    position: 5,
    id: 1,
    name: 'Anna Maria',
    previous: anna,
    command: command(1, { reason: 'married' }),
  });
  const [benGone = 0] = addRows({
    position: 6,
    id: 2,
    name: null,
    previous: ben,
    command: command(1),
  });
  const last = log.add(record(7, log, { state: state.hash }));
  return {
    log,
    signer,
    prove: (id) => state.prove(id),
    leaf: { created, defined, anna, ben, cleo, annaAgain, benGone, stranger, record: last },
  };
}
