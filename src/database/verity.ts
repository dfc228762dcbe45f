import {
  assert,
  systemTenant,
  type TenantId,
  toHex,
  utf8Decode,
  VerityError,
} from '../base/index.ts';
import { verifyDatabase } from '../audit/index.ts';
import { Reader, decodeKey } from '../codec/index.ts';
import { deriveKey, type MasterKeyProvider, SecretKey } from '../crypto/index.ts';
import {
  type Engine,
  type EngineHost,
  inspectDirectory,
  openEngine,
  readWhole,
  segmentPaths,
} from '../engine/index.ts';
import {
  acquireLock,
  type DirectoryLock,
  memoryDisk,
  nodeDisk,
  systemClock,
  systemEntropy,
  systemScheduler,
} from '../host/index.ts';
import { fromRecoveryCode, generateRecoveryCode, wrapSlot, unwrapSlot } from '../keys/index.ts';
import { checkName, nameKey, tenantsTree } from '../kernel/index.ts';
import type { MemoryStore } from '../store/index.ts';
import { checkOptions, originOf } from './arguments.ts';
import { checkDeadline, commandLate, withDeadline } from './deadline.ts';
import type { TimestampForm } from './results.ts';
import { StatementCache } from './statements.ts';
import { Tenant } from './tenant.ts';
import type {
  CommandOptions,
  OpenOptions,
  Progress,
  Status,
  TenantHandle,
  VerifyReport,
} from './types.ts';

const requestKeyPurpose = 'veritydb/request-fingerprint/v1';
const memoryPath = ':memory:';

interface Parts {
  readonly host: EngineHost;
  readonly engine: Engine;
  readonly lock: DirectoryLock | undefined;
  readonly timestamps: TimestampForm;
}

/**
 * An open database. One process owns it for writing; others open it with `readOnly` and follow its log.
 * Close it, or declare it with `await using`.
 */
