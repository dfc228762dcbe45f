/** Everything of an audit that rests on what the log yields. */
import type { CorruptionError, Position, TreeId } from '../base/index.ts';
import {
  checkGeneration,
  checkSubjectKeys,
  type KeyHierarchy,
  loggedCuts,
  readNewerKeyring,
  type StateMark,
} from '../engine/index.ts';
import type { ReadView } from '../store/index.ts';
import { type Affected, AffectedTables, Names, withStoredTrees } from './affected.ts';
import type { Auditing, Found } from './audit.ts';
import { compareLive, differencesOf } from './live.ts';
import type { AuditedLog } from './log-audit.ts';
import { compareSegments, findingOf, readBlobs } from './parts.ts';
import type { SegmentCommitments } from './segment-commitments.ts';
import {
  type LogState,
  type ProvenCheckpoint,
  proveCheckpoint,
  type StateAuditing,
  stateFrom,
  stateFromLog,
} from './state-audit.ts';
import { compareStateHashes } from './state-check.ts';
import { checkStore, type StoreCheck } from './store-check.ts';

/** Versions that differ, of which what is affected is told. */
const differencesMax = 1_000;

/** `onView` is given the definitions, settings and keys at the end of the log. */
export async function auditState(
  auditing: Auditing & { readonly hierarchy: KeyHierarchy },
  { log, commitments }: { readonly log: AuditedLog; readonly commitments: SegmentCommitments },
  found: Found,
  onView: (view: ReadView) => void,
): Promise<void> {
  const { settings, hierarchy, workers, pause } = auditing;
  const { disk, entropy, scratch, cacheBytes, root, security } = settings;
  const of: StateAuditing = {
    disk,
    hierarchy,
    log,
    entropy,
    scratch,
    cacheBytes,
    workers,
    pause,
    after: Math.max(0, ...log.segments.map(({ skippedTo }) => skippedTo)) as Position,
    onProgress: (phase, done, total) => settings.onPhase?.({ phase, done, total }),
  };
  const proven = await proveCheckpoint(of);
  // Nothing is left for them: their memory is needed for what follows.
  await workers.close();
  const yielded = proven === undefined ? await stateFromLog(of) : await stateFrom(of, proven);
  try {
    const { state, store } = yielded;
    checkGeneration(disk, hierarchy, state);
    // Pages are read as they are now, with the secrets of now.
    const current = typeof root === 'object' && !('unwrap' in root) ? root : hierarchy;
    if (current === hierarchy) readNewerKeyring(disk, hierarchy);
    for (const error of checkSubjectKeys({ disk, hierarchy: current, state })) {
      security?.observe(error);
      found.findings.push(findingOf(error));
    }
    found.segmentsCompared = compareSegments(log, state, found.findings);
    const mark = await auditStore({ of, current, proven, yielded }, found);
    settings.onPhase?.({ phase: 'state', done: 0, total: 1 });
    const known = [mark, newestState(log), log.live?.stateHash];
    const { head } = log.tail;
    const compared = await compareStateHashes(
      { hierarchy, commitments, store },
      { known, head, pause },
    );
    found.stateHash = compared.stateHash;
    for (const error of compared.errors) found.findings.push(findingOf(error));
    onView(store);
    const blobs = await readBlobs(settings, { hierarchy, state }, found.findings);
    if (blobs !== undefined) found.blobs = blobs;
    found.cuts = loggedCuts(state.store);
    const served = await compareLive(log, store, pause);
    if (served !== undefined) found.findings.push(findingOf(served));
  } finally {
    yielded.close();
  }
}

/** The newest state hash that a checkpoint's record tells. */
function newestState({
  segments,
}: AuditedLog): { position: Position; hash: Uint8Array } | undefined {
  const states = segments.flatMap(({ facts }) =>
    facts.checkpoints.flatMap(({ state }) => state ?? []),
  );
  return states.at(-1);
}

/** What was found out of the store; returns what its checkpoint keeps of the state hash. */
async function auditStore(
  what: {
    readonly of: StateAuditing;
    readonly current: KeyHierarchy;
    readonly proven: ProvenCheckpoint | undefined;
    readonly yielded: LogState;
  },
  found: Found,
): Promise<StateMark | undefined> {
  const { of, current, proven, yielded } = what;
  const { disk, log, pause } = of;
  const { head } = log.tail;
  const checked: StoreCheck =
    proven === undefined
      ? await checkStore({ disk, hierarchy: current, replayed: yielded.store, head, pause })
      : { errors: proven.errors, checkpoint: proven.position, mark: proven.mark };
  if (proven !== undefined) found.versionsCompared = proven.versions;
  if (checked.checkpoint !== undefined) found.storeCompared = checked.checkpoint;
  for (const error of checked.errors) {
    const affected = affectedInStore(error, { of, current, yielded });
    found.findings.push({ ...findingOf(error), ...(affected !== undefined && { affected }) });
  }
  return checked.mark;
}

/** Which table a damaged page was met at, or which versions are others than the log yields. */
function affectedInStore(
  error: CorruptionError,
  what: {
    readonly of: StateAuditing;
    readonly current: KeyHierarchy;
    readonly yielded: LogState;
  },
): Affected | undefined {
  const { of, current, yielded } = what;
  const names = new Names(yielded.store);
  const tables = new AffectedTables(names);
  if (error.code === 'STATE_MISMATCH') {
    withStoredTrees(of.disk, current, (store) => {
      const upTo = store.appliedPosition;
      let count = 0;
      for (const { tree, key, position } of differencesOf(yielded.store, store, upTo)) {
        if (++count > differencesMax) break;
        tables.add(tree, key, position);
      }
    });
    const differing = tables.tables();
    return differing.length === 0
      ? undefined
      : { tenants: [...new Set(differing.map(({ tenant }) => tenant))], tables: differing };
  }
  const met = error.tree === undefined ? undefined : names.tree(error.tree as TreeId);
  return met && { tenants: [met.tenant], tables: [{ ...met, versions: 0, rows: [] }] };
}
