import {
  CorruptionError,
  equalBytes,
  type ObjectId,
  objectOfTree,
  type Position,
  type TenantId,
  toHex,
} from '../base/index.ts';
import { type KeyHierarchy, type StateHash, stateKey } from '../engine/index.ts';
import type { LogHead } from '../log/index.ts';
import { firstUserObject, tableById } from '../kernel/index.ts';
import {
  pagesPath,
  type ReadView,
  StateContents,
  stateHash,
  stateHashBytes,
  StatePaths,
  type TrieSummary,
  type WalkedStore,
} from '../store/index.ts';
import type { Pause } from './pause.ts';
import type { SegmentCommitments } from './segment-commitments.ts';

/** What an entry costs, in bytes gone through. */
const entryCost = 1_024;

/** A replayed log. */
export interface ReplayedState {
  readonly hierarchy: KeyHierarchy;
  readonly commitments: Pick<SegmentCommitments, 'at'>;
  readonly store: ReadableStore;
}

interface ReadableStore extends Pick<WalkedStore, 'trees'> {
  viewAt(position: Position): ReadView;
}

/**
 * Compares the state hashes that are known, each at its position, with what the log yields there; without any, says what
 * it yields at its end.
 */
export async function compareStateHashes(
  replayed: ReplayedState,
  {
    known,
    head,
    changedAt,
    pause,
  }: {
    readonly known: readonly (StateHash | undefined)[];
    readonly head: LogHead;
    /** From here on the log changes no state. */
    readonly changedAt: Position;
    readonly pause: Pause;
  },
): Promise<{
  readonly stateHash: { readonly hash: string; readonly position: Position };
  readonly errors: readonly CorruptionError[];
}> {
  const errors: CorruptionError[] = [];
  const computed = new Map<Position, Uint8Array>();
  // What an owner knows by now may be of positions that were not read.
  const wanted = known.filter((each) => each !== undefined && each.position <= head.position);
  const hashAt = async (position: Position): Promise<Uint8Array> => {
    const since = Math.min(position, changedAt) as Position;
    const hash = computed.get(since) ?? (await stateHashAt(replayed, position, pause));
    computed.set(since, hash);
    return hash;
  };
  let { position } = head;
  for (const each of wanted as readonly StateHash[]) {
    ({ position } = each);
    const hash = await hashAt(position);
    if (!equalBytes(hash, each.hash))
      errors.push(
        stateHashError(
          `The state hash ${toHex(each.hash)} at position ${position}, where the log yields ${toHex(hash)}, lies`,
        ),
      );
  }
  const hash = await hashAt(position);
  return { stateHash: { hash: toHex(hash), position }, errors };
}

/** The state hash at a position from its definition: of all rows as they were then, and of nothing else. */
async function stateHashAt(
  { hierarchy, commitments, store }: ReplayedState,
  position: Position,
  pause: Pause,
): Promise<Uint8Array> {
  const key = stateKey(hierarchy);
  const paths = new StatePaths(key);
  key.wipe();
  const view = store.viewAt(position);
  const tables = new StateContents();
  const path = new Uint8Array(stateHashBytes);
  const tablePath = new Uint8Array(stateHashBytes);
  let keyBytes = new Uint8Array(64);
  for (const tree of store.trees()) {
    const { tenant, object } = objectOfTree(tree);
    if (!isTable(view, tenant, object)) continue;
    paths.tableInto(tablePath, 0, tenant, object);
    const rows = new StateContents();
    const cursor = view.scan(tree, {});
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      const { key: rowKey, leaf } = entry;
      if (rowKey.length > keyBytes.length) keyBytes = new Uint8Array(2 * rowKey.length);
      for (let at = 0; at < rowKey.length; at++) keyBytes[at] = rowKey.charCodeAt(at);
      paths.rowInto(path, 0, keyBytes, { end: rowKey.length });
      rows.add(path, commitments.at(leaf));
      const turn = pause(entryCost);
      if (turn !== undefined) await turn;
    }
    const summary = await summaryOf(rows, pause);
    if (summary.count > 0) tables.add(tablePath, paths.tableHash(summary));
  }
  paths.wipe();
  return stateHash(await summaryOf(tables, pause));
}

/** Indexes have trees, too. */
function isTable(view: ReadView, tenant: TenantId, object: ObjectId): boolean {
  if (object < firstUserObject) return false;
  const table = tableById(view, tenant, object);
  return table !== undefined && table.dropped !== true;
}

async function summaryOf(contents: StateContents, pause: Pause): Promise<TrieSummary> {
  const steps = contents.summary();
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    await pause(step.value * entryCost);
  }
}

/** The error of a state hash that is not what the log yields. */
export function stateHashError(what: string): CorruptionError {
  return new CorruptionError('STATE_MISMATCH', pagesPath, 0, what);
}
