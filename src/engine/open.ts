import { assert, type Disk, type Op, VerityError } from '../base/index.ts';
import { type MasterKeyProvider, type SecretKey } from '../crypto/index.ts';
import { type CommandOrigin, settingOf } from '../kernel/index.ts';
import { decodeSegmentHeader } from '../log/index.ts';
import { loadParser } from '../sql/index.ts';
import { anchoredAt, AnchorFile, anchorKey, type AnchorReading } from './anchor.ts';
import { readAnchorWith } from './anchor-reading.ts';
import { defaultCheckpoints } from './checkpointer.ts';
import { createDatabase, inspectDirectory } from './create.ts';
import { Engine, type Recovery } from './engine.ts';
import {
  keyringPath,
  logDirectory,
  proofsDirectory,
  readWhole,
  replaceFile,
  segmentPaths,
  segmentPosition,
  temporarySuffix,
} from './files.ts';
import { FollowedState } from './followed-state.ts';
import { Follower } from './follower.ts';
import type { EngineHost } from './host.ts';
import type { WantedSuite } from './identity.ts';
import { loadKeys, required } from './key-files.ts';
import type { KeyCacheBounds } from './key-cache.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { KeyringFollower } from './keyring-follower.ts';
import { defaultLogSizes, LogWriter } from './log-writer.ts';
import type { LogTail } from './log-walk.ts';
import { type ReplayedStore, replayStored } from './replay-store.ts';
import { type SecurityFailure, SecurityMonitor } from './security.ts';
import { checkNothingMissing } from './signed-before.ts';

export interface OpenSettings {
  readonly provider: MasterKeyProvider;
  /** 'owner' writes and repairs (the caller holds the lock); 'follower' only reads beside an owner. */
  readonly mode: 'owner' | 'follower';
  readonly create: boolean;
  /** Algorithm and compression: of a new database, and required of an existing one. */
  readonly suite?: WantedSuite;
  /** Who repaired the log and why, when this open is the one that records it. */
  readonly repairOrigin?: CommandOrigin;
  readonly onSegment?: ((done: number, total: number) => void) | undefined;
  /** How many derived keys are kept, and for how long. */
  readonly keyCache?: KeyCacheBounds;
  /** Memory for pages of the store; the host's or the default, if it is not given. */
  readonly cacheBytes?: number;
  /** Goes on with a log that is not, or no longer, the one of which a checkpoint was signed; the log records that. */
  readonly acceptRollback?: boolean;
  /**
   * Compares the log with what others have seen of it, before anything of this process is appended; what it rejects with ends
   * the opening. For an owner.
   */
  readonly admit?: (engine: Engine) => Promise<void>;
  /** Gets failures of authentication, at a bounded rate. */
  readonly onSecurityFailure?: ((failure: SecurityFailure) => void) | undefined;
}

/** Opens, or creates, the database on `host.disk`: replays the log, then repairs its end if it may write. */
export async function openEngine(host: EngineHost, settings: OpenSettings): Promise<Engine> {
  const { onSecurityFailure } = settings;
  const security = new SecurityMonitor({
    clock: host.clock,
    ...(onSecurityFailure !== undefined && { onFailure: onSecurityFailure }),
  });
  try {
    return await openWatched(host, settings, security);
  } catch (error) {
    security.observe(error);
    throw error;
  }
}

async function openWatched(
  host: EngineHost,
  settings: OpenSettings,
  security: SecurityMonitor,
): Promise<Engine> {
  await loadParser();
  const found = inspectDirectory(host.disk);
  if (found !== 'database') {
    if (settings.mode === 'follower' || !settings.create) {
      throw new VerityError(
        'NO_DATABASE',
        `There is no database at ${host.disk.root}. Create one with "verity init" or check the path.`,
      );
    }
    if (found === 'unfinished') host.onRarePath?.('creation started again');
    await createDatabase(host, settings.provider, settings.suite);
  }
  const hierarchy = await loadKeys(host.disk, settings.provider, settings.suite, {
    time: host,
    security,
    ...(settings.keyCache !== undefined && { cache: settings.keyCache }),
  });
  let engine: Engine;
  try {
    engine = openLog(host, hierarchy, settings);
  } catch (error) {
    hierarchy.wipe();
    throw error;
  }
  try {
    if (!engine.readOnly) {
      await engine.proofs.checkRollback(acceptsRollback(settings));
      await settings.admit?.(engine);
      engine.begin();
      await engine.subjects.recover();
      if (await engine.finishRotation()) host.onRarePath?.('rotation finished at open');
      await engine.finishSigningKeys();
      await engine.storeRenewedSlot();
    }
    await engine.recordCut(settings.repairOrigin ?? {});
    return engine;
  } catch (error) {
    // What stopped the opening is the news, not what closing makes of it.
    await engine.abandon(error).catch(() => undefined);
    throw error;
  }
}

