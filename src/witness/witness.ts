/**
 * A witness (C2SP tlog-witness): it cosigns a log's checkpoint only when it continues the one that it cosigned before.
 *
 * From reading what was cosigned last until the new one is durable nothing else runs: no other request comes between.
 */
import { VerityError } from '../base/index.ts';
import { ed25519Verify, sha256 } from '../crypto/index.ts';
import {
  addSignatures,
  type Checkpoint,
  cosignatureMessage,
  emptyRoot,
  encodeCosignature,
  formatNote,
  openNote,
  type OpenedNote,
  parseCheckpoint,
  parseNote,
  signatureLine,
  verifyConsistency,
  type Vkey,
} from '../proof/index.ts';
import { type AddCheckpoint, parseAddCheckpoint } from './request.ts';
import type { WitnessKey } from './witness-key.ts';
import { originHash, type WitnessStore } from './witness-store.ts';

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const plainText = 'text/plain; charset=utf-8';
/** The type of a 409's body, which is the size that the witness has. */
export const sizeType = 'text/x.tlog.size';
const reply = (status: number, body: string, type = plainText): Reply => ({ status, type, body });

export interface WitnessParts {
  readonly key: WitnessKey;
  /** Keys of the logs that are cosigned; a key's name is its log's origin. */
  readonly logs: readonly Vkey[];
  readonly store: WitnessStore;
}

export class Witness {
  readonly #parts: WitnessParts;

  constructor(parts: WitnessParts) {
    this.#parts = parts;
  }

  /** Answers add-checkpoint. `time` in seconds since 1970. A 200 is given only when the cosigned checkpoint is durable. */
  addCheckpoint(body: string, time: number): Reply {
    const { key, logs, store } = this.#parts;
    const request = formOf(body);
    if (request instanceof VerityError) return reply(400, `${request.message}\n`);
    const { checkpoint, old, proof, note } = request;
    const keys = logs.filter(({ name }) => name === checkpoint.origin);
    if (keys.length === 0) return reply(404, 'This witness does not know the log.\n');
    const opened = signedBy(note, keys);
    if (opened === undefined) return reply(403, 'The signature is not of a key of the log.\n');
    if (old > checkpoint.size) return reply(400, 'The old size is above that of the checkpoint.\n');
    const known = store.newest(originHash(checkpoint.origin))?.checkpoint;
    if (old !== (known?.size ?? 0)) return reply(409, `${known?.size ?? 0}\n`, sizeType);
    const continues = verifyConsistency(sha256, {
      from: old,
      to: checkpoint.size,
      fromRoot: known?.root ?? emptyRoot(sha256),
      toRoot: checkpoint.root,
      proof,
    });
    if (!continues) return reply(422, 'The checkpoint does not continue the one cosigned last.\n');
    const signature = key.sign(cosignatureMessage(time, opened.text));
    const cosignature = {
      name: key.vkey.name,
      id: key.vkey.id,
      signature: encodeCosignature(time, signature),
    };
    const kept = addSignatures(formatNote(opened.text, opened.verified), [cosignature]);
    store.put({ checkpoint, note: kept });
    return reply(200, signatureLine(cosignature));
  }

  /** Answers what the newest cosigned checkpoint of a log is, by the hash of its origin. */
  checkpoint(hash: string): Reply {
    const newest = this.#parts.store.newest(hash);
    return newest === undefined
      ? reply(404, 'Nothing of this log was cosigned.\n')
      : reply(200, newest.note);
  }
}

/** A request's parts, or what is wrong with its form. */
function formOf(body: string): (AddCheckpoint & { checkpoint: Checkpoint }) | VerityError {
  try {
    const request = parseAddCheckpoint(body);
    return { ...request, checkpoint: parseCheckpoint(parseNote(request.note).text) };
  } catch (error) {
    if (error instanceof VerityError) return error;
    throw error;
  }
}

function signedBy(note: string, keys: readonly Vkey[]): OpenedNote | undefined {
  try {
    return openNote(note, keys, ed25519Verify);
  } catch (error) {
    if (error instanceof VerityError) return undefined;
    throw error;
  }
}
