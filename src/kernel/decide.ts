import {
  assert,
  type LeafIndex,
  limits,
  type Position,
  type StoreKey,
  systemTenant,
  type TenantId,
  type TimestampMicros,
  type TreeId,
  treeOf,
  utf8Length,
  VerityError,
} from '../base/index.ts';
import type { CommandMetadata, EventPlace, LogEvent, RowEvent } from '../codec/index.ts';
import { keyPrefixRange } from '../codec/index.ts';
import {
  bindParameters,
  type ExecutionContext,
  type RowChange,
  tableEventCut,
} from '../sql/index.ts';
import { BlobsWanted, type StagedBlob, StatementBlobs } from './blobs.ts';
import type { Command, CommandOrigin, Decision, DecisionContext, Outcome } from './command.ts';
import { abandonEvents, buildStep, definitionEvents, type DefinitionEvent } from './definitions.ts';
import { nameKey, parseStreamKey, streamPrefix, streamsObject, tenantsTree } from './objects.ts';
import { answeredRequest, receiptOf } from './requests.ts';
import { newSetting } from './settings.ts';
import type { KernelState } from './state.ts';
import { changedSubjectPages, subjectPage, type SubjectPageRecord } from './subject-pages.ts';

const nothingChanged: Outcome = { rowCount: 0, columns: [], rows: [] };

/**
 * What a command does to the newest decided state: events and the caller's outcome, or a rejection.
 * Without clock or randomness: the same state, command and context give the same decision. A refused
 * command is a value; only our own bugs are thrown.
 */
export function decide(state: KernelState, command: Command, context: DecisionContext): Decision {
  try {
    checkOrigin(command.origin);
    return command.origin.request === undefined
      ? decideNew(state, command, context)
      : decideOnce(state, command, context);
  } catch (error) {
    if (error instanceof VerityError) return { kind: 'rejected', error };
    if (error instanceof BlobsWanted)
      return { kind: 'wanting', values: error.values, bound: error.bound };
    throw error;
  }
}

/** A command with a request id: what the first of that id was answered, or done and its answer kept. */
function decideOnce(state: KernelState, command: Command, context: DecisionContext): Decision {
  const { origin } = command;
  const tenant = 'tenant' in command ? command.tenant : systemTenant;
  const now = { time: context.time, position: state.nextPosition };
  const known = answeredRequest(state.overlay, tenant, origin, now);
  if (known !== undefined) return { kind: 'repeated', ...known };
  const decision = decideNew(state, command, context);
  const { request } = origin;
  const isDone = decision.kind === 'accepted' || decision.kind === 'unchanged';
  if (!isDone || request === undefined || command.kind === 'findRequest') return decision;
  const receipt = receiptOf(request, decision.outcome);
  if (decision.kind === 'unchanged') {
    // Logged all the same: a repetition might find something to change.
    const noting = { ...metadata(context, origin, 1), receipt };
    return {
      ...accepted(state, decision.outcome),
      events: [{ ...placeOf(state, tenant, noting), type: 'requestNoted' }],
    };
  }
  const [first, ...rest] = decision.events;
  assert(first?.command !== undefined, 'the first event of a command carries its metadata');
  // The store is keyed by the tenant that asked.
  assert(first.tenant === tenant, 'a request is of the tenant whose events it makes');
  return { ...decision, events: [{ ...first, command: { ...first.command, receipt } }, ...rest] };
}

