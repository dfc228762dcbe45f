import { type Clock, type Disk, type TenantId, VerityError } from '../base/index.ts';
import type { SectionKey } from '../crypto/index.ts';
import { olderKeyring, readKeyFiles } from './key-files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { keyringIsAuthentic } from './keyring-file.ts';

/** A key provider that failed is not asked more often than this. */
const askAgainMicros = 5_000_000;

export interface KeyringFollowerParts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly hierarchy: KeyHierarchy;
  /** Loads the keys as open does: asks the key provider. */
  readonly reload: () => Promise<KeyHierarchy>;
}

/** The keyring on the disk is under another root key than the one that this handle knows. */
export class RootKeyRenewed extends VerityError {
  constructor() {
    super(
      'KEY_PROVIDER_UNAVAILABLE',
      'The owner has rotated the master key, and this handle is asking its key provider for the new one. Try again.',
    );
  }
}

/**
 * Goes on with the keyring that is on the disk now; false, and nothing is changed, if that is under another root key.
 * Throws CorruptionError.
 */
export function readNewerKeyring(disk: Disk, hierarchy: KeyHierarchy): boolean {
  const { keyring, keyringBytes } = readKeyFiles(disk);
  const known = hierarchy.keyring.generation;
  if (keyring.generation < known) throw olderKeyring(keyring.generation, known);
  if (!keyringIsAuthentic(keyringBytes, hierarchy.root)) return false;
  hierarchy.replaceKeyring(keyring);
  return true;
}

/**
 * Keeps a follower's keyring at what the owner has on the disk. Under the same root key a newer keyring is read at
 * once; under another one the key provider is asked, which takes a while.
 */
export class KeyringFollower {
  readonly #parts: KeyringFollowerParts;
  #isAsking = false;
  #failure: { readonly error: unknown; readonly atMicros: number } | undefined;

  constructor(parts: KeyringFollowerParts) {
    this.#parts = parts;
    parts.hierarchy.whenMissing((tenant, secretNumber, epochSalt) =>
      this.#missing(tenant, secretNumber, epochSalt),
    );
  }

  /** Whether the key provider is being asked: there is nothing to follow with until it answers. */
  get isAsking(): boolean {
    return this.#isAsking;
  }

  /**
   * Reads the keyring if it is older than this generation, which the log names. Throws RootKeyRenewed when the provider
   * must be asked, which is under way then, and for a while what the provider's last answer was if that was an error;
   * CorruptionError, with KEYRING_ROLLED_BACK if the file is older than the log.
   */
  follow(generation: number): void {
    const { hierarchy } = this.#parts;
    if (hierarchy.keyring.generation >= generation) return;
    this.#read();
    // A keyring is on the disk before the log names it.
    const found = hierarchy.keyring.generation;
    if (found < generation) throw olderKeyring(found, generation);
  }

  #missing(tenant: TenantId, secretNumber: number, epochSalt: Uint8Array): SectionKey | undefined {
    this.#read();
    return this.#parts.hierarchy.deriveSectionKey(tenant, secretNumber, epochSalt);
  }

  #read(): void {
    const { disk, hierarchy } = this.#parts;
    if (readNewerKeyring(disk, hierarchy)) return;
    this.#ask();
    throw new RootKeyRenewed();
  }

  #ask(): void {
    const { clock, hierarchy, reload } = this.#parts;
    if (this.#isAsking) return;
    const age = clock.now() - (this.#failure?.atMicros ?? 0);
    if (this.#failure !== undefined && age >= 0 && age < askAgainMicros) throw this.#failure.error;
    this.#isAsking = true;
    reload().then(
      (fresh) => {
        this.#isAsking = false;
        this.#failure = undefined;
        hierarchy.replaceKeyring(fresh.keyring, fresh.root);
      },
      (error: unknown) => {
        this.#isAsking = false;
        this.#failure = { error, atMicros: clock.now() };
      },
    );
  }
}
