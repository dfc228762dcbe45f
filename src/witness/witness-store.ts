/**
 * What a witness has cosigned last, a file for each log: `<hex of SHA-256(origin)>`, which holds the note with its cosignature.
 * A note is durable before it takes the place of the one before it.
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { CorruptionError, toHex, utf8Decode, utf8Encode, VerityError } from '../base/index.ts';
import { ed25519Verify, sha256 } from '../crypto/index.ts';
import { acquireLock, type DirectoryLock } from '../host/index.ts';
import { type Checkpoint, openNote, parseCheckpoint, type Vkey } from '../proof/index.ts';

export interface Cosigned {
  readonly checkpoint: Checkpoint;
  readonly note: string;
}

/** The name that a log has in paths: hex of SHA-256 of its origin. */
export function originHash(origin: string): string {
  return toHex(sha256(utf8Encode(origin)));
}

export class WitnessStore {
  readonly #directory: string;
  readonly #lock: DirectoryLock;
  readonly #newest = new Map<string, Cosigned>();

  /**
   * Opens the store in `directory`, made when it is not there, for one process. What is kept for `origins` must be of their logs and
   * cosigned by `vkey`. Throws DATABASE_LOCKED, and CorruptionError for a file that is not.
   */
  constructor(directory: string, origins: readonly string[], vkey: Vkey) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    this.#directory = directory;
    this.#lock = acquireLock(directory);
    try {
      for (const origin of origins) this.#load(origin, vkey);
    } catch (error) {
      this.#lock.release();
      throw error;
    }
  }

  #load(origin: string, vkey: Vkey): void {
    const name = originHash(origin);
    const path = join(this.#directory, name);
    if (!existsSync(path)) return;
    try {
      const note = utf8Decode(readFileSync(path));
      const { text } = openNote(note, [vkey], ed25519Verify);
      const checkpoint = parseCheckpoint(text);
      if (checkpoint.origin !== origin) throw new VerityError('FOREIGN_FILE', 'another origin');
      this.#newest.set(name, { checkpoint, note });
    } catch (error) {
      // Without it the witness would sign anything of this log: it must not start.
      throw new CorruptionError(
        'AUTHENTICATION_FAILED',
        path,
        0,
        `The witness's record of the log "${origin}" is damaged, or of another key (${String(error)}),`,
      );
    }
  }

  /** The newest of the log with this origin hash, or undefined if none was cosigned. */
  newest(hash: string): Cosigned | undefined {
    return this.#newest.get(hash);
  }

  /** Replaces the newest of a log, durably. */
  put(cosigned: Cosigned): void {
    const hash = originHash(cosigned.checkpoint.origin);
    const path = join(this.#directory, hash);
    const file = openSync(`${path}.new`, 'w', 0o600);
    try {
      writeSync(file, cosigned.note);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(`${path}.new`, path);
    const directory = openSync(this.#directory, 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
    this.#newest.set(hash, cosigned);
  }

  close(): void {
    this.#lock.release();
  }
}
