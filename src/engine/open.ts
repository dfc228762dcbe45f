import { CorruptionError, type Disk, VerityError } from '../base/index.ts';
import { constantTimeEqual, type MasterKeyProvider, type SecretKey } from '../crypto/index.ts';
import { Reader } from '../codec/index.ts';
import { KernelState, keyringTree, singleKey } from '../kernel/index.ts';
import { emptyLogHead } from '../log/index.ts';
import { loadParser } from '../sql/index.ts';
import { MemoryStore } from '../store/index.ts';
import { createDatabase, inspectDirectory } from './create.ts';
import { Engine, type Recovery } from './engine.ts';
import { identityPath, keyringPath, logDirectory, readWhole, replaceFile, segmentPaths, temporarySuffix } from './files.ts';
import { Follower } from './follower.ts';
import type { EngineHost } from './host.ts';
import { decodeIdentity, firstDifference, identityIsAuthentic } from './identity.ts';
import { KeyHierarchy } from './key-hierarchy.ts';
import { decodeKeyring, Keyring, keyringIsAuthentic } from './keyring.ts';
import { LogIndex } from './log-index.ts';
import { LogWriter } from './log-writer.ts';
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
      throw new VerityError('NO_DATABASE', `There is no database at ${host.disk.root}. Create one with "verity init" or check the path.`);
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

/** Reads verity.json and the keyring, checks them, and unwraps the root key: one call of the provider. */
export async function loadKeys(disk: Disk, provider: MasterKeyProvider): Promise<KeyHierarchy> {
  const files = readKeyFiles(disk);
  const root = await provider.unwrap(files.keyring.slots);
  if (root === undefined) {
    throw new VerityError('WRONG_KEY', `The ${provider.kind} key does not open ${disk.root}. Pass the key, passphrase or recovery code this database was created with.`);
  }
  try {
    checkAuthentic(root, files);
  } catch (error) {
    root.wipe();
    throw error;
  }
  return new KeyHierarchy(root, files.keyring);
}

export interface KeyFiles {
  readonly identityBytes: Uint8Array;
  readonly keyringBytes: Uint8Array;
  readonly keyring: Keyring;
}

/** Reads verity.json and the keyring and checks all that needs no key. Throws CorruptionError. */
export function readKeyFiles(disk: Disk): KeyFiles {
  const identityBytes = required(disk, identityPath);
  const keyringBytes = required(disk, keyringPath);
  const keyring = decodeKeyring(keyringBytes);
  const identity = decodeIdentity(identityBytes);
  if (!(keyring instanceof Keyring)) throw new CorruptionError(keyring.code, keyringPath, keyring.offset, keyring.what);
  if ('what' in identity) {
    // The keyring's copy of verity.json tells where exactly.
    const offset = identity.code === 'CHECKSUM_MISMATCH' ? firstDifference(identityBytes, keyring.identity) : undefined;
    throw new CorruptionError(identity.code, identityPath, offset ?? identity.offset, identity.what);
  }
  if (firstDifference(identity.logId, keyring.logId) !== undefined) {
    throw new CorruptionError('FOREIGN_FILE', keyringPath, 8, 'The keyring of another database lies');
  }
  const difference = firstDifference(identityBytes, keyring.identity);
  if (difference !== undefined) {
    throw new CorruptionError('CHECKSUM_MISMATCH', identityPath, difference, 'Bytes that differ from their copy in the keyring lie');
  }
  return { identityBytes, keyringBytes, keyring };
}

/** Checks that both files were written by a holder of the root key. Throws CorruptionError. */
export function checkAuthentic(root: SecretKey, files: KeyFiles): void {
  const forged = !keyringIsAuthentic(files.keyringBytes, root)
    ? keyringPath
    : identityIsAuthentic(files.identityBytes, root) ? undefined : identityPath;
  if (forged === undefined) return;
  throw new CorruptionError('AUTHENTICATION_FAILED', forged, 0, 'Contents that this database did not write lie');
}

function required(disk: Disk, path: string): Uint8Array {
  const bytes = readWhole(disk, path);
  if (bytes === undefined) throw new CorruptionError('MISSING_DATA', path, 0, 'The whole file is missing: nothing is left');
  return bytes;
}

function openLog(host: EngineHost, hierarchy: KeyHierarchy, settings: OpenSettings): Engine {
  const { disk } = host;
  const state = new KernelState(new MemoryStore());
  const index = new LogIndex();
  const replay: Replay = {
    disk, hierarchy, state, index, ...(settings.onSegment !== undefined && { onSegment: settings.onSegment }),
  };
  const start = emptyLogHead(hierarchy.keyring.logId);
  if (settings.mode === 'follower') {
    const follower = new Follower(replay, start);
    follower.catchUp();
    return new Engine({ host, hierarchy, state, index, head: follower.head, follower, writer: undefined, recovery: { cleanShutdown: true, cut: [] } });
  }
  removeTemporaries(disk);
  const tail = replayLog(replay, start);
  const logged = checkGeneration(disk, hierarchy, state);
  const recovery = repairTail(disk, tail);
  const writer = new LogWriter(disk, tail.path, tail.offset);
  const engine = new Engine({ host, hierarchy, state, index, head: tail.head, writer, recovery, follower: undefined });
  if (!logged) engine.logKeyring(hierarchy.keyring.digest(required(disk, keyringPath)));
  return engine;
}

function removeTemporaries(disk: Disk): void {
  for (const directory of ['', logDirectory]) {
    for (const name of disk.list(directory) ?? []) {
      if (name.endsWith(temporarySuffix)) disk.remove(directory === '' ? name : `${directory}/${name}`);
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
  if (keyring.generation < generation) {
    throw new CorruptionError('KEYRING_ROLLED_BACK', keyringPath, 24, `Generation ${keyring.generation}, older than the log's ${generation}, lies`);
  }
  if (keyring.generation > generation) return false;
  if (!constantTimeEqual(keyring.digest(required(disk, keyringPath)), digest)) {
    throw new CorruptionError('KEYRING_ROLLED_BACK', keyringPath, 0, 'Another keyring of the same generation lies');
  }
  return true;
}

/**
 * Cuts an unfinished write. After an unclean close the last segment is first copied to a new file, since
 * the kernel may show pages of it that never reached the disk; only the flushed copy is appended to.
 */
function repairTail(disk: Disk, tail: LogTail): Recovery {
  if (tail.abandoned !== undefined) {
    for (const path of segmentPaths(disk)) if (path > tail.path) disk.remove(path);
    disk.flushDirectory(logDirectory);
  }
  const cleanShutdown = tail.torn === undefined && tail.abandoned === undefined &&
    (tail.head.lastKind === 'close' || tail.head.op === 0);
  if (cleanShutdown) return { cleanShutdown, cut: [] };
  const bytes = readWhole(disk, tail.path) ?? new Uint8Array();
  replaceFile(disk, tail.path, bytes.subarray(0, tail.offset));
  return {
    cleanShutdown,
    cut: tail.torn === undefined ? [] : [{ file: tail.path, ...tail.torn }],
  };
}