function decideNew(state: KernelState, command: Command, context: DecisionContext): Decision {
  switch (command.kind) {
    case 'createTenant':
      return createTenant(state, command, context);
    case 'statement':
      return runStatement(state, command, context);
    case 'append':
      return append(state, command, context);
    case 'transaction':
      return commitTransaction(state, command, context);
    case 'keyringChanged': {
      const { generation, digest, origin } = command;
      const place = placeOf(state, systemTenant, metadata(context, origin, 1));
      return noted(state, { ...place, type: 'keyringChanged', generation, digest });
    }
    case 'segmentDigest':
      return segmentDigest(state, command, context);
    case 'checkpoint': {
      const place = placeOf(state, systemTenant, metadata(context, command.origin, 1));
      return noted(state, { ...place, type: 'checkpoint', ...command.record });
    }
    case 'changeSetting': {
      const data = newSetting(state.overlay, command);
      if (data === undefined) return { kind: 'unchanged', outcome: nothingChanged };
      const place = placeOf(state, systemTenant, metadata(context, command.origin, 1));
      return noted(state, { ...place, type: 'settingChanged', name: command.name, data });
    }
    case 'changeSigningKey': {
      const place = placeOf(state, systemTenant, metadata(context, command.origin, 1));
      return noted(state, { ...place, type: 'signingKeyChanged', ...command.record });
    }
    case 'subjectPagesChanging': {
      const { records, first } = changedSubjectPages(state.overlay, command);
      return subjectPageRecords(state, { records, first }, command.origin, context);
    }
    case 'subjectPagesWritten': {
      const records = command.pages
        .map((place) => subjectPage(state.overlay, place))
        .filter((record) => record?.written === false)
        .map((record) => ({ ...(record as SubjectPageRecord), written: true }));
      return subjectPageRecords(state, { records, first: 0 }, command.origin, context);
    }
    case 'buildIndex':
      return buildIndex(state, command, context);
    case 'abandonIndex': {
      const events = abandonEvents(state, command);
      return defined(state, command.tenant, events, metadata(context, command.origin, 1));
    }
    case 'findRequest':
      return { kind: 'unchanged', outcome: nothingChanged };
  }
}

/** A command of one event, of which its caller learns nothing. */
function noted(state: KernelState, event: LogEvent): Decision {
  return { ...accepted(state, nothingChanged), events: [event] };
}

/** Runs a query in the kernel's terms, e.g. for a transaction; see also database/. */
export function executionContext(
  state: KernelState,
  tenant: TenantId,
  context: DecisionContext,
  staged: readonly StagedBlob[] = noBlobs,
): StatementContext {
  return new StatementContext(state, tenant, context.time, staged);
}

const noBlobs: readonly StagedBlob[] = [];

export class StatementContext implements ExecutionContext {
  readonly time: TimestampMicros;
  readonly blobs: StatementBlobs;
  readonly #state: KernelState;
  readonly #tenant: TenantId;

  constructor(
    state: KernelState,
    tenant: TenantId,
    time: TimestampMicros,
    staged: readonly StagedBlob[],
  ) {
    this.time = time;
    this.blobs = new StatementBlobs(tenant, state.readBlob, staged);
    this.#state = state;
    this.#tenant = tenant;
  }

  allocateRowId(): number {
    return this.#state.allocateRow(this.#tenant);
  }
}

function createTenant(
  state: KernelState,
  command: Extract<Command, { kind: 'createTenant' }>,
  context: DecisionContext,
): Decision {
  checkName('tenant', command.name);
  if (state.overlay.get(tenantsTree, nameKey(command.name)) !== undefined) {
    throw new VerityError(
      'TENANT_EXISTS',
      `There is already a tenant named "${command.name}". Open it with db.tenant().`,
    );
  }
  const created = state.nextTenant;
  return {
    ...accepted(state, { ...nothingChanged, tenant: created }),
    events: [
      {
        ...placeOf(state, systemTenant, metadata(context, command.origin, 1)),
        type: 'tenantCreated',
        created,
        name: command.name,
      },
    ],
  };
}

function segmentDigest(
  state: KernelState,
  command: Extract<Command, { kind: 'segmentDigest' }>,
  context: DecisionContext,
): Decision {
  const { segment, digest, lengthBytes, origin } = command;
  const place = placeOf(state, systemTenant, metadata(context, origin, 1));
  return {
    ...accepted(state, nothingChanged),
    events: [{ ...place, type: 'segmentDigest', segment, digest, lengthBytes }],
  };
}

