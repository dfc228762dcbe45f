/** The check of a receipt (docs/format/receipt.md, Checks): every one of them, in that order. */
import { equalBytes, toHex, utf8Decode } from '../base/index.ts';
import { formatVkey, leafHash } from '../proof/index.ts';
import { CheckFailure, check } from './checks.ts';
import {
  checkHistory,
  checkLeaves,
  checkPlaces,
  checkPositions,
  isCreationOf,
  type Opened,
  type OpenedHistory,
  tenantOf,
} from './claims.ts';
import { commitmentOf } from './commitment.ts';
import { checkContext } from './context.ts';
import { decodeOpened, isRow } from './decoded-event.ts';
import type {
  CheckpointFacts,
  HistoryFacts,
  ReceiptFacts,
  ReceiptResult,
  StateRowFacts,
} from './facts.ts';
import { rootOfOpened } from './opened-tree.ts';
import { type Believed, believedOf, type VerifyOptions } from './options.ts';
import { parseReceipt, type Receipt, receiptBytesMax, type ReceiptEvent } from './receipt-text.ts';
import { type CheckpointRecord, checkRecord } from './record.ts';
import { commandFacts } from './row-facts.ts';
import { checkAllShown, checkEnd, checkState, type RowState } from './row-state.ts';
import { shownTime } from './shown-value.ts';
import { Tables } from './tables.ts';
import {
  type CheckpointNote,
  checkLogSignatures,
  checkOrigin,
  checkTimeStamps,
  checkWitnesses,
  followHandOvers,
  noteOf,
} from './trust.ts';

/**
 * Checks a receipt against the log's verifier keys and tells what it proves, or which check does not hold. Needs no database,
 * no network and no secret; never throws, whatever it is given. What the result says was read from the proved bytes only.
 *
 * @param receipt its text, or the UTF-8 of it
 */
export function verifyReceipt(receipt: string | Uint8Array, options: VerifyOptions): ReceiptResult {
  try {
    return { ok: true, receipt: verified(receipt, options) };
  } catch (error) {
    if (error instanceof CheckFailure)
      return { ok: false, check: error.check, message: error.message };
    // What nobody thought of (an exhausted stack, a getter of the caller's that throws) is no proof either.
    return { ok: false, check: 'format', message: `The receipt cannot be read: ${String(error)}` };
  }
}

function verified(given: string | Uint8Array, options: VerifyOptions): ReceiptFacts {
  const believed = believedOf(options);
  const receipt = parseReceipt(textOf(given));
  const note = noteOf(receipt.checkpoint.note);
  checkOrigin(note.checkpoint, believed);
  checkLeaves(receipt, note.checkpoint.size);
  const commitments = checkInclusion(receipt, note, believed);
  const trust = checkTrust(receipt, note, believed);
  const decode = (event: ReceiptEvent): ReturnType<typeof decodeOpened> =>
    decodeOpened(event, commitments.get(event.leaf) as Uint8Array);
  const record = checkRecord(decode(receipt.checkpoint.record));
  const events = receipt.events.map(decode);
  const context = receipt.context.map(decode);
  const byLeaf = new Map([...context, ...events].map((event) => [event.leaf, event]));
  const opened: Opened = { events, context, byLeaf };
  checkPlaces(opened, record.position);
  const claim = checkClaim(receipt, opened, { record, believed });
  return {
    kind: receipt.kind,
    origin: note.checkpoint.origin,
    checkpoint: { ...checkpointFacts(note, record), ...trust },
    ...claim,
    leavesBetween: leavesBetween(opened),
  };
}

function textOf(given: string | Uint8Array): string {
  if (typeof given === 'string') return given;
  check('format', given instanceof Uint8Array, 'The receipt is neither text nor bytes.');
  check('format', given.length <= receiptBytesMax, 'The receipt is larger than 64 MiB.');
  try {
    return utf8Decode(given);
  } catch {
    throw new CheckFailure('format', 'The receipt is not UTF-8.');
  }
}

/** The commitments of all opened events by leaf. Throws CheckFailure 'inclusion'. */
function checkInclusion(
  { events, context, checkpoint, proof }: Receipt,
  { checkpoint: { size, root } }: CheckpointNote,
  { sha256 }: Believed,
): ReadonlyMap<number, Uint8Array> {
  const all = [...events, ...context, checkpoint.record];
  const commitments = new Map(all.map((event) => [event.leaf, commitmentOf(sha256, event)]));
  const opened = [...commitments]
    .toSorted(([left], [right]) => left - right)
    .map(([leaf, commitment]) => ({ leaf, hash: leafHash(sha256, commitment) }));
  const found = rootOfOpened(sha256, { size, opened, proof });
  check(
    'inclusion',
    found !== undefined && equalBytes(found, root),
    'The events, with their salts and the proof, do not lead to the root of the checkpoint.',
  );
  return commitments;
}