/** A repair that cut the log is an acceptance that the log records. */
const acceptsRollback = ({ acceptRollback, repairOrigin }: OpenSettings): boolean =>
  acceptRollback === true || repairOrigin !== undefined;

function openLog(host: EngineHost, hierarchy: KeyHierarchy, settings: OpenSettings): Engine {
  const { disk } = host;
  // Before the log: what is durable now is there when the log is read.
  const reading = readAnchorWith(disk, hierarchy);
  const key = anchorKey(hierarchy);
  try {
    for (const error of reading.forged) hierarchy.security.observe(error);
    const { cacheBytes, onSegment } = settings;
    const isAccepted = acceptsRollback(settings);
    const opening: Opening = { host, hierarchy, reading, cacheBytes, isAccepted, onSegment };
    if (settings.mode === 'owner') return openOwner(opening, key);
    key.wipe();
    return openFollower(opening, settings);
  } catch (error) {
    key.wipe();
    throw error;
  }
}

interface Opening {
  readonly host: EngineHost;
  readonly hierarchy: KeyHierarchy;
  readonly reading: AnchorReading;
  readonly cacheBytes: number | undefined;
  /** Whether a log that lacks what was signed is gone on with. */
  readonly isAccepted: boolean;
  readonly onSegment: OpenSettings['onSegment'];
}

function openFollower(
  { host, hierarchy, reading, cacheBytes: given }: Opening,
  settings: OpenSettings,
): Engine {
  const { disk, clock } = host;
  const { cacheBytes } = { ...defaultCheckpoints, ...host.checkpoints };
  const reload = (): Promise<KeyHierarchy> => loadKeys(disk, settings.provider, settings.suite);
  const keyring = new KeyringFollower({ disk, clock, hierarchy, reload });
  const followed = new FollowedState({
    host,
    hierarchy,
    keyring,
    cacheBytes: given ?? cacheBytes,
  });
  try {
    const { state, index, hasher, store } = followed;
    const replay = { disk, hierarchy, state, index, durable: reading.newest, hasher };
    const follower = new Follower(replay, followed, keyring);
    follower.catchUp();
    return new Engine({
      host,
      hierarchy,
      state,
      index,
      walked: store,
      head: follower.head,
      lastFrame: undefined,
      stored: undefined,
      hasher,
      follower,
      writer: undefined,
      anchor: undefined,
      recovery: { cleanShutdown: true, cut: [], replayedFrames: 0 },
    });
  } catch (error) {
    followed.close();
    throw error;
  }
}

function openOwner(opening: Opening, key: SecretKey): Engine {
  removeTemporaries(opening.host.disk);
  const replayed = replayStored(opening);
  try {
    return ownerOf(opening, replayed, key);
  } catch (error) {
    replayed.stored.close();
    throw error;
  }
}