function subjectPageRecords(
  state: KernelState,
  { records, first }: { readonly records: readonly SubjectPageRecord[]; readonly first: number },
  origin: CommandOrigin,
  context: DecisionContext,
): Decision {
  const outcome = { ...nothingChanged, firstSubject: first };
  if (records.length === 0) return { kind: 'unchanged', outcome };
  const command = metadata(context, origin, records.length);
  return {
    ...accepted(state, outcome),
    events: records.map((record, index) => ({
      ...placeOf(state, systemTenant, index === 0 ? command : undefined),
      type: 'subjectPage' as const,
      ...record,
    })),
  };
}

function runStatement(
  state: KernelState,
  command: Extract<Command, { kind: 'statement' }>,
  context: DecisionContext,
): Decision {
  const { tenant, statement, origin } = command;
  const prepared = state.prepare(tenant, statement, state.overlay);
  if (prepared.kind === 'query') {
    throw new VerityError('INVALID_ARGUMENT', 'A query changes nothing: pass it to query().');
  }
  if (prepared.kind === 'definition') {
    const execution = executionContext(state, tenant, context);
    const { events, building } = definitionEvents(state, tenant, prepared, execution);
    const command1 = metadata(context, origin, events.length, statement.normalized);
    const decision = defined(state, tenant, events, command1);
    if (decision.kind !== 'accepted' || building.length === 0) return decision;
    return { ...decision, outcome: { ...decision.outcome, building } };
  }
  const { parameterTypes: types } = prepared;
  const { bound } = command;
  const parameters =
    bound?.types === types ? bound.values : bindParameters(types, command.parameters);
  const execution = executionContext(state, tenant, context, command.blobs);
  const result = prepared.run(state.overlay, parameters, execution);
  const { wanted } = execution.blobs;
  if (wanted.length > 0) throw new BlobsWanted(wanted, { types, values: parameters });
  const outcome = { rowCount: result.rowCount, columns: prepared.columns, rows: result.rows };
  if (result.changes.length === 0) return { kind: 'unchanged', outcome };
  const events = rowEvents(
    state,
    tenant,
    result.changes,
    metadata(context, origin, result.changes.length, statement.normalized),
  );
  return { kind: 'accepted', position: state.nextPosition, outcome, events };
}

function defined(
  state: KernelState,
  tenant: TenantId,
  bodies: readonly DefinitionEvent[],
  command: CommandMetadata,
): Decision {
  if (bodies.length === 0) return { kind: 'unchanged', outcome: nothingChanged };
  let bytes = 0;
  for (const body of bodies) bytes += 'schema' in body ? body.schema.length : 0;
  checkCommandSize(bodies.length, bytes);
  return {
    ...accepted(state, nothingChanged),
    events: bodies.map((body, index) => ({
      ...placeOf(state, tenant, index === 0 ? command : undefined),
      ...body,
    })),
  };
}

function buildIndex(
  state: KernelState,
  command: Extract<Command, { kind: 'buildIndex' }>,
  context: DecisionContext,
): Decision {
  const { events, next } = buildStep(state, command);
  const { tenant, origin } = command;
  const decision = defined(state, tenant, events, metadata(context, origin, events.length));
  if (decision.kind !== 'accepted' || next === undefined) return decision;
  return { ...decision, outcome: { ...decision.outcome, next } };
}

function append(
  state: KernelState,
  command: Extract<Command, { kind: 'append' }>,
  context: DecisionContext,
): Decision {
  const { tenant, stream, events, expectedVersion, origin } = command;
  checkName('stream', stream);
  const version = streamVersion(state.overlay, tenant, stream);
  if (expectedVersion !== undefined && expectedVersion !== version) {
    throw new VerityError(
      'VERSION_CONFLICT',
      `Stream "${stream}" is at version ${version}, not ${expectedVersion}. Read it again and decide anew.`,
      { details: { version, expectedVersion } },
    );
  }
  if (events.length === 0) return { kind: 'unchanged', outcome: { ...nothingChanged, version } };
  checkCommandSize(
    events.length,
    events.reduce((sum, event) => sum + event.length, 0),
  );
  for (const event of events) {
    if (event.length > limits.valueBytesMax) {
      throw new VerityError(
        'VALUE_TOO_LARGE',
        `An event takes ${event.length} bytes; the limit is ${limits.valueBytesMax}.`,
      );
    }
  }
  const command1 = metadata(context, origin, events.length);
  return {
    ...accepted(state, {
      ...nothingChanged,
      rowCount: events.length,
      version: version + events.length,
    }),
    events: events.map((data, index) => ({
      ...placeOf(state, tenant, index === 0 ? command1 : undefined),
      type: 'streamAppended' as const,
      name: stream,
      version: version + index + 1,
      data,
    })),
  };
}