function checkTrust(
  { checkpoint }: Receipt,
  note: CheckpointNote,
  believed: Believed,
): Pick<
  CheckpointFacts,
  'signedBy' | 'handOvers' | 'cosignatures' | 'timeStamps' | 'timeStampsUnchecked'
> {
  const { handOvers, timeStamps: tokens } = checkpoint;
  const { keys, followed } = followHandOvers(handOvers, note.checkpoint.origin, believed);
  const signatures = checkLogSignatures(note, keys, believed);
  const cosignatures = checkWitnesses(note, believed);
  const timeStamps = checkTimeStamps(tokens, note, believed);
  return {
    signedBy: signatures.map(({ vkey }) => formatVkey(vkey)),
    handOvers: followed,
    cosignatures: cosignatures.map(({ vkey, time = 0 }) => ({
      witness: formatVkey(vkey),
      time: shownTime(time * 1_000_000),
    })),
    timeStamps,
    timeStampsUnchecked: tokens.length - timeStamps.length,
  };
}

function checkpointFacts(
  { checkpoint }: CheckpointNote,
  { time, covers, state }: CheckpointRecord,
): Omit<
  CheckpointFacts,
  'signedBy' | 'handOvers' | 'cosignatures' | 'timeStamps' | 'timeStampsUnchecked'
> {
  return {
    size: checkpoint.size,
    root: toHex(checkpoint.root),
    time: shownTime(time),
    position: covers,
    ...(state !== undefined && {
      stateHash: toHex(state.hash),
      statePosition: state.position,
    }),
  };
}

type Claim = Pick<ReceiptFacts, 'tenant' | 'commands' | 'history' | 'state'>;

function checkClaim(
  receipt: Receipt,
  opened: Opened,
  of: { readonly record: CheckpointRecord; readonly believed: Believed },
): Claim {
  const { kind, state: proofs = [] } = receipt;
  const tenant = tenantOf(
    opened,
    proofs.map((proof) => proof.tenant),
  );
  if (kind === 'position' || kind === 'range') checkPositions(opened, kind);
  const history = kind === 'row' ? checkHistory(opened) : undefined;
  const tables = new Tables([...opened.context, ...opened.events]);
  const commands = commandFacts(opened, tables);
  const rows =
    kind === 'row' || kind === 'state'
      ? checkRows(opened, proofs, { ...of, tenant, history })
      : undefined;
  const position = of.record.state?.position ?? 0;
  const state = rows?.map((row) => stateRowFacts(row, position, tables));
  for (const event of opened.context) if (isRow(event.body)) tables.use(event, event.body);
  checkContext(opened, { kind, tenant, definitions: tables.used });
  return {
    tenant: tenantFacts(opened, tenant),
    commands,
    ...(history !== undefined && { history: historyFacts(opened, history, { position, tables }) }),
    ...(state !== undefined && { state }),
  };
}

function checkRows(
  opened: Opened,
  proofs: NonNullable<Receipt['state']>,
  of: {
    readonly record: CheckpointRecord;
    readonly believed: Believed;
    readonly tenant: number;
    readonly history: OpenedHistory | undefined;
  },
): RowState[] {
  const { state } = of.record;
  const { sha256 } = of.believed;
  const rows = checkState(opened, proofs, { sha256, state, tenant: of.tenant });
  if (of.history === undefined) checkAllShown(opened, rows);
  else checkEnd(of.history, rows, state ?? { position: 0, hash: new Uint8Array() });
  return rows;
}

function stateRowFacts(
  { object, key, written }: RowState,
  position: number,
  tables: Tables,
): StateRowFacts {
  const table =
    written === undefined ? tables.newest(object) : tables.of(written.event, written.body);
  const row = written?.body.row && tables.row(table, written.body.row).values;
  return {
    table: table.definition.name,
    object,
    key: tables.key(table, key),
    position,
    ...(row !== undefined && { row }),
  };
}

function historyFacts(
  { events }: Opened,
  { last, body }: OpenedHistory,
  { position, tables }: { readonly position: number; readonly tables: Tables },
): HistoryFacts {
  const table = tables.of(last, body);
  return {
    table: table.definition.name,
    key: tables.key(table, body.key),
    changes: events.length,
    position,
    endProved: body.type !== 'rowDeleted',
  };
}

function tenantFacts({ context }: Opened, id: number): ReceiptFacts['tenant'] {
  const creation = context.find((event) => isCreationOf(event, id))?.body;
  return { id, ...(creation?.type === 'tenantCreated' && { name: creation.name }) };
}

function leavesBetween({ byLeaf, events }: Opened): number {
  const first = events[0]?.leaf;
  const last = events.at(-1)?.leaf;
  if (first === undefined || last === undefined) return 0;
  const opened = [...byLeaf.keys()].filter((leaf) => leaf >= first && leaf <= last);
  return last - first + 1 - opened.length;
}
