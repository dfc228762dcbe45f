import {
  assert,
  type Disk,
  systemTenant,
  type TenantId,
  toHex,
  utf8Decode,
  VerityError,
} from '../base/index.ts';
import { auditDatabase } from '../audit/index.ts';
import { Reader, decodeKey } from '../codec/index.ts';
import { deriveKey, type SecretKey } from '../crypto/index.ts';
import {
  type Engine,
  type EngineHost,
  fileBytes,
  lastingKey,
  openEngine,
  readSuite,
  segmentPaths,
} from '../engine/index.ts';
import { acquireLock, type DirectoryLock } from '../host/index.ts';
import { checkName, nameKey, tenantsTree } from '../kernel/index.ts';
import { checkOptions, originOf } from './arguments.ts';
import type { AuditOptions, AuditReport } from './audit-types.ts';
import { auditDirectory, verifyDirectory } from './audits.ts';
import { Attestation, compareWithWitnesses } from './attestation.ts';
import { copyDirectory, copyHandle, copyHandleOnto } from './copies.ts';
import { checkDeadline, commandLate, withDeadline } from './deadline.ts';
import { KeyAccess, keyCheckTimes, warnOfForeignSlot } from './key-access.ts';
import { keyCacheBounds } from './key-cache.ts';
import { DatabaseKeys } from './keys.ts';
import { type ExportOptions, type ExportReport, exportTenant } from './export.ts';
import { type DatabaseProofs, proofSettingsOf, Proofs } from './proofs.ts';
import { repairDirectory, repairOn } from './repairs.ts';
import {
  failureHandler,
  memoryOfProcess,
  securityOf,
  securityRecords,
  subjectsOf,
  warnOfOpenDirectory,
} from './security.ts';
import type { TimestampForm } from './results.ts';
import { StatementCache } from './statements.ts';
import { verifyReportOf } from './verify-report.ts';
import { cacheBytesOf, stateHashOf, storeStatusOf } from './store-options.ts';
import { isPlain, wantedSuite, warnOfPlainMode } from './suite-options.ts';
import { hostFor, memoryPath, providerOf } from './surroundings.ts';
import { Tenant } from './tenant.ts';
import type { DatabaseTimeStamps } from './timestamps.ts';
import type {
  CommandOptions,
  CopyOptions,
  LogCopyReport,
  OpenOptions,
  Progress,
  RebuildStoreOptions,
  RepairOptions,
  RepairReport,
  SecurityRecord,
  StateHash,
  Status,
  TenantHandle,
  VerifyReport,
} from './types.ts';
import type { DatabaseWitnesses } from './witnesses.ts';

const requestKeyPurpose = 'veritydb/request-fingerprint/v1';

