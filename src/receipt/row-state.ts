/** State proofs held against the events of a receipt (docs/format/receipt.md, State). */
import { type StoreKey, toHex } from '../base/index.ts';
import type { Sha256 } from '../proof/index.ts';
import { CheckFailure, check } from './checks.ts';
import type { Opened, OpenedHistory } from './claims.ts';
import { type DecodedEvent, isRow, type RowBody } from './decoded-event.ts';
import type { CheckpointState } from './record.ts';
import { checkStateProof, type StateFacts, type StateProof } from './state-proof.ts';

/** What the state shows of one key. */
export interface RowState {
  readonly object: number;
  readonly key: StoreKey;
  /** The event that wrote the row; absent: there is none. */
  readonly written?: { readonly event: DecodedEvent; readonly body: RowBody };
}

/** Throws CheckFailure 'state'. */
export function checkState(
  opened: Opened,
  proofs: readonly StateProof[],
  against: {
    readonly sha256: Sha256;
    readonly state: CheckpointState | undefined;
    readonly tenant: number;
  },
): RowState[] {
  const { sha256, state, tenant } = against;
  check('state', state !== undefined, 'The checkpoint record names no state.');
  check('state', proofs.length > 0, 'There is no state proof.');
  // A receipt has room for 10,000 proofs beside 200,000 events: they are not gone through for each.
  const byCommitment = new Map<string, DecodedEvent>();
  for (const event of opened.events) {
    const name = toHex(event.commitment);
    if (!byCommitment.has(name)) byCommitment.set(name, event);
  }
  const rows = proofs.map((proof) => {
    const facts = checkStateProof(sha256, proof, state.hash);
    if (typeof facts === 'string') throw new CheckFailure('state', facts);
    check('state', facts.tenant === tenant, 'A state proof is of another tenant.');
    return rowState(byCommitment, facts, state);
  });
  const keys = new Set(rows.map(({ object, key }) => `${object} ${key}`));
  check('state', keys.size === rows.length, 'Two state proofs are of the same row.');
  return rows;
}

function rowState(
  byCommitment: ReadonlyMap<string, DecodedEvent>,
  facts: StateFacts,
  state: CheckpointState,
): RowState {
  const key = String.fromCharCode(...facts.key) as StoreKey;
  const object = facts.table;
  const { commitment } = facts;
  if (commitment === undefined) return { object, key };
  const event = byCommitment.get(toHex(commitment));
  const body = event?.body;
  check(
    'state',
    event !== undefined && body !== undefined && isRow(body) && body.type !== 'rowDeleted',
    'The event that wrote a row, as the state says, is not in the receipt.',
  );
  check(
    'state',
    body.object === object && body.key === key,
    'A state proof is of another row than the event that it names.',
  );
  check(
    'state',
    event.position <= state.position,
    'An event is newer than the state that is said to show what it wrote.',
  );
  return { object, key, written: { event, body } };
}

/** For kind state: each claimed event is what the state shows of some row. Throws CheckFailure 'state'. */
export function checkAllShown({ events }: Opened, rows: readonly RowState[]): void {
  const shown = new Set(rows.map(({ written }) => written?.event));
  check(
    'state',
    events.every((event) => shown.has(event)),
    'An event is in the receipt that the state does not show.',
  );
}

/** For kind row: the state shows what the history's last event left. Throws CheckFailure 'state'. */
export function checkEnd(
  { last, body }: OpenedHistory,
  rows: readonly RowState[],
  state: CheckpointState,
): void {
  const [row] = rows;
  check(
    'state',
    row !== undefined && rows.length === 1 && row.object === body.object && row.key === body.key,
    'The state proof is of another row than the history.',
  );
  const isLast =
    body.type === 'rowDeleted' ? row.written === undefined : row.written?.event === last;
  check('state', isLast, 'The row is not as the last event left it: a newer event is missing.');
  check('state', last.position <= state.position, 'The last event is newer than the state.');
}
