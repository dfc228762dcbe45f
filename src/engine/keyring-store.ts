import { assert, type Position, type TenantId, VerityError } from '../base/index.ts';
import type { SecretKey } from '../crypto/index.ts';
import type { Command } from '../kernel/index.ts';
import { isDiskFull } from './commit-errors.ts';
import { keyringPath, smallFileBytesMax, writeTemporary } from './files.ts';
import type { EngineHost } from './host.ts';
import { checkSlotKinds } from './identity.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { encodeKeyring } from './keyring-file.ts';
import type { Keyring } from './keyring.ts';

export interface KeyringStoreParts {
  readonly host: EngineHost;
  readonly hierarchy: KeyHierarchy;
  /** The newest generation that a durable record in the log names; 0 without one. */
  readonly logged: () => number;
  /** Throws unless commands are accepted. */
  readonly checkWritable: () => void;
  /** Decides a command that cannot be refused and puts it into the frame being gathered; its position. */
  readonly gather: (command: Command) => Position;
  /** Poisons the handle: what is on the disk is not known any more. */
  readonly fail: (cause: unknown) => void;
}

/** A keyring that no durable frame names yet. */
interface Unlogged {
  readonly digest: Uint8Array;
  /** Where its record stands; undefined while no frame holds one. */
  position: Position | undefined;
  /** Whether that frame is on its way to the disk. */
  isWritten: boolean;
}

/**
 * The keyring's file and its record in the log. Keys are durable in the keyring before the first frame
 * that uses them; generation and digest of each keyring are logged with the next frame.
 *
 * Invariant: the file is at most one generation ahead of the log, whatever frame is lost. A keyring whose record was
 * not written yet is replaced under the same generation; one whose record is on its way is not replaced until that is
 * known to be durable.
 */
export class KeyringStore {
  readonly #parts: KeyringStoreParts;
  #unlogged: Unlogged | undefined;
  /** Those who wait until no record is on its way. */
  #waiting: (() => void)[] = [];

  constructor(parts: KeyringStoreParts) {
    this.#parts = parts;
  }

  /**
   * Replaces the keyring file by a changed one, as soon as it may be, and resolves when its record is durable, or was
   * refused and goes with a later frame. `change` gets a copy and returns the root key of the new keyring if that is
   * another. If this fails the keyring in use stays as it was: nothing may be sealed under keys that only memory holds.
   */
  async change(change: (next: Keyring) => SecretKey | undefined): Promise<void> {
    while (this.#isOnItsWay) {
      this.#parts.host.onRarePath?.('keyring change waited');
      await this.#landing();
    }
    this.#store(change);
    await this.#landing();
    this.#parts.checkWritable();
  }

  /** Logs the keyring's generation and digest: with the next frame, or the one after if that is refused. */
  log(digest: Uint8Array): void {
    this.#unlogged = { digest, position: undefined, isWritten: false };
    this.#gather(this.#unlogged);
  }

  /**
   * Called before a frame is built, with the tenants whose events it holds: those that write for the first time
   * get keys, durable in the keyring before the frame that uses them. Throws if that must wait for a frame that is
   * on its way.
   */
  prepare(tenants: Iterable<TenantId>): void {
    const { host, hierarchy } = this.#parts;
    const { keyring, root } = hierarchy;
    const without: TenantId[] = [];
    for (const tenant of tenants) if (!keyring.has(tenant)) without.push(tenant);
    if (without.length > 0) {
      if (this.#isOnItsWay) {
        host.onRarePath?.('batch waited for a keyring');
        throw new VerityError('OVERLOADED', 'The record of the last keyring is on its way.');
      }
      this.#store((next) => {
        for (const tenant of without) next.addTenant(tenant, root, host.entropy);
        return undefined;
      });
    }
    const unlogged = this.#unlogged;
    if (unlogged !== undefined && unlogged.position === undefined) this.#gather(unlogged);
  }

  /** What was gathered is on its way to the disk. */
  written(): void {
    if (this.#unlogged?.position !== undefined) this.#unlogged.isWritten = true;
  }

  /** Everything up to `position` is durable; whether that holds the record of a new keyring. */
  committed(position: Position): boolean {
    const recorded = this.#unlogged?.position;
    if (recorded === undefined || recorded > position) return false;
    this.#unlogged = undefined;
    this.#wake();
    return true;
  }

  /** Everything that is not durable was dropped. */
  dropped(): void {
    if (this.#unlogged !== undefined) {
      this.#unlogged.position = undefined;
      this.#unlogged.isWritten = false;
    }
    this.#wake();
  }

  get #isOnItsWay(): boolean {
    return this.#unlogged?.isWritten === true;
  }

  /** Resolves when the newest record is durable or was dropped. */
  #landing(): Promise<void> {
    if (this.#unlogged?.position === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }

  #store(change: (next: Keyring) => SecretKey | undefined): void {
    const { hierarchy, checkWritable, logged } = this.#parts;
    checkWritable();
    const next = hierarchy.keyring.copy();
    const root = change(next) ?? hierarchy.root;
    checkSlotKinds(hierarchy.suite, next.slots);
    next.generation = logged() + 1;
    assert(next.generation >= hierarchy.keyring.generation, 'a generation does not go back');
    const bytes = encodeKeyring(next, root);
    if (bytes.length > smallFileBytesMax) {
      throw new VerityError(
        'COMMAND_TOO_LARGE',
        `The keyring would exceed ${smallFileBytesMax} bytes; put further tenants into another database.`,
      );
    }
    this.#replace(bytes);
    hierarchy.replaceKeyring(next, root);
    this.log(next.digest(bytes));
  }

  #gather(unlogged: Unlogged): void {
    const { hierarchy, gather } = this.#parts;
    unlogged.position = gather({
      kind: 'keyringChanged',
      generation: hierarchy.keyring.generation,
      digest: unlogged.digest,
      origin: {},
    });
  }

  #replace(bytes: Uint8Array): void {
    const { host, fail } = this.#parts;
    const { disk } = host;
    const temporary = writeTemporary(disk, keyringPath, bytes);
    let renamed = false;
    try {
      disk.rename(temporary, keyringPath);
      renamed = true;
      disk.flushDirectory('');
    } catch (error) {
      // Which of the two keyrings a crash would leave is not known from here on.
      if (renamed || !isDiskFull(error)) fail(error);
      throw error;
    }
  }
}
