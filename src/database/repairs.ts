import { toHex, VerityError } from '../base/index.ts';
import { auditDatabase } from '../audit/index.ts';
import type { MasterKeyProvider } from '../crypto/index.ts';
import {
  applyRepair,
  cutRecordOf,
  dropStore,
  type EngineHost,
  loadKeys,
  openEngine,
  planCut,
  planFromCopy,
  planProofs,
  type RepairPlan,
} from '../engine/index.ts';
import { acquireLock } from '../host/index.ts';
import { hostFor, providerOf } from './surroundings.ts';
import type { RepairOptions, RepairReport, VerifyReport } from './types.ts';
import { verifyReportOf } from './verify-report.ts';

/** Repairs the database in a directory, under its lock. */
export async function repairDirectory(path: string, options: RepairOptions): Promise<RepairReport> {
  const host = hostFor(path, false);
  const names = host.disk.list('') ?? [];
  if (!['verity.json', 'keyring', 'log'].some((name) => names.includes(name))) {
    throw new VerityError('NO_DATABASE', `There is no database at ${path}. Check the path.`);
  }
  const copy = options.from === undefined ? undefined : hostFor(options.from, true);
  const lock = acquireLock(host.disk.root);
  try {
    return await repairOn(host, copy, options);
  } finally {
    lock.release();
  }
}

/** Repairs the database on a host's disk, from the one on another's. The caller sees to it that nobody has it open. */
export async function repairOn(
  host: EngineHost,
  copy: EngineHost | undefined,
  options: RepairOptions,
): Promise<RepairReport> {
  checkRepairOptions(options);
  const { disk, entropy } = host;
  const provider = providerOf(options, false);
  if (copy === undefined && options.cutTail !== true) return rebuildStore(host, provider, options);
  const settings = { disk, provider, entropy };
  const plan =
    copy === undefined
      ? await planCut(settings)
      : await planFromCopy({ ...settings, copy: copy.disk, extend: options.extend === true });
  const dryRun = options.dryRun === true;
  let kept: string | undefined;
  try {
    if (!dryRun) {
      // Derived from the log, which is about to change: the next open makes it again.
      dropStore(disk);
      kept = await applyRepair(disk, plan, pauseOf(host));
    }
  } finally {
    plan.hierarchy.wipe();
  }
  if (dryRun) return reportOf(plan, { dryRun, kept, verification: undefined });
  const verification = await afterwards(host, { provider, plan, options });
  return reportOf(plan, { dryRun, kept, verification });
}

const pauseOf =
  (host: EngineHost): (() => Promise<void>) =>
  () =>
    new Promise((done) => host.scheduler.defer(done));

/** A cut is recorded in the log at once; then everything is read. */
async function afterwards(
  host: EngineHost,
  how: {
    readonly provider: MasterKeyProvider;
    readonly plan: RepairPlan;
    readonly options: RepairOptions;
  },
): Promise<VerifyReport> {
  const { provider, plan, options } = how;
  const { actor, reason, onProgress } = options;
  if (plan.cut !== undefined) {
    const engine = await openEngine(host, {
      provider,
      mode: 'owner',
      create: false,
      repairOrigin: {
        ...(actor !== undefined && { actor }),
        ...(reason !== undefined && { reason }),
      },
    });
    await engine.close();
  }
  return verified(host, provider, onProgress);
}

/** Has the log make the store again, and tiles of the tree that are damaged, drops damaged entries of checkpoints, and reads everything. */
async function rebuildStore(
  host: EngineHost,
  provider: MasterKeyProvider,
  { dryRun = false, onProgress }: RepairOptions,
): Promise<RepairReport> {
  // With a wrong key, nothing is to be removed.
  const hierarchy = await loadKeys(host.disk, provider);
  const proofs = planProofs(host.disk, hierarchy);
  hierarchy.wipe();
  const { restored } = proofs;
  let kept: string | undefined;
  if (!dryRun) {
    dropStore(host.disk);
    if (restored.length > 0) kept = await applyRepair(host.disk, proofs, pauseOf(host));
    const engine = await openEngine(host, {
      provider,
      mode: 'owner',
      create: false,
      ...(onProgress !== undefined && {
        onSegment: (done: number, total: number) => onProgress({ phase: 'replay', done, total }),
      }),
    });
    try {
      await engine.checkpoint();
      // The newest note is signed again if it was lost.
      if (restored.length > 0) await engine.proofs.whileNoneIsMade(async () => undefined);
    } finally {
      await engine.close();
    }
  }
  const verification = await verified(host, provider, onProgress);
  const { ok, position, frames, chainHash } = verification;
  const nothing = { replaced: [], removed: [], cut: undefined };
  return {
    ...nothing,
    restored: [...restored],
    kept,
    ok,
    dryRun,
    copyGoesOn: false,
    storeRebuilt: !dryRun,
    position,
    frames,
    chainHash,
    verification,
  };
}

async function verified(
  host: EngineHost,
  provider: MasterKeyProvider,
  onProgress: RepairOptions['onProgress'],
): Promise<VerifyReport> {
  const report = await auditDatabase({
    disk: host.disk,
    entropy: host.entropy,
    scheduler: host.scheduler,
    ...(host.scratch !== undefined && { scratch: host.scratch }),
    root: provider,
    ...(onProgress !== undefined && {
      onProgress: (done: number, total: number) => onProgress({ phase: 'verify', done, total }),
    }),
  });
  return verifyReportOf(report);
}

function reportOf(
  plan: RepairPlan,
  done: {
    readonly dryRun: boolean;
    readonly kept: string | undefined;
    readonly verification: VerifyReport | undefined;
  },
): RepairReport {
  const { dryRun, kept, verification } = done;
  const { cut, head } = plan;
  return {
    ok: verification?.ok ?? true,
    dryRun,
    restored: [...plan.restored],
    replaced: plan.replaced.map((part) => ({ ...part })),
    removed: [...plan.replacements]
      .filter(([, { kind }]) => kind === 'nothing' && cut === undefined)
      .map(([path]) => path),
    cut: cut && cutRecordOf(cut),
    copyGoesOn: plan.copyGoesOn,
    kept,
    position: verification?.position ?? BigInt(head.position),
    frames: verification?.frames ?? head.op,
    chainHash: verification?.chainHash ?? toHex(head.chainHash),
    ...(verification !== undefined && { verification }),
  };
}

function checkRepairOptions({ from, cutTail, extend }: RepairOptions): void {
  if (from !== undefined && cutTail === true) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'Say how to repair: { from: directory of another copy } or { cutTail: true }, not both.',
    );
  }
  if (extend === true && from === undefined) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'extend goes with from: there is no copy to extend by.',
    );
  }
}
