import { realpathSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { type Disk, toHex, VerityError } from '../base/index.ts';
import {
  copyLog,
  type CopySource,
  type Engine,
  type EngineHost,
  inspectDirectory,
  loadKeys,
  openEngine,
} from '../engine/index.ts';
import { acquireLock, type DirectoryLock } from '../host/index.ts';
import { hostFor, memoryPath, providerOf } from './surroundings.ts';
import type { CopyOptions, LogCopyReport, OpenOptions } from './types.ts';

interface OpenHandle {
  readonly engine: Engine;
  readonly host: EngineHost;
}

/** Copies what an open handle serves. */
export async function copyHandle(
  handle: OpenHandle,
  out: string,
  options: CopyOptions,
): Promise<LogCopyReport> {
  const { host } = handle;
  return copyTo(sourceOf(handle), { out, from: host.disk.root, host }, options);
}

/** Copies what an open handle serves to an empty disk. */
export async function copyHandleOnto(
  handle: OpenHandle,
  target: Disk,
  options: CopyOptions,
): Promise<LogCopyReport> {
  return copyOnto(sourceOf(handle), { target, host: handle.host }, options);
}

function sourceOf({ engine, host }: OpenHandle): CopySource {
  return {
    disk: host.disk,
    hierarchy: engine.hierarchy,
    handle: {
      state: engine.state,
      head: () => {
        engine.checkOpen();
        engine.catchUp();
        return engine.head;
      },
    },
  };
}

/** Copies a directory: alone, if nobody has it open, else as one who follows the owner's log. */
export async function copyDirectory(
  path: string,
  out: string,
  options: CopyOptions & Pick<OpenOptions, 'masterKey' | 'encryption'>,
): Promise<LogCopyReport> {
  const host = hostFor(path, true);
  if (inspectDirectory(host.disk) !== 'database') {
    throw new VerityError('NO_DATABASE', `There is no database at ${path}. Check the path.`);
  }
  const provider = providerOf(options, false);
  const lock = lockIfFree(host.disk.root);
  if (lock === undefined) {
    const engine = await openEngine(host, { provider, mode: 'follower', create: false });
    try {
      return await copyHandle({ engine, host }, out, options);
    } finally {
      await engine.close();
    }
  }
  try {
    const hierarchy = await loadKeys(host.disk, provider);
    try {
      const source = { disk: host.disk, hierarchy };
      return await copyTo(source, { out, from: host.disk.root, host }, options);
    } finally {
      hierarchy.wipe();
    }
  } finally {
    lock.release();
  }
}

/** Undefined if another process has the database open, or nothing may be written here, not even a lock. */
function lockIfFree(root: string): DirectoryLock | undefined {
  try {
    return acquireLock(root);
  } catch (error) {
    const isExpected =
      error instanceof VerityError &&
      ['DATABASE_LOCKED', 'READ_ONLY', 'IO_ERROR'].includes(error.code);
    if (isExpected) return undefined;
    throw error;
  }
}

async function copyTo(
  source: CopySource,
  place: { readonly out: string; readonly from: string; readonly host: EngineHost },
  options: CopyOptions,
): Promise<LogCopyReport> {
  const { out, from, host } = place;
  const target = hostFor(out, false).disk;
  checkTarget(out, from, target.list(''));
  target.makeDirectory('');
  return copyOnto(source, { target, host }, options);
}

async function copyOnto(
  source: CopySource,
  { target, host }: { readonly target: Disk; readonly host: EngineHost },
  { onProgress }: CopyOptions,
): Promise<LogCopyReport> {
  const { head, instanceId, segments, bytes } = await copyLog({
    source,
    target,
    entropy: host.entropy,
    pause: () => new Promise((done) => host.scheduler.defer(done)),
    onProgress: onProgress && ((done, total) => onProgress({ phase: 'copy', done, total })),
    ...(host.onRarePath !== undefined && { onRarePath: host.onRarePath }),
  });
  return {
    path: target.root,
    logId: toHex(head.logId),
    instanceId: toHex(instanceId),
    position: BigInt(head.position),
    frames: head.op,
    events: head.leafCount,
    chainHash: toHex(head.chainHash),
    segments,
    bytes,
  };
}

function checkTarget(out: string, from: string, names: readonly string[] | undefined): void {
  if (out === memoryPath) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'A copy needs a directory; :memory: is gone at once.',
    );
  }
  if (names !== undefined && names.length > 0) {
    const isDatabase = names.includes('verity.json');
    throw new VerityError(
      isDatabase ? 'DATABASE_EXISTS' : 'NOT_A_DATABASE',
      `${out} is not empty. Name a new or an empty directory for the copy.`,
    );
  }
  if (from === memoryPath) return;
  const [target, source] = [realPath(out), realPath(from)];
  if (target === source || target.startsWith(source + sep)) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `${out} lies inside the database that is to be copied. Name a directory elsewhere.`,
    );
  }
}

/** The path without symbolic links, as far as it exists. */
function realPath(path: string): string {
  const full = resolve(path);
  try {
    return realpathSync(full);
  } catch {
    const parent = dirname(full);
    return parent === full ? full : join(realPath(parent), basename(full));
  }
}