function ownerOf(
  { host, hierarchy, reading, isAccepted }: Opening,
  { stored, tail, logged }: ReplayedStore,
  key: SecretKey,
): Engine {
  const { disk } = host;
  const { leafCount } = tail.head;
  const setting = (name: string): unknown => settingOf(stored.state.store, name);
  if (!isAccepted) checkNothingMissing(disk, { leafCount, setting });
  const { logId } = hierarchy.keyring;
  const recovery = repairTail(disk, tail, reading.newest.op);
  // Here and not when something is signed: a flush of the database's own directory that fails is the end of the handle.
  if (!disk.exists(proofsDirectory)) disk.makeDirectory(proofsDirectory);
  // Names that this process sees may be there in memory only, if the one before was killed.
  disk.flushDirectory(logDirectory);
  disk.flushDirectory('');
  const anchor = new AnchorFile(disk, reading, { logId, key });
  const anchorRenewed = renewAnchor(anchor, tail, reading);
  if (tail.torn !== undefined) host.onRarePath?.('torn tail cut');
  if (tail.abandoned !== undefined) host.onRarePath?.('abandoned segment removed');
  if (!logged) host.onRarePath?.('keyring ahead of the log');
  if (tail.head.op > reading.newest.op) host.onRarePath?.('anchor behind the log');
  if (anchorRenewed) host.onRarePath?.('anchor slot written again');
  const writer = new LogWriter(
    disk,
    { path: tail.path, tail: tail.offset },
    host.logSizes ?? defaultLogSizes,
  );
  const { problem, replayedFrames } = stored;
  if (problem !== undefined) host.onRarePath?.('store built anew');
  const engine = new Engine({
    host,
    hierarchy,
    state: stored.state,
    index: stored.index,
    walked: stored.store,
    head: tail.head,
    lastFrame: tail.frame,
    stored,
    hasher: stored.hasher,
    writer,
    anchor,
    recovery: {
      ...recovery,
      replayedFrames,
      ...(anchorRenewed && { anchorRenewed }),
      ...(problem !== undefined && { storeRebuilt: problem }),
    },
    follower: undefined,
  });
  // What was cut may have been acknowledged: what it names is kept, as it is.
  engine.blobs.sweep(anchor.pendingCut !== undefined);
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
 * Cuts an unfinished write. After an unclean close the segment with the last frame is first copied to a
 * new file, since the kernel may show pages of it that never reached the disk; only what was flushed in
 * that copy is built upon. A close was clean if the file was cut to its last frame, which happens after
 * that frame was flushed.
 */
function repairTail(
  disk: Disk,
  tail: LogTail,
  anchored: Op,
): Pick<Recovery, 'cleanShutdown' | 'cut'> {
  if (tail.abandoned !== undefined) {
    for (const path of segmentPaths(disk)) if (path > tail.path) disk.remove(path);
    disk.flushDirectory(logDirectory);
  }
  const bytes = readWhole(disk, tail.path) ?? new Uint8Array();
  const closed = tail.head.lastKind === 'close' && bytes.length === tail.offset;
  const cleanShutdown =
    tail.torn === undefined && tail.abandoned === undefined && (closed || tail.head.op === 0);
  if (cleanShutdown) return { cleanShutdown, cut: [] };
  const durable = Math.max(anchored, tail.head.durableHead);
  copySegmentBefore(disk, tail.path, { bytes, durable });
  replaceFile(disk, tail.path, bytes.subarray(0, tail.offset));
  return {
    cleanShutdown,
    cut: tail.torn === undefined ? [] : [{ file: tail.path, ...tail.torn }],
  };
}

/** The segment before the last one is copied, too, unless all of it is known to be durable. */
function copySegmentBefore(
  disk: Disk,
  path: string,
  last: { readonly bytes: Uint8Array; readonly durable: number },
): void {
  const header = decodeSegmentHeader(last.bytes);
  assert(typeof header !== 'string', 'the segment was walked');
  if (header.firstOp - 1 <= last.durable) return;
  const before = segmentPaths(disk).findLast((other) => other < path);
  const bytes = before === undefined ? undefined : readWhole(disk, before);
  if (before !== undefined && bytes !== undefined) replaceFile(disk, before, bytes);
}

/** All that was found is durable now; true if a slot of the anchor was torn or damaged, and is written again. */
function renewAnchor(anchor: AnchorFile, tail: LogTail, reading: AnchorReading): boolean {
  const isTorn = reading.damaged.length > 0;
  if (isTorn || tail.head.op > reading.newest.op) {
    anchor.settle(anchoredAt(tail.head, segmentPosition(tail.path)));
  }
  return isTorn;
}
