/** Everything of an audit that rests on what the log yields. */
import { CorruptionError, objectOfTree, type Position, type TreeId } from '../base/index.ts';
import {
  checkGeneration,
  checkSubjectKeys,
  isStoreDamage,
  type KeyHierarchy,
  loggedCuts,
  readNewerKeyring,
  type StateMark,
} from '../engine/index.ts';
import { type ReadView, readSuperblock } from '../store/index.ts';
import {
  type Affected,
  affectedByFile,
  AffectedTables,
  Names,
  withStoredTrees,
} from './affected.ts';
import type { Auditing, Found } from './audit.ts';
import { compareLive, differencesOf } from './live.ts';
import type { AuditedLog } from './log-audit.ts';
import { compareSegments, findingOf, readBlobs } from './parts.ts';
import type { VerificationFinding } from './report.ts';
import type { SegmentCommitments } from './segment-commitments.ts';
import {
  type LoggedLink,
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

type StateAudit = Auditing & { readonly hierarchy: KeyHierarchy };
interface Basis {
  readonly log: AuditedLog;
  readonly commitments: SegmentCommitments;
  /** Is given the definitions, settings and keys at the end of the log. */
  readonly onView: (view: ReadView) => void;
}

export async function auditState(auditing: StateAudit, basis: Basis, found: Found): Promise<void> {
  const { settings, hierarchy, workers, pause } = auditing;
  const { disk, entropy, scratch, cacheBytes } = settings;
  const { log } = basis;
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
  // The owner in this process would write over pages that are read for a checkpoint of before.
  const proven = settings.live === undefined ? await proveCheckpoint(of) : undefined;
  // Nothing is left for them: their memory is needed for what follows.
  await workers.close();
  const before = found.findings.length;
  try {
    await auditYielded(auditing, { ...basis, of, proven }, found);
  } catch (error) {
    // As an owner in another process may have done meanwhile.
    if (proven === undefined || !isStoreDamage(error) || !isReplaced(of, proven)) throw error;
    found.findings.length = before;
    await auditYielded(auditing, { ...basis, of, proven: undefined }, found);
  }
}

const isReplaced = ({ disk, hierarchy }: StateAuditing, { opened }: ProvenCheckpoint): boolean =>
  readSuperblock(disk, hierarchy.keyring.logId)?.newest?.sequence !== opened.sequence;

async function auditYielded(
  auditing: StateAudit,
  basis: Basis & { readonly of: StateAuditing; readonly proven: ProvenCheckpoint | undefined },
  found: Found,
): Promise<void> {
  const { settings, hierarchy, pause } = auditing;
  const { disk, root, security } = settings;
  const { log, commitments, of, proven } = basis;
  const yielded = proven === undefined ? await stateFromLog(of) : await stateFrom(of, proven);
  try {
    const { state, store } = yielded;
    checkGeneration(disk, hierarchy, state);
    // Pages are read as they are now, with the secrets of now.
    const current = typeof root === 'object' && !('unwrap' in root) ? root : hierarchy;
    if (current === hierarchy) readNewerKeyring(disk, hierarchy);
    for (const error of checkSubjectKeys({ disk, hierarchy: current, state })) {
      security?.observe(error);
      found.findings.push(withAffected(findingOf(error), store));
    }
    found.findings.push(...yielded.broken.map((link) => linkFinding(link, store)));
    found.segmentsCompared = compareSegments(log, state, found.findings);
    const mark = await auditStore({ of, current, proven, yielded }, found);
    settings.onPhase?.({ phase: 'state', done: 0, total: 1 });
    const known = [mark, newestState(log), log.live?.stateHash];
    const { head } = log.tail;
    const compared = await compareStateHashes(
      { hierarchy, commitments, store },
      { known, head, changedAt: changedAt(log), pause },
    );
    found.stateHash = compared.stateHash;
    for (const error of compared.errors) found.findings.push(findingOf(error));
    basis.onView(store);
    const damaged: VerificationFinding[] = [];
    const blobs = await readBlobs(settings, { hierarchy, state }, damaged);
    found.findings.push(...damaged.map((finding) => withAffected(finding, store)));
    if (blobs !== undefined) found.blobs = blobs;
    found.cuts = loggedCuts(state.store);
    const served = await compareLive(log, store, pause);
    if (served !== undefined) found.findings.push(findingOf(served));
  } finally {
    yielded.close();
  }
}

/** The history of a row that a receipt shows by these links would not be all of it. */
function linkFinding(link: LoggedLink, store: LogState['store']): VerificationFinding {
  const { tree, key, position, leaf, place } = link;
  const what = `An event of a row (leaf ${leaf}) that does not name the event of that row before it, as nobody but the holder of the key can write it, lies`;
  const names = new Names(store);
  const tables = new AffectedTables(names);
  tables.add(tree, key, position);
  return {
    ...findingOf(new CorruptionError('STATE_MISMATCH', place.path, place.offset, what)),
    affected: {
      positions: { first: position, last: position },
      leaves: { first: leaf, last: leaf },
      tenants: [names.tenant(objectOfTree(tree).tenant)],
      tables: tables.tables(),
    },
  };
}

function withAffected(finding: VerificationFinding, store: LogState['store']): VerificationFinding {
  const affected = affectedByFile(finding.file, store);
  return affected === undefined ? finding : { ...finding, affected };
}

const changedAt = ({ segments }: AuditedLog): Position =>
  Math.max(0, ...segments.map(({ facts }) => facts.changedAt)) as Position;

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
