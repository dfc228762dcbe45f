import {
  parsePosition,
  type Position,
  type StoreKey,
  type TenantId,
  treeOf,
  type Value,
} from '../base/index.ts';
import {
  blobOf,
  type CommandMetadata,
  decodeKey,
  type LogEvent,
  type RowEvent,
  rowIdOfKey,
  type TableSchema,
} from '../codec/index.ts';
import type { Engine, LoggedCommand } from '../engine/index.ts';
import { schemaOf, tableById } from '../kernel/index.ts';
import { jsConverter, tableRowCodec } from '../sql/index.ts';
import type { TimestampForm } from './results.ts';
import type { Change, Row } from './types.ts';

interface FeedScope {
  readonly engine: Engine;
  readonly tenant: TenantId;
  readonly timestamps: TimestampForm;
}

const kinds = { rowInserted: 'insert', rowUpdated: 'update', rowDeleted: 'delete' } as const;
const followPollMs = 100;

/** The log as a feed of changes. */
export class ChangeFeed {
  readonly #scope: FeedScope;

  constructor(scope: FeedScope) {
    this.#scope = scope;
  }

  /** All changes from a position on; with `follow`, waits for more instead of ending. */
  async *changes(options: {
    readonly from?: bigint;
    readonly follow?: boolean;
    readonly signal?: AbortSignal;
  }): AsyncGenerator<Change, undefined> {
    const { engine, tenant } = this.#scope;
    let next = options.from === undefined ? (0 as Position) : parsePosition(options.from);
    for (;;) {
      engine.checkReadable();
      engine.catchUp();
      for (const command of engine.reader.commands(tenant, next)) {
        if (options.signal?.aborted === true) return undefined;
        yield* this.#changesOf(command);
        next = (command.position + 1) as Position;
      }
      if (options.follow !== true || options.signal?.aborted === true) return undefined;
      await this.#nextCommit(next, options.signal);
    }
  }

  /** The changes of one row, oldest first. */
  history(table: TableSchema, key: StoreKey): Change[] {
    const { engine, tenant } = this.#scope;
    const versions = engine.state.store.versions(treeOf(tenant, table.id), key).toReversed();
    const changes: Change[] = [];
    for (const { from } of versions) {
      const command = engine.reader.commands(tenant, from).next().value;
      if (command === undefined || command.position !== from) continue;
      for (const change of this.#changesOf(
        command,
        (event) => event.key === key && event.object === table.id,
      )) {
        changes.push(change);
      }
    }
    return changes;
  }

  *#changesOf(command: LoggedCommand, wanted?: (event: RowEvent) => boolean): Generator<Change> {
    const metadata = command.events[0]?.event.command;
    if (metadata === undefined) return;
    // A command may change a row more than once; the store knows only how it left it.
    const earlier = new Map<string, Uint8Array | undefined>();
    for (const { event } of command.events) {
      if (isRowEvent(event)) {
        if (wanted !== undefined && !wanted(event)) continue;
        const row = `${event.object} ${event.key}`;
        yield this.#rowChange(
          event,
          metadata,
          earlier.has(row) ? { row: earlier.get(row) } : undefined,
        );
        earlier.set(row, event.row);
      } else if (wanted === undefined) {
        const change = this.#otherChange(event, metadata);
        if (change !== undefined) yield change;
      }
    }
  }

  /** `earlier`: what the same command made of the row before, if it did. */
  #rowChange(
    event: RowEvent,
    metadata: CommandMetadata,
    earlier: { readonly row: Uint8Array | undefined } | undefined,
  ): Change {
    const { engine, tenant } = this.#scope;
    const { store } = engine.state;
    const table = tableById(store.viewAt(event.position), tenant, event.object) as TableSchema;
    const stored = (): Uint8Array | undefined =>
      store.getAt(treeOf(tenant, table.id), event.key, (event.position - 1) as Position)?.row;
    const before = earlier === undefined ? stored() : earlier.row;
    return {
      ...common(event.position, metadata),
      kind: kinds[event.type],
      table: table.name,
      key: this.#keyOf(table, event.key),
      before: before === undefined ? undefined : this.#row(table, before),
      after: event.row === undefined ? undefined : this.#row(table, event.row),
    };
  }

  #otherChange(event: LogEvent, metadata: CommandMetadata): Change | undefined {
    if (event.type === 'tableDefined') {
      const schema = schemaOf(event.schema);
      return {
        ...common(event.position, metadata),
        kind: definitionKind(schema),
        table: schema.name,
        key: {},
        before: undefined,
        after: undefined,
      };
    }
    if (event.type === 'streamAppended') {
      const data = JSON.parse(new TextDecoder().decode(event.data)) as unknown;
      return {
        ...common(event.position, metadata),
        kind: 'append',
        table: event.name,
        key: { version: BigInt(event.version) },
        before: undefined,
        after: { data },
      };
    }
    return undefined;
  }

  #keyOf(table: TableSchema, key: StoreKey): Row {
    if (table.primaryKey.length === 0) return { rowid: BigInt(rowIdOfKey(key)) };
    const columns = table.primaryKey.map(
      (ordinal) => table.columns[ordinal] as TableSchema['columns'][number],
    );
    const values = decodeKey(
      columns.map((column) => column.type),
      key,
    );
    return this.#object(columns, values);
  }

  #row(table: TableSchema, bytes: Uint8Array): Row {
    const { engine, tenant } = this.#scope;
    const values = tableRowCodec(table).decode(bytes);
    return this.#object(
      table.columns,
      values.map((value) => {
        const reference = value === null ? undefined : blobOf(value);
        return reference === undefined ? value : engine.blobs.read(tenant, reference);
      }),
    );
  }

  #object(columns: readonly TableSchema['columns'][number][], values: readonly Value[]): Row {
    const { timestamps } = this.#scope;
    return Object.fromEntries(
      columns.flatMap((column, index) =>
        column.dropped === true
          ? []
          : [[column.name, jsConverter(column.type, { timestamps })(values[index] as Value)]],
      ),
    );
  }

  #nextCommit(from: Position, signal: AbortSignal | undefined): Promise<void> {
    const { engine } = this.#scope;
    return new Promise((resolve) => {
      const finish = (): void => {
        clearInterval(poll);
        stop();
        signal?.removeEventListener('abort', finish);
        resolve();
      };
      const check = (): void => {
        if (engine.readOnly || engine.committedPosition >= from || engine.closed) finish();
      };
      // The interval keeps the process alive while someone follows, and serves handles that only read.
      const poll = setInterval(check, followPollMs);
      const stop = engine.onCommit(check);
      signal?.addEventListener('abort', finish, { once: true });
    });
  }
}

function isRowEvent(event: LogEvent): event is RowEvent {
  return event.type in kinds;
}

function definitionKind({ version, dropped, view }: TableSchema): Change['kind'] {
  if (view !== undefined) return dropped === true ? 'dropView' : 'createView';
  if (dropped === true) return 'dropTable';
  return version === 1 ? 'createTable' : 'alterTable';
}

function common(
  position: Position,
  metadata: CommandMetadata,
): Pick<Change, 'position' | 'time' | 'actor' | 'reason' | 'statement'> {
  const { time, actor, reason, statement } = metadata;
  return { position: BigInt(position), time: new Date(time / 1000), actor, reason, statement };
}
