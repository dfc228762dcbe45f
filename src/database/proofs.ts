import { toHex, VerityError } from '../base/index.ts';
import type { Engine, SignedCheckpoint } from '../engine/index.ts';
import { formatVkey } from '../proof/index.ts';
import type { OpenOptions } from './types.ts';

/** About three weeks: what a timer takes. */
const checkpointSecondsMax = 2_000_000;

/** When checkpoints are made, as far as the options say. Throws INVALID_ARGUMENT. */
export function proofSettingsOf({ proofs = {} }: OpenOptions): NonNullable<OpenOptions['proofs']> {
  const { checkpointEvents, checkpointSeconds } = proofs;
  const isCount = checkpointEvents === undefined || isWithin(checkpointEvents, 2 ** 53 - 1);
  const isTime =
    checkpointSeconds === undefined || isWithin(checkpointSeconds, checkpointSecondsMax);
  if (!isCount || !isTime) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      `proofs.checkpointEvents takes a whole number of events, and proofs.checkpointSeconds of seconds, at most ${checkpointSecondsMax}; 0 is never.`,
    );
  }
  return {
    ...(checkpointEvents !== undefined && { checkpointEvents }),
    ...(checkpointSeconds !== undefined && { checkpointSeconds }),
  };
}

const isWithin = (value: number, most: number): boolean =>
  Number.isSafeInteger(value) && value >= 0 && value <= most;

/** A signed checkpoint of the log: what it was when it had `size` events, of which the last is the checkpoint's own record. */
export interface Checkpoint {
  /** A C2SP signed note of a C2SP checkpoint, with its cosignatures. */
  readonly note: string;
  /** The database's public name, the first line of the note. */
  readonly origin: string;
  readonly size: bigint;
  /** Hex: RFC 6962 Merkle tree hash of the commitments of the first `size` events. */
  readonly root: string;
  /** The newest position that the record covers. */
  readonly position: bigint;
  /** Hex: the chain hash at that position. */
  readonly chainHash: string;
  /** The state hash in the record, and the position that it is of; absent where none was known. */
  readonly stateHash?: { readonly hash: string; readonly position: bigint };
}

/** Hashes of a proof, in hex. */
export interface InclusionProof {
  readonly leaf: bigint;
  readonly size: bigint;
  /** Hex. */
  readonly leafHash: string;
  /** From the leaf's sibling upwards, in hex. */
  readonly hashes: readonly string[];
  /** Hex. */
  readonly root: string;
}

export interface ConsistencyProof {
  readonly from: bigint;
  readonly to: bigint;
  /** In hex, in the order of RFC 6962. */
  readonly hashes: readonly string[];
}

/** What `db.proofs` gives: signed checkpoints, and proofs from the Merkle tree of the log. docs/proofs.md explains them. */
export interface DatabaseProofs {
  /** The database's public name. */
  readonly origin: string;
  /** Keys that checkpoints are checked with, as C2SP vkeys, the oldest first. */
  vkeys(): string[];
  /**
   * A signed checkpoint of all that is committed: a new one, or the newest if nothing came since. Of a handle that only
   * reads the newest. Rejects with READ_ONLY where it has none, LOG_ROLLED_BACK, DISK_FULL, CLOSED, DATABASE_POISONED.
   */
  checkpoint(): Promise<Checkpoint>;
  /** The newest signed checkpoint; undefined before the first. */
  newest(): Checkpoint | undefined;
  /** All signed checkpoints, the oldest first. */
  list(): Checkpoint[];
  /** The proof that event `leaf` (from 0) is among the first `size` (default: all). Rejects with INVALID_ARGUMENT. */
  inclusion(leaf: bigint | number, size?: bigint | number): Promise<InclusionProof>;
  /** The proof that the first `to` events (default: all) begin with the first `from`. Rejects with INVALID_ARGUMENT. */
  consistency(from: bigint | number, to?: bigint | number): Promise<ConsistencyProof>;
}

export class Proofs implements DatabaseProofs {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  get origin(): string {
    return this.#engine.proofs.origin;
  }

  vkeys(): string[] {
    this.#engine.checkOpen();
    return this.#engine.proofs.vkeys.map((vkey) => formatVkey(vkey));
  }

  async checkpoint(): Promise<Checkpoint> {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    return this.#shown(await this.#engine.proofs.checkpoint());
  }

  newest(): Checkpoint | undefined {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const { newest } = this.#engine.proofs;
    return newest && this.#shown(newest);
  }

  list(): Checkpoint[] {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    return this.#engine.proofs.all().map((signed) => this.#shown(signed));
  }

  async inclusion(leaf: bigint | number, size?: bigint | number): Promise<InclusionProof> {
    const { tree } = await this.#current();
    const of = sizeOf('size', size ?? tree.size, tree.size);
    const index = sizeOf('leaf', leaf, of - 1);
    return {
      leaf: BigInt(index),
      size: BigInt(of),
      leafHash: toHex(tree.leafHash(index)),
      hashes: tree.inclusionProof(index, of).map(toHex),
      root: toHex(tree.root(of)),
    };
  }

  async consistency(from: bigint | number, to?: bigint | number): Promise<ConsistencyProof> {
    const { tree } = await this.#current();
    const of = sizeOf('to', to ?? tree.size, tree.size);
    const start = sizeOf('from', from, of);
    const hashes = tree.consistencyProof(start, of).map(toHex);
    return { from: BigInt(start), to: BigInt(of), hashes };
  }

  /** The proofs of the engine, whose tree holds all that is committed. */
  async #current(): Promise<Engine['proofs']> {
    this.#engine.checkOpen();
    this.#engine.catchUp();
    const { proofs } = this.#engine;
    await proofs.tree.catchUp();
    this.#engine.checkOpen();
    return proofs;
  }

  #shown({ note, size, root, record }: SignedCheckpoint): Checkpoint {
    const { covered, chainHash, state } = record;
    return {
      note,
      origin: this.origin,
      size: BigInt(size),
      root: toHex(root),
      position: BigInt(covered),
      chainHash: toHex(chainHash),
      ...(state && { stateHash: { hash: toHex(state.hash), position: BigInt(state.position) } }),
    };
  }
}

/** A number from 0 to `most`. Throws INVALID_ARGUMENT. */
function sizeOf(name: string, value: bigint | number, most: number): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (Number.isSafeInteger(number) && number >= 0 && number <= most) return number;
  if (most < 0) throw new VerityError('INVALID_ARGUMENT', 'The log has no events yet.');
  throw new VerityError(
    'INVALID_ARGUMENT',
    `"${name}" must be a whole number from 0 to ${most}: the log has no other. It is ${String(value)}.`,
  );
}