function commitTransaction(
  state: KernelState,
  command: Extract<Command, { kind: 'transaction' }>,
  context: DecisionContext,
): Decision {
  const { tenant, changes, reads, snapshot, statements, value, origin } = command;
  const changed = {
    latest: (tree: Parameters<typeof state.overlay.latest>[0], key: StoreKey) =>
      state.overlay.latest(tree, key),
    changedSince: (...range: Parameters<typeof state.overlay.changedSince>) =>
      state.overlay.changedSince(...range) ||
      (state.recent.changedSince(...range) ?? state.store.changedSince(...range)),
  };
  // Without writes it stands where it read: at its snapshot.
  if (changes.length > 0 && reads.changedSince(changed, snapshot)) {
    throw new VerityError(
      'TRANSACTION_CONFLICT',
      'Rows or definitions that the transaction read were changed meanwhile. Run the transaction again.',
    );
  }
  const outcome = {
    ...nothingChanged,
    rowCount: changes.length,
    ...(value !== undefined && { value }),
  };
  if (changes.length === 0) return { kind: 'unchanged', outcome };
  return {
    ...accepted(state, outcome),
    events: rowEvents(
      state,
      tenant,
      changes,
      metadata(context, origin, changes.length, statements.join('; ')),
    ),
  };
}

/** The stream's newest version as the view shows it; 0 if it has no events. */
function streamVersion(view: KernelState['overlay'], tenant: TenantId, stream: string): number {
  const range = keyPrefixRange(streamPrefix(stream));
  const last = view.scan(treeOf(tenant, streamsObject), { ...range, reverse: true }).next();
  return last === undefined ? 0 : parseStreamKey(last.key).version;
}

function rowEvents(
  state: KernelState,
  tenant: TenantId,
  changes: readonly RowChange[],
  command: CommandMetadata,
): LogEvent[] {
  // A transaction's statements may add up to more than its rows.
  let bytes = 0;
  for (const { table, key, row } of changes) {
    bytes += key.length + (row?.length ?? 0) + (tableEventCut(table)?.overheadBytes ?? 0);
  }
  const { statement = '' } = command;
  // At three bytes a unit, the most there are, it mostly fits: then they need not be counted.
  if (bytes + statement.length * 3 > limits.commandBytesMax) bytes += utf8Length(statement);
  checkCommandSize(changes.length, bytes);
  const position = state.nextPosition;
  const earlier = changes.length === 1 ? undefined : new EarlierLeaves();
  const events = new Array<RowEvent>(changes.length);
  for (let index = 0; index < changes.length; index++) {
    const { kind, table, key, row, isNew, blobs } = changes[index] as RowChange;
    const tree = treeOf(tenant, table.id);
    const previousLeaf =
      earlier?.get(tree, key) ??
      (isNew === true ? undefined : state.overlay.latest(tree, key)?.leaf);
    earlier?.set(tree, key, (state.leafCount + index) as LeafIndex);
    const event: { -readonly [Name in keyof RowEvent]: RowEvent[Name] } = {
      type: eventTypes[kind],
      position,
      tenant,
      object: table.id,
      schemaVersion: table.version,
      key,
    };
    if (index === 0) event.command = command;
    if (row !== undefined) event.row = row;
    if (previousLeaf !== undefined) event.previousLeaf = previousLeaf;
    if (blobs !== undefined) event.blobs = blobs;
    const cut = tableEventCut(table);
    if (cut !== undefined) event.cut = cut;
    events[index] = event;
  }
  return events;
}

