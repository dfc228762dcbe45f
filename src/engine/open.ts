import { CorruptionError, type Disk, VerityError } from '../base/index.ts';
import { constantTimeEqual, type MasterKeyProvider } from '../crypto/index.ts';
import { Reader } from '../codec/index.ts';
import { KernelState, keyringTree, singleKey } from '../kernel/index.ts';
import { emptyLogHead } from '../log/index.ts';
import { loadParser } from '../sql/index.ts';
import { hashSeedOf, MemoryStore } from '../store/index.ts';
import { createDatabase, inspectDirectory } from './create.ts';
import { Engine, type Recovery } from './engine.ts';
import {
  keyringPath,
  logDirectory,
  readWhole,
  replaceFile,
  segmentPaths,
  temporarySuffix,
} from './files.ts';
import { Follower } from './follower.ts';
import type { EngineHost } from './host.ts';
import { loadKeys, olderKeyring, required } from './key-files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { LogIndex } from './log-index.ts';
import { defaultLogSizes, LogWriter } from './log-writer.ts';
import { type LogTail, type Replay, replayLog } from './replay.ts';

export interface OpenSettings {
  readonly provider: MasterKeyProvider;
  /** 'owner' writes and repairs (the caller holds the lock); 'follower' only reads beside an owner. */
  readonly mode: 'owner' | 'follower';
  readonly create: boolean;
  readonly onSegment?: (done: number, total: number) => void;
}

/** Opens, or creates, the database on `host.disk`: replays the log, then repairs its end if it may write. */
export async function openEngine(host: EngineHost, settings: OpenSettings): Promise<Engine> {
  await loadParser();
  const found = inspectDirectory(host.disk);
  if (found !== 'database') {
    if (settings.mode === 'follower' || !settings.create) {
      throw new VerityError(
        'NO_DATABASE',
        `There is no database at ${host.disk.root}. Create one with "verity init" or check the path.`,
      );
    }
    await createDatabase(host, settings.provider);
  }
  const hierarchy = await loadKeys(host.disk, settings.provider);
  try {
    return openLog(host, hierarchy, settings);
  } catch (error) {
    hierarchy.wipe();
    throw error;
  }
}

function openLog(host: EngineHost, hierarchy: KeyHierarchy, settings: OpenSettings): Engine {
  const { disk } = host;
  const state = new KernelState(new MemoryStore(hashSeedOf(host.entropy.bytes(8))));
  const index = new LogIndex();
  const replay: Replay = {
    disk,
    hierarchy,
    state,
    index,
    ...(settings.onSegment !== undefined && { onSegment: settings.onSegment }),
  };
  const start = emptyLogHead(hierarchy.keyring.logId);
  if (settings.mode === 'follower') {
    const follower = new Follower(replay, start);
    follower.catchUp();
    return new Engine({
      host,
      hierarchy,
      state,
      index,
      head: follower.head,
      follower,
      writer: undefined,
      recovery: { cleanShutdown: true, cut: [] },
    });
  }
  removeTemporaries(disk);
  const tail = replayLog(replay, start);
  const logged = checkGeneration(disk, hierarchy, state);
  const recovery = repairTail(disk, tail);
  // Names that this process sees may be there in memory only, if the one before was killed.
  disk.flushDirectory(logDirectory);
  disk.flushDirectory('');
  const writer = new LogWriter(
    disk,
    { path: tail.path, tail: tail.offset },
    host.logSizes ?? defaultLogSizes,
  );
  const engine = new Engine({
    host,
    hierarchy,
    state,
    index,
    head: tail.head,
    writer,
    recovery,
    follower: undefined,
  });
  if (!logged) engine.logKeyring(hierarchy.keyring.digest(required(disk, keyringPath)));
  return engine;
}

function removeTemporaries(disk: Disk): void {
  for (const directory of ['', logDirectory]) {
    for (const name of disk.list(directory) ?? []) {
      if (name.endsWith(temporarySuffix))
        disk.remove(directory === '' ? name : `${directory}/${name}`);
    }
  }
}

/**
 * Compares the keyring with the newest generation the log names: an older one is refused, the same
 * must have the logged digest, a newer one (a crash between keyring and log) is logged next.
 * Returns whether the log already names it.
 */
export function checkGeneration(disk: Disk, hierarchy: KeyHierarchy, state: KernelState): boolean {
  const logged = state.store.get(keyringTree, singleKey);
  if (logged === undefined) return false;
  const reader = new Reader(logged.row);
  const generation = reader.u64();
  const digest = reader.raw(32);
  const { keyring } = hierarchy;
  if (keyring.generation < generation) throw olderKeyring(keyring.generation, generation);
  if (keyring.generation > generation) return false;
  if (!constantTimeEqual(keyring.digest(required(disk, keyringPath)), digest)) {
    throw new CorruptionError(
      'KEYRING_ROLLED_BACK',
      keyringPath,
      0,
      'Another keyring of the same generation lies',
    );
  }
  return true;
}

/**
 * Cuts an unfinished write. After an unclean close the segment with the last frame is first copied to a
 * new file, since the kernel may show pages of it that never reached the disk; only what was flushed in
 * that copy is built upon. A close was clean if the file was cut to its last frame, which happens after
 * that frame was flushed.
 */
function repairTail(disk: Disk, tail: LogTail): Recovery {
  if (tail.abandoned !== undefined) {
    for (const path of segmentPaths(disk)) if (path > tail.path) disk.remove(path);
    disk.flushDirectory(logDirectory);
  }
  const bytes = readWhole(disk, tail.path) ?? new Uint8Array();
  const closed = tail.head.lastKind === 'close' && bytes.length === tail.offset;
  const cleanShutdown =
    tail.torn === undefined && tail.abandoned === undefined && (closed || tail.head.op === 0);
  if (cleanShutdown) return { cleanShutdown, cut: [] };
  if (tail.head.lastKind === 'end') copySegmentBefore(disk, tail.path);
  replaceFile(disk, tail.path, bytes.subarray(0, tail.offset));
  return {
    cleanShutdown,
    cut: tail.torn === undefined ? [] : [{ file: tail.path, ...tail.torn }],
  };
}

/** The last segment holds no frame yet: the last one is the end of the segment before. */
function copySegmentBefore(disk: Disk, path: string): void {
  const before = segmentPaths(disk).findLast((other) => other < path);
  const bytes = before === undefined ? undefined : readWhole(disk, before);
  if (before !== undefined && bytes !== undefined) replaceFile(disk, before, bytes);
}