interface Parts {
  readonly host: EngineHost;
  readonly engine: Engine;
  readonly lock: DirectoryLock | undefined;
  readonly timestamps: TimestampForm;
  readonly keyAccess: KeyAccess;
  readonly attestation: Attestation;
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
  /** Lists, rotates and exports keys, and rekeys what older ones sealed. */
  readonly keys: DatabaseKeys;
  /** Signed checkpoints of the log, and proofs from its Merkle tree. */
  readonly proofs: DatabaseProofs;
  /** Who cosigns checkpoints, and was asked at open whether the log is the newest that they know. */
  readonly witnesses: DatabaseWitnesses;
  /** Who stamps checkpoints with the time. */
  readonly timestamps: DatabaseTimeStamps;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.#engine = parts.engine;
    const { keyring, root } = parts.engine.hierarchy;
    // Not from the root key: a request must be known again after the master key was rotated.
    const lasting = lastingKey(keyring, root);
    this.#requestKey = deriveKey(lasting, requestKeyPurpose);
    lasting.wipe();
    const { engine, host, keyAccess: access } = parts;
    this.keys = new DatabaseKeys({ engine, host, access });
    this.proofs = new Proofs(engine);
    this.witnesses = parts.attestation.witnesses;
    this.timestamps = parts.attestation.timestamps;
  }

  /**
   * Opens the database in directory `path`, creating it when absent or empty; ':memory:' gives one that
   * lives in this process only. Throws KEY_MISSING, WRONG_KEY, KEY_PROVIDER_UNAVAILABLE, KEY_PROVIDER_DENIED,
   * DATABASE_LOCKED, NOT_A_DATABASE, NO_DATABASE, FORMAT_UNSUPPORTED, READ_ONLY, and CorruptionError for damage.
   */
  static async open(path: string, options: OpenOptions = {}): Promise<Verity> {
    checkOptions(options);
    wantedSuite(options);
    const memory = path === memoryPath;
    const readOnly = options.readOnly === true;
    const host = hostFor(path, readOnly, options.scratchDirectory);
    const provider = providerOf(options, memory);
    const lock = memory || readOnly ? undefined : lockFor(host, path, options);
    try {
      const db = await Verity.openOn(host, { ...options, masterKey: provider }, lock);
      if (!memory) warnOfOpenDirectory(host.disk.root, options.onWarning);
      return db;
    } catch (error) {
      lock?.release();
      throw error;
    }
  }

  /**
   * Opens a database on a given disk, clock, entropy and scheduler: what `open` does on Node's, and the
   * simulator on its own. The caller sees to it that one owner at a time has the disk.
   */
  static async openOn(on: EngineHost, options: OpenOptions, lock?: DirectoryLock): Promise<Verity> {
    const host = { ...on, proofs: { ...on.proofs, ...proofSettingsOf(options) } };
    const { onProgress, timestamps = 'date' } = options;
    let isOpen = false;
    if (timestamps !== 'date' && timestamps !== 'microseconds') {
      throw new VerityError('INVALID_ARGUMENT', "timestamps must be 'date' or 'microseconds'.");
    }
    keyCheckTimes(options);
    keyCacheBounds(options);
    const cacheBytes = cacheBytesOf(options);
    const provider = providerOf(options, false);
    const engine = await openEngine(host, {
      provider,
      suite: wantedSuite(options),
      mode: options.readOnly === true ? 'follower' : 'owner',
      create: options.create ?? true,
      ...(options.acceptRollback !== undefined && { acceptRollback: options.acceptRollback }),
      keyCache: keyCacheBounds(options),
      admit: (opened) => compareWithWitnesses(opened, options),
      ...(cacheBytes !== undefined && { cacheBytes }),
      // What ends the opening is thrown and needs no warning.
      onSecurityFailure: failureHandler(options, () => isOpen),
      ...(onProgress !== undefined && {
        onSegment: (done: number, total: number) => onProgress({ phase: 'replay', done, total }),
      }),
    });
    if (isPlain(options)) warnOfPlainMode(host.disk.root, options.onWarning);
    warnOfForeignSlot({ engine, provider, root: host.disk.root }, options.onWarning);
    isOpen = true;
    const keyAccess = new KeyAccess(provider, engine, host.scheduler, options);
    const attestation = new Attestation({ engine, host, options });
    attestation.begin();
    return new Verity({ host, engine, lock, timestamps, keyAccess, attestation });
  }

  /**
   * Verifies the database in `path` without opening it for writing; beside a running owner too. `withoutKey`: only
   * what needs no key, which is checksums, digests, layout and chain.
   */
  static async verify(
    path: string,
    options: Pick<
      OpenOptions,
      'masterKey' | 'encryption' | 'cacheBytes' | 'scratchDirectory' | 'onProgress' | 'onWarning'
    > & { readonly withoutKey?: boolean },
  ): Promise<VerifyReport> {
    return verifyDirectory(path, options);
  }

  /**
   * Audits the database in `path`, beside a running owner too, with all cores: every byte, and with the key every record, value,
   * index and version against the log. Damage is in `findings`, with the first bad byte and what is affected (docs/audit.md).
   */
  static async audit(path: string, options: AuditOptions): Promise<AuditReport> {
    return auditDirectory(path, options);
  }

  /**
   * How the database in `path` says it is encrypted, without its key and so without proof; undefined if there is
   * none or it cannot be told. For choosing what to open it with.
   */
  static encryptionOf(path: string): Status['encryption'] | undefined {
    return readSuite(hostFor(path, true).disk)?.algorithm;
  }

  /**
   * Repairs the database in `path`, which nobody may have open: with `from`, takes what is damaged or missing from
   * another copy of it, as far as the chain proves it; with `cutTail`, cuts the log at its first bad frame. What is
   * replaced or cut is kept below `damaged/`. Throws CorruptionError, with nothing changed, where that does not help.
   */
  static async repair(path: string, options: RepairOptions): Promise<RepairReport> {
    return repairDirectory(path, options);
  }

  /** What `repair` does, on given disks, as `openOn` opens on one. */
  static readonly repairOn = repairOn;

  /**
   * Copies the database in `path` to the new or empty directory `out`, also while another process writes it. The
   * copy opens with the same key and has an instance id of its own.
   */
  static async copyLog(
    path: string,
    out: string,
    options: CopyOptions & Pick<OpenOptions, 'masterKey' | 'encryption'>,
  ): Promise<LogCopyReport> {
    return copyDirectory(path, out, options);
  }

  /** Copies this database, as it is now and while it is used, to the new or empty directory `out`. */
  async copyLog(out: string, options: CopyOptions = {}): Promise<LogCopyReport> {
    this.#engine.checkOpen();
    return copyHandle({ engine: this.#engine, host: this.#parts.host }, out, options);
  }

  /** As `copyLog`, to a given empty disk. */
  async copyOnto(target: Disk, options: CopyOptions = {}): Promise<LogCopyReport> {
    this.#engine.checkOpen();
    return copyHandleOnto({ engine: this.#engine, host: this.#parts.host }, target, options);
  }

  /** Creates a tenant. Throws TENANT_EXISTS. */
  async createTenant(name: string, options: CommandOptions = {}): Promise<TenantHandle> {
    checkDeadline(options);
    const origin = originOf(options, { requestKey: this.#requestKey, tenant: systemTenant }, () => [
      'createTenant',
      name,
    ]);
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
    return this.#handle(name, this.#tenantId(name));
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
    // So that there is one to compare. What stops it is found below.
    await this.#engine.stateHash().catch(() => undefined);
    const report = await auditDatabase({
      disk: this.#parts.host.disk,
      entropy: this.#parts.host.entropy,
      scheduler: this.#parts.host.scheduler,
      ...scratchOption(this.#parts.host),
      root: this.#engine.hierarchy,
      live: () => ({
        head: this.#engine.head,
        store: this.#engine.walked,
        owner: !this.#engine.readOnly && !this.#engine.poisoned,
        busy: this.#engine.busy,
        stateHash: this.#engine.stateHashKnown,
      }),
      security: this.#engine.hierarchy.security,
      ...progressOption(options.onProgress),
    });
    return verifyReportOf(report);
  }

  /**
   * Makes the store anew from the log while the database is used, e.g. when `status().store.damage` tells of damaged
   * pages; resolves when that is durable. Until then it takes up to `cacheBytes` more memory, and disk for a second
   * store. Throws CorruptionError for damage of the log, DISK_FULL, READ_ONLY, CLOSED; then all is as before, or, with
   * DISK_FULL, the new store is in use already and written when there is room.
   */
  async rebuildStore({ onProgress }: RebuildStoreOptions = {}): Promise<void> {
    await this.#engine.rebuildStore(
      onProgress && ((done, total) => onProgress({ phase: 'replay', done, total })),
    );
  }

  /**
   * The state hash of what is committed now. It is kept from checkpoint to checkpoint; this does what is left to do, in
   * slices, about 3 µs for each row that changed since. Throws CLOSED, DATABASE_POISONED, and CorruptionError for damage of the store.
   */
  async stateHash(): Promise<StateHash> {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    return stateHashOf(await this.#engine.stateHash());
  }

  /**
   * Writes everything of a tenant as it is now to files in a new or empty directory: rows, streams, and with `withProofs` what
   * proves them to anyone (docs/format/export.md). Rejects with UNKNOWN_TENANT, INVALID_ARGUMENT, IO_ERROR, and READ_ONLY where
   * that takes a checkpoint and this handle only reads.
   */
  async exportTenant(name: string, options: ExportOptions): Promise<ExportReport> {
    this.#engine.checkReadable();
    this.#engine.catchUp();
    return exportTenant(this.#engine, { id: this.#tenantId(name), name }, options);
  }

  /** What this handle is and where it stands. No secrets. */
  status(): Status {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const { head, hierarchy, recovery, stateHashKnown: known } = this.#engine;
    const { host, keyAccess } = this.#parts;
    const { disk } = host;
    const segments = segmentPaths(disk);
    const identity = JSON.parse(utf8Decode(hierarchy.keyring.identity)) as { revision: number };
    return {
      path: disk.root,
      formatRevision: identity.revision,
      logId: toHex(head.logId),
      origin: this.#engine.proofs.origin,
      readOnly: this.#engine.readOnly,
      poisoned: this.#engine.poisoned,
      encryption: hierarchy.suite.algorithm,
      compression: hierarchy.suite.compression,
      keySlots: hierarchy.keyring.slots.map(({ id, kind }) => ({ id, kind })),
      ...(keyAccess.state && { keyProvider: keyAccess.state }),
      position: BigInt(head.position),
      frames: head.op,
      events: head.leafCount,
      tenants: this.tenants(),
      chainHash: toHex(head.chainHash),
      ...(known && { stateHash: stateHashOf(known) }),
      logBytes: segments.reduce((sum, path) => sum + fileBytes(disk, path), 0),
      segments: segments.length,
      store: storeStatusOf(this.#engine, disk),
      subjects: subjectsOf(this.#engine),
      security: securityOf(this.#engine),
      memory: memoryOfProcess(),
      recovery: {
        cleanShutdown: recovery.cleanShutdown,
        cut: recovery.cut.map(({ file, offset, length }) => ({
          code: 'CHECKSUM_MISMATCH' as const,
          file,
          offset,
          message: `An unfinished write of ${length} bytes, never acknowledged, was cut from ${file} at byte ${offset}.`,
        })),
        ...(recovery.anchorRenewed === true && { anchorRenewed: true }),
      },
    };
  }

  /** The log's own records of failures of authentication, oldest first. */
  async *securityRecords(): AsyncGenerator<SecurityRecord, undefined> {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    yield* securityRecords(this.#engine);
    return undefined;
  }

  /** Adds a second way in, for when the master key is lost, and returns it: print it, keep it apart, it is not stored. */
  async addRecoveryCode(): Promise<string> {
    return this.keys.addRecoveryCode();
  }

  /** Makes everything durable, marks the clean end of the log, wipes the keys and gives the lock back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#parts.keyAccess.stop();
    this.#parts.attestation.stop();
    try {
      await this.#engine.close();
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

  /** Throws UNKNOWN_TENANT. */
  #tenantId(name: string): TenantId {
    checkName('tenant', name);
    const stored = this.#engine.state.store.get(tenantsTree, nameKey(name));
    if (stored !== undefined) return new Reader(stored.row).u32() as TenantId;
    throw new VerityError(
      'UNKNOWN_TENANT',
      `There is no tenant named "${name}". Create it with db.createTenant().`,
    );
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

function scratchOption({ scratch }: EngineHost): Pick<EngineHost, 'scratch'> {
  return scratch === undefined ? {} : { scratch };
}

function progressOption(onProgress: ((progress: Progress) => void) | undefined): {
  onProgress?: (done: number, total: number) => void;
} {
  return onProgress === undefined
    ? {}
    : { onProgress: (done, total) => onProgress({ phase: 'verify', done, total }) };
}