export class Verity {
  readonly #parts: Parts;
  readonly #engine: Engine;
  readonly #statements = new StatementCache();
  readonly #requestKey: SecretKey;
  #closed = false;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#engine = parts.engine;
    this.#requestKey = deriveKey(parts.engine.hierarchy.root, requestKeyPurpose);
  }

  /**
   * Opens the database in directory `path`, creating it when absent or empty; ':memory:' gives one that
   * lives in this process only. Throws KEY_MISSING, WRONG_KEY, DATABASE_LOCKED, NOT_A_DATABASE, NO_DATABASE,
   * FORMAT_UNSUPPORTED, READ_ONLY, and CorruptionError for damage.
   */
  static async open(path: string, options: OpenOptions = {}): Promise<Verity> {
    checkOptions(options);
    const memory = path === memoryPath;
    const readOnly = options.readOnly === true;
    const host = hostFor(path, readOnly);
    const provider = providerOf(options, memory);
    const lock = memory || readOnly ? undefined : lockFor(host, path, options);
    try {
      return await Verity.openOn(host, { ...options, masterKey: provider }, lock);
    } catch (error) {
      lock?.release();
      throw error;
    }
  }

  /**
   * Opens a database on a given disk, clock, entropy and scheduler: what `open` does on Node's, and the
   * simulator on its own. The caller sees to it that one owner at a time has the disk.
   */
  static async openOn(
    host: EngineHost,
    options: OpenOptions,
    lock?: DirectoryLock,
  ): Promise<Verity> {
    const { onProgress, timestamps = 'date' } = options;
    if (timestamps !== 'date' && timestamps !== 'microseconds') {
      throw new VerityError('INVALID_ARGUMENT', "timestamps must be 'date' or 'microseconds'.");
    }
    const engine = await openEngine(host, {
      provider: providerOf(options, false),
      mode: options.readOnly === true ? 'follower' : 'owner',
      create: options.create ?? true,
      ...(onProgress !== undefined && {
        onSegment: (done: number, total: number) => onProgress({ phase: 'replay', done, total }),
      }),
    });
    return new Verity({ host, engine, lock, timestamps });
  }

  /** Verifies the database in `path` without opening it for writing; beside a running owner too. */
  static async verify(
    path: string,
    options: Pick<OpenOptions, 'masterKey' | 'onProgress'>,
  ): Promise<VerifyReport> {
    const { disk, entropy } = hostFor(path, true);
    if (inspectDirectory(disk) !== 'database') {
      throw new VerityError('NO_DATABASE', `There is no database at ${path}. Check the path.`);
    }
    const report = await verifyDatabase({
      disk,
      entropy,
      root: providerOf(options, false),
      ...progressOption(options.onProgress),
    });
    return { ...report, position: BigInt(report.position), findings: [...report.findings] };
  }

  /** Creates a tenant. Throws TENANT_EXISTS. */
  async createTenant(name: string, options: CommandOptions = {}): Promise<TenantHandle> {
    checkDeadline(options);
    const origin = originOf(options, { requestKey: this.#requestKey, tenant: systemTenant });
    const result = await withDeadline(
      this.#engine.submit({ kind: 'createTenant', name, origin }),
      options,
      commandLate,
    );
    assert(result.outcome.tenant !== undefined, 'a created tenant has an id');
    return this.#handle(name, result.outcome.tenant);
  }

  /** The tenant of this name. Throws UNKNOWN_TENANT. */
  tenant(name: string): TenantHandle {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    checkName('tenant', name);
    const stored = this.#engine.state.store.get(tenantsTree, nameKey(name));
    if (stored === undefined) {
      throw new VerityError(
        'UNKNOWN_TENANT',
        `There is no tenant named "${name}". Create it with db.createTenant().`,
      );
    }
    return this.#handle(name, new Reader(stored.row).u32() as TenantId);
  }

  /** The names of all tenants, sorted. */
  tenants(): string[] {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const names: string[] = [];
    const cursor = this.#engine.state.store.scan(tenantsTree, {});
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      names.push(decodeKey([{ name: 'text' }], entry.key)[0] as string);
    }
    return names;
  }

  /** Reads every byte of the database and compares it with what this handle serves. Damage is in `findings`. */
  async verify(
    options: { readonly onProgress?: (progress: Progress) => void } = {},
  ): Promise<VerifyReport> {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const report = await verifyDatabase({
      disk: this.#parts.host.disk,
      entropy: this.#parts.host.entropy,
      root: this.#engine.hierarchy.root,
      live: () => ({
        head: this.#engine.head,
        store: this.#engine.state.store as MemoryStore,
        owner: !this.#engine.readOnly && !this.#engine.poisoned,
      }),
      ...progressOption(options.onProgress),
    });
    return { ...report, position: BigInt(report.position), findings: [...report.findings] };
  }

  /** What this handle is and where it stands. No secrets. */
  status(): Status {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const { head, hierarchy, recovery } = this.#engine;
    const { disk } = this.#parts.host;
    const segments = segmentPaths(disk);
    const identity = JSON.parse(utf8Decode(hierarchy.keyring.identity)) as {
      revision: number;
      algorithm: string;
    };
    return {
      path: disk.root,
      formatRevision: identity.revision,
      logId: toHex(head.logId),
      readOnly: this.#engine.readOnly,
      poisoned: this.#engine.poisoned,
      encryption: identity.algorithm,
      keySlots: hierarchy.keyring.slots.map(({ id, kind }) => ({ id, kind })),
      position: BigInt(head.position),
      frames: head.op,
      events: head.leafCount,
      tenants: this.tenants(),
      chainHash: toHex(head.chainHash),
      logBytes: segments.reduce((sum, path) => sum + (readWhole(disk, path)?.length ?? 0), 0),
      segments: segments.length,
      recovery: {
        cleanShutdown: recovery.cleanShutdown,
        cut: recovery.cut.map(({ file, offset, length }) => ({
          code: 'CHECKSUM_MISMATCH' as const,
          file,
          offset,
          message: `An unfinished write of ${length} bytes, never acknowledged, was cut from ${file} at byte ${offset}.`,
        })),
      },
    };
  }

  /** Adds a second way in, for when the master key is lost, and returns it: print it, keep it apart, it is not stored. */
  async addRecoveryCode(): Promise<string> {
    this.#engine.checkWritable();
    const code = generateRecoveryCode();
    const slot = await fromRecoveryCode(code).wrap(this.#engine.hierarchy.root);
    this.#engine.storeKeyring((keyring) => keyring.addSlot(slot));
    return code;
  }

  /** Makes everything durable, marks the clean end of the log, wipes the keys and gives the lock back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#engine.close();
    } finally {
      this.#requestKey.wipe();
      this.#parts.lock?.release();
      // Callers of commands that were under way get their answers before close() returns.
      await new Promise<void>((resolve) => this.#parts.host.scheduler.defer(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #handle(name: string, tenant: TenantId): TenantHandle {
    assert(tenant !== systemTenant, 'the system tenant has no handle');
    return new Tenant({
      name,
      tenant,
      engine: this.#engine,
      statements: this.#statements,
      timestamps: this.#parts.timestamps,
      requestKey: this.#requestKey,
    });
  }
}

function providerOf(options: Pick<OpenOptions, 'masterKey'>, memory: boolean): MasterKeyProvider {
  if (options.masterKey !== undefined) return checkedProvider(options.masterKey);
  if (memory) return ephemeralProvider();
  throw new VerityError(
    'KEY_MISSING',
    'No master key was given. Pass { masterKey: keys.fromFile(…) }, keys.fromEnv() or keys.fromPassphrase(…).',
  );
}

function checkedProvider(given: MasterKeyProvider): MasterKeyProvider {
  const provider = given as Partial<MasterKeyProvider> | null;
  if (typeof provider?.wrap === 'function' && typeof provider.unwrap === 'function') return given;
  throw new VerityError(
    'KEY_INVALID',
    'masterKey must come from keys.fromFile(…), keys.fromEnv() or keys.fromPassphrase(…).',
  );
}

/** A key that lives as long as the ':memory:' database it is for. */
function ephemeralProvider(): MasterKeyProvider {
  const master = new SecretKey(systemEntropy.bytes(32));
  return {
    kind: 'memory',
    wrap: async (root) => wrapSlot(master, root, 'memory', new Uint8Array()),
    unwrap: async (slots) =>
      slots.map((slot) => unwrapSlot(master, slot)).find((root) => root !== undefined),
  };
}

function hostFor(path: string, readOnly: boolean): EngineHost {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'The path of a database must be a non-empty string without U+0000.',
    );
  }
  const disk = path === memoryPath ? memoryDisk() : nodeDisk(path, { readOnly });
  return { disk, clock: systemClock, entropy: systemEntropy, scheduler: systemScheduler };
}

/** Takes the lock; only where there is a database, or one may be created. */
function lockFor(host: EngineHost, path: string, options: OpenOptions): DirectoryLock {
  const names = host.disk.list('');
  const there = names !== undefined && names.length > 0;
  if (!there && options.create === false) {
    throw new VerityError(
      'NO_DATABASE',
      `There is no database at ${path}. Create one with "verity init" or check the path.`,
    );
  }
  if (names === undefined) host.disk.makeDirectory('');
  return acquireLock(host.disk.root);
}

function progressOption(onProgress: ((progress: Progress) => void) | undefined): {
  onProgress?: (done: number, total: number) => void;
} {
  return onProgress === undefined
    ? {}
    : { onProgress: (done, total) => onProgress({ phase: 'verify', done, total }) };
}