/** The leaves of a command's own events, by the rows that they wrote. */
class EarlierLeaves {
  readonly #trees = new Map<TreeId, Map<StoreKey, LeafIndex>>();
  /** Those of the tree that was asked for last: mostly all are of one. */
  #tree: TreeId | undefined;
  #leaves: Map<StoreKey, LeafIndex> = new Map();

  get(tree: TreeId, key: StoreKey): LeafIndex | undefined {
    return this.#leavesOf(tree).get(key);
  }

  set(tree: TreeId, key: StoreKey, leaf: LeafIndex): void {
    this.#leavesOf(tree).set(key, leaf);
  }

  #leavesOf(tree: TreeId): Map<StoreKey, LeafIndex> {
    if (tree === this.#tree) return this.#leaves;
    let leaves = this.#trees.get(tree);
    if (leaves === undefined) {
      leaves = new Map();
      this.#trees.set(tree, leaves);
    }
    this.#tree = tree;
    this.#leaves = leaves;
    return leaves;
  }
}

const eventTypes = { insert: 'rowInserted', update: 'rowUpdated', delete: 'rowDeleted' } as const;

function accepted(
  state: KernelState,
  outcome: Outcome,
): { kind: 'accepted'; position: Position; outcome: Outcome } {
  return { kind: 'accepted', position: state.nextPosition, outcome };
}

function placeOf(
  state: KernelState,
  tenant: TenantId,
  command: CommandMetadata | undefined,
): EventPlace {
  const position = state.nextPosition;
  return command === undefined ? { position, tenant } : { position, tenant, command };
}

function metadata(
  context: DecisionContext,
  origin: CommandOrigin,
  eventCount: number,
  statement?: string,
): CommandMetadata {
  const { actor, reason, request } = origin;
  const command: { -readonly [Name in keyof CommandMetadata]: CommandMetadata[Name] } = {
    time: context.time,
    eventCount,
  };
  if (actor !== undefined) command.actor = actor;
  if (reason !== undefined) command.reason = reason;
  if (request !== undefined) command.request = request.id;
  if (statement !== undefined) command.statement = statement;
  return command;
}

/** Throws COMMAND_TOO_LARGE unless a command may have this many events and bytes. */
export function checkCommandSize(events: number, bytes: number): void {
  if (events > limits.commandEventsMax || bytes > limits.commandBytesMax) {
    throw new VerityError(
      'COMMAND_TOO_LARGE',
      `The command has ${events} events and ${bytes} bytes; the limits are ${limits.commandEventsMax} and ${limits.commandBytesMax}. Split it.`,
    );
  }
}

function checkOrigin(origin: CommandOrigin): void {
  checkText('actor', origin.actor, limits.actorBytesMax);
  checkText('reason', origin.reason, limits.reasonBytesMax);
}

function checkText(what: string, text: unknown, bytesMax: number): void {
  if (text === undefined) return;
  if (typeof text !== 'string' || utf8Length(text) > bytesMax || !isWellFormed(text)) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `The ${what} must be Unicode text of at most ${bytesMax} bytes.`,
    );
  }
}

function isWellFormed(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0xd800 || code > 0xdfff) continue;
    const next = text.charCodeAt(index + 1);
    if (code > 0xdbff || !(next >= 0xdc00 && next <= 0xdfff)) return false;
    index += 1;
  }
  return true;
}

/** Throws INVALID_ARGUMENT unless `name` can be that of a tenant or stream. */
export function checkName(what: 'tenant' | 'stream', name: string): void {
  checkText(`${what} name`, name, limits.nameBytesMax);
  if (name === undefined || name === '' || hasControlCharacter(name)) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `A ${what} name must not be empty or hold control characters.`,
    );
  }
}

function hasControlCharacter(text: string): boolean {
  for (let index = 0; index < text.length; index++) {
    if (text.charCodeAt(index) < 0x20 || text.charCodeAt(index) === 0x7f) return true;
  }
  return false;
}
