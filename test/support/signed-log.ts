/** A log in memory that signs checkpoints of any of its sizes: what a witness is asked about. */
import { utf8Encode } from '../../src/base/index.ts';
import { ed25519PublicKey, ed25519Sign, SecretKey, sha256 } from '../../src/crypto/index.ts';
import {
  consistencyProof,
  formatCheckpoint,
  formatNote,
  inclusionProof,
  leafHash,
  makeVkey,
  nodeHash,
  rootOf,
  type TreeNodes,
  type Vkey,
} from '../../src/proof/index.ts';

export class SignedLog {
  readonly vkey: Vkey;
  readonly leaves: Uint8Array[] = [];
  readonly #seed: SecretKey;
  readonly #nodes: TreeNodes = { node: (level, index) => this.#node(level, index) };

  constructor(origin: string, secret = 1) {
    this.#seed = new SecretKey(new Uint8Array(32).fill(secret));
    this.vkey = makeVkey(sha256, origin, 1, ed25519PublicKey(this.#seed));
  }

  /** Appends `count` leaves; `salt` makes another log of them. */
  grow(count: number, salt = ''): this {
    for (let left = count; left > 0; left--) {
      this.leaves.push(leafHash(sha256, utf8Encode(`${salt}${this.leaves.length}`)));
    }
    return this;
  }

  root(size = this.leaves.length): Uint8Array {
    return rootOf(sha256, this.#nodes, size);
  }

  note(size = this.leaves.length): string {
    const { name: origin, id } = this.vkey;
    const text = formatCheckpoint({ origin, size, root: this.root(size) });
    const signature = ed25519Sign(this.#seed, utf8Encode(text));
    return formatNote(text, [{ name: origin, id, signature }]);
  }

  consistency(from: number, to = this.leaves.length): Uint8Array[] {
    return consistencyProof(sha256, this.#nodes, from, to);
  }

  inclusion(index: number, size = this.leaves.length): Uint8Array[] {
    return inclusionProof(sha256, this.#nodes, index, size);
  }

  #node(level: number, index: number): Uint8Array {
    if (level === 0) return this.leaves[index] as Uint8Array;
    const left = this.#node(level - 1, 2 * index);
    return nodeHash(sha256, left, this.#node(level - 1, 2 * index + 1));
  }
}
