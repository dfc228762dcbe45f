import type { Position } from '../base/index.ts';
import { VerityError } from '../base/index.ts';
import {
  checkGeneration,
  checkSubjectKeys,
  type KeyHierarchy,
  loggedCuts,
  readAnchor,
  readAnchorWith,
  readKeyFiles,
  fileBytes,
} from '../engine/index.ts';
import { DefinitionCache, KernelState } from '../kernel/index.ts';
import {
  hashSeedOf,
  MemoryStore,
  ScratchStore,
  type Store,
  type WalkedStore,
} from '../store/index.ts';
import { auditDatabase } from './audit.ts';
import { compareLive } from './live.ts';
import {
  compareSegments,
  figuresOf,
  filesOf,
  findingOf,
  keysOf,
  readBlobs,
  slotFindings,
  tornOf,
} from './parts.ts';
import { pausing } from './pause.ts';
import { readLog, type ReadLog } from './read-log.ts';
import type { Verification, VerificationFinding, VerificationSettings } from './report.ts';
import { Commitments, compareStateHashes } from './state-check.ts';
import { checkStore } from './store-check.ts';

/** Memory for pages of what the log yields. */
const replayedBytes = 256 << 20;

/**
 * Reads every byte of a database: verity.json, keyring, anchor, every segment; checks checksums, digests,
 * chain, seals and commitments; rebuilds the state from the log and, for an open handle, compares it
 * with what the handle serves. Damage is a finding with file and offset, not an exception.
 */
export async function verifyDatabase(settings: VerificationSettings): Promise<Verification> {
  if (settings.live === undefined) return auditDatabase(settings);
  const target = replayTarget(settings);
  try {
    return await verifyInto(settings, target);
  } finally {
    target.close();
  }
}

/** What the log is replayed into. */
interface ReplayTarget {
  readonly store: WalkedStore & Store;
  readonly state: KernelState;
  /** Between frames, now and then: keeps memory bounded. */
  relieve(): void;
  close(): void;
}

function replayTarget({ entropy, scratch, cacheBytes }: VerificationSettings): ReplayTarget {
  if (scratch === undefined || entropy === undefined) {
    const store = new MemoryStore(entropy && hashSeedOf(entropy.bytes(8)));
    const nothing = (): void => undefined;
    return { store, state: new KernelState(store), relieve: nothing, close: nothing };
  }
  const replayed = new ScratchStore({ entropy, scratch, cacheBytes: cacheBytes ?? replayedBytes });
  const { store } = replayed;
  return {
    store,
    state: new KernelState(new DefinitionCache(store)),
    relieve: () => replayed.relieve(),
    close: () => replayed.close(),
  };
}

async function verifyInto(
  settings: VerificationSettings,
  target: ReplayTarget,
): Promise<Verification> {
  const { disk, root } = settings;
  const findings: VerificationFinding[] = [];
  const { store, state } = target;
  const commitments = new Commitments();
  let log: ReadLog | undefined;
  let hierarchy: KeyHierarchy | undefined;
  let segmentsCompared = 0;
  let storeCompared: Position | undefined;
  let stateHash: Verification['stateHash'];
  let blobs: Verification['blobs'];
  try {
    hierarchy = await keysOf(disk, root);
    log = await readAll(settings, { hierarchy, target, commitments }, findings);
    if (hierarchy !== undefined) {
      checkGeneration(disk, hierarchy, state);
      // Pages are read as they are now, with the secrets of now.
      const current = typeof root === 'object' && !('unwrap' in root) ? root : hierarchy;
      for (const error of checkSubjectKeys({ disk, hierarchy: current, state })) {
        settings.security?.observe(error);
        findings.push(findingOf(error));
      }
      segmentsCompared = compareSegments(log, state, findings);
      const { head } = log.tail;
      const pause = pausing(settings.scheduler);
      const checked = await checkStore({ disk, hierarchy: current, replayed: store, head, pause });
      storeCompared = checked.checkpoint;
      for (const error of checked.errors) findings.push(findingOf(error));
      const replayed = { hierarchy, commitments, store };
      const known = [checked.mark, log.live?.stateHash];
      const compared = await compareStateHashes(replayed, { known, head, pause });
      stateHash = compared.stateHash;
      for (const error of compared.errors) findings.push(findingOf(error));
    }
    blobs = await readBlobs(settings, { hierarchy, state }, findings);
    if (log.live !== undefined) {
      findings.push(...(await compareLive(log, store, log.live, pausing(settings.scheduler))));
    }
  } catch (error) {
    if (!(error instanceof VerityError) || error.exitCode !== 3) throw error;
    settings.security?.observe(error);
    findings.unshift(findingOf(error));
  } finally {
    hierarchy?.wipe();
  }
  const files = filesOf(disk);
  return {
    ok: findings.length === 0,
    filesRead: files.length,
    bytesRead: files.reduce((sum, path) => sum + fileBytes(disk, path), 0),
    ...figuresOf(log?.tail.head, state),
    findings,
    tornTail: tornOf(log?.tail),
    opened: hierarchy !== undefined,
    segmentsCompared,
    ...(storeCompared !== undefined && { storeCompared }),
    ...(stateHash !== undefined && { stateHash }),
    ...(blobs !== undefined && { blobs }),
    cuts: loggedCuts(state.store),
  };
}

async function readAll(
  settings: VerificationSettings,
  into: {
    readonly hierarchy: KeyHierarchy | undefined;
    readonly target: ReplayTarget;
    readonly commitments: Commitments;
  },
  findings: VerificationFinding[],
): Promise<ReadLog> {
  const { disk, scheduler, live, onProgress } = settings;
  const { hierarchy, target, commitments } = into;
  const { logId } = hierarchy?.keyring ?? readKeyFiles(disk).keyring;
  // Before the log: what is durable now is there when the log is read.
  const anchor =
    hierarchy === undefined ? readAnchor(disk, logId, undefined) : readAnchorWith(disk, hierarchy);
  findings.push(...slotFindings(anchor));
  return readLog({
    disk,
    logId,
    hierarchy,
    commitments,
    state: target.state,
    relieve: () => target.relieve(),
    durable: anchor.newest,
    pause: pausing(scheduler),
    live,
    onSegment: onProgress,
  });
}
