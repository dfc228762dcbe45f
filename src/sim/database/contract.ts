/**
 * What the simulator needs of a database. The SDK's handles are of this form; the simulator does not import them, so
 * that it stays below the shell, and tests can pass a database with a planted fault.
 */
import type { Disk } from '../../base/index.ts';
import type { MasterKeyProvider } from '../../crypto/index.ts';
import type { EngineHost } from '../../engine/index.ts';

export type SimValue = number | string | null;

export interface SimResult {
  readonly rows: readonly Record<string, unknown>[];
  readonly position: bigint;
  /** Where it was asked for. */
  readonly proof?: string;
}

export interface SimDone {
  readonly position: bigint;
  readonly rowCount: number;
}

export interface SimCommandOptions {
  readonly actor?: string;
}

export interface SimTransaction {
  execute(sql: string, parameters?: readonly SimValue[]): Promise<SimDone>;
  query(sql: string, parameters?: readonly SimValue[]): Promise<SimResult>;
}

export interface SimChange {
  readonly position: bigint;
  readonly actor: string | undefined;
  readonly kind: string;
  readonly table: string;
  readonly key: Readonly<Record<string, unknown>>;
  readonly before: Readonly<Record<string, unknown>> | undefined;
  readonly after: Readonly<Record<string, unknown>> | undefined;
}

export interface SimTenant {
  readonly name: string;
  execute(
    sql: string,
    parameters?: readonly SimValue[],
    options?: SimCommandOptions,
  ): Promise<SimDone>;
  query(
    sql: string,
    parameters?: readonly SimValue[],
    options?: { readonly prove?: true },
  ): Promise<SimResult>;
  queryAt(sql: string, parameters: readonly SimValue[], at: bigint): Promise<SimResult>;
  transaction<T>(body: (tx: SimTransaction) => Promise<T>, options?: SimCommandOptions): Promise<T>;
  append(
    stream: string,
    events: readonly unknown[],
    options?: SimCommandOptions & { readonly expectedVersion?: number },
  ): Promise<{ readonly position: bigint }>;
  read(stream: string): AsyncIterable<{ readonly data: unknown }>;
  changes(): AsyncIterable<SimChange>;
  tables(): Promise<readonly { readonly name: string }[]>;
}

export interface SimReport {
  readonly ok: boolean;
  readonly findings: readonly { readonly code: string; readonly message: string }[];
}

export interface SimStatus {
  readonly logId: string;
  readonly position: bigint;
  /** The newest frame's op. */
  readonly frames: number;
  readonly chainHash: string;
  readonly segments: number;
  readonly poisoned: boolean;
  readonly recovery: { readonly cleanShutdown: boolean; readonly cut: readonly unknown[] };
}

/** A signed checkpoint. */
export interface SimCheckpoint {
  readonly note: string;
  readonly size: bigint;
  readonly root: string;
  readonly position: bigint;
  readonly chainHash: string;
  readonly stateHash?: { readonly hash: string; readonly position: bigint };
}

interface SimProofs {
  checkpoint(): Promise<SimCheckpoint>;
  list(): readonly SimCheckpoint[];
  vkeys(): readonly string[];
  inclusion(
    leaf: number,
    size?: number,
  ): Promise<{ readonly size: bigint; readonly hashes: readonly string[] }>;
  consistency(from: number, to: number): Promise<{ readonly hashes: readonly string[] }>;
}

interface SimKeys {
  exportPublic(): { readonly vkey: string };
  rotate(options: {
    readonly masterKey?: MasterKeyProvider;
    readonly tenant?: string;
  }): Promise<{ readonly generation: number }>;
  rotateSigningKey(): Promise<unknown>;
  rekey(options?: {
    readonly bytesPerSecond?: number;
    readonly signal?: { readonly aborted: boolean };
  }): Promise<unknown>;
  list(): {
    readonly generation: number;
    readonly tenants: readonly {
      readonly tenant: string | undefined;
      readonly secrets: readonly number[];
    }[];
    readonly rekeyDue: boolean;
  };
}

export interface SimDatabase {
  readonly keys: SimKeys;
  readonly proofs: SimProofs;
  createTenant(name: string): Promise<SimTenant>;
  tenant(name: string): SimTenant;
  tenants(): readonly string[];
  status(): SimStatus;
  stateHash(): Promise<{ readonly hash: string }>;
  verify(): Promise<SimReport>;
  copyOnto(target: Disk): Promise<{ readonly frames: number; readonly chainHash: string }>;
  close(): Promise<void>;
}

/** How a database is sealed: as `open` takes it, and as every open of it must be given it. */
export interface Suite {
  readonly encryption?: 'none';
  readonly algorithm?: 'aes-256-gcm' | 'chacha20-poly1305';
  readonly compression?: 'none' | 'brotli';
}

/** Opens, or creates, the database on `host`: `Verity.openOn`, or one with a planted fault. */
export type OpenDatabase = (
  host: EngineHost,
  options: Suite & {
    /** Absent in plain mode. */
    readonly masterKey?: MasterKeyProvider;
    readonly readOnly: boolean;
    readonly create: boolean;
    readonly onWarning: (warning: string) => void;
  },
) => Promise<SimDatabase>;

/** Repairs the database on `host` from the one on `copy`: `Verity.repairOn`, or one with a planted fault. */
export type RepairDatabase = (
  host: EngineHost,
  copy: EngineHost,
  options: Pick<Suite, 'encryption'> & {
    readonly masterKey?: MasterKeyProvider;
    readonly from: string;
  },
) => Promise<RepairOutcome>;

/** Whether all is sound now, and what is not. */
export interface RepairOutcome {
  readonly ok: boolean;
  readonly verification?: { readonly findings: readonly { readonly file: string }[] };
}

/** The database under test. */
export interface DatabaseUnderTest {
  readonly open: OpenDatabase;
  readonly repair: RepairDatabase;
}
