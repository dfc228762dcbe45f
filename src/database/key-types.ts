/** The public types of `db.keys`. Names are a contract (test/pins). */
import type { MasterKeyProvider, ProviderDescription } from '../crypto/index.ts';

export interface KeysReport {
  /** Counts the changes of the keyring. */
  readonly generation: number;
  /** What this handle was opened with, or rotated to. */
  readonly provider: ProviderDescription;
  /** Ways to the root key. */
  readonly slots: readonly KeySlotReport[];
  /** Those that have written; `tenant` is undefined for the database's own. Numbers of secrets, the newest last. */
  readonly tenants: readonly {
    readonly tenant: string | undefined;
    readonly secrets: readonly number[];
  }[];
  /** Whether data is still sealed under older secrets. */
  readonly rekeyDue: boolean;
  /** Ed25519, raw, base64. */
  readonly publicKey: string;
}

export interface KeySlotReport {
  readonly id: number;
  readonly kind: string;
  readonly parameters: Readonly<Record<string, string | number>>;
}

export interface PublicKeyExport {
  /** Names the key: 'veritydb/' and the log id. */
  readonly name: string;
  readonly algorithm: 'ed25519';
  /** The 32 bytes in base64. */
  readonly publicKey: string;
  /** SubjectPublicKeyInfo. */
  readonly pem: string;
  /** The verifier key of the database's checkpoints: origin, key id and public key (C2SP signed-note). */
  readonly vkey: string;
  /** Those of the keys that signed before, the oldest first. */
  readonly earlierVkeys: readonly string[];
}

/** Which key. Without `tenant` it is the master key: without `masterKey` the provider renews its own. */
export interface RotateOptions {
  /** The new provider, whose slot takes the place of all others but those of recovery codes. */
  readonly masterKey?: MasterKeyProvider;
  /** What becomes of recovery codes. Default 'keep': they open the database as before. */
  readonly recoveryCodes?: 'keep' | 'remove';
  /** Rotates this tenant's key instead. */
  readonly tenant?: string;
}

export interface RotateReport {
  /** Of the keyring as it is now. */
  readonly generation: number;
  readonly slots: readonly KeySlotReport[];
}

export interface RekeyOptions {
  readonly onProgress?: (progress: {
    readonly segmentsDone: number;
    readonly segmentsTotal: number;
    readonly bytesDone: number;
    readonly bytesTotal: number;
  }) => void;
  /** Seals no more than this. */
  readonly bytesPerSecond?: number;
  readonly signal?: AbortSignal;
}

export interface RekeyReport {
  /** Segments that were sealed anew, and their bytes. */
  readonly segments: number;
  readonly bytes: number;
  /** Secrets that nothing needs any more and that the keyring has forgotten. */
  readonly secretsRemoved: number;
}
