/** A log in memory whose events are opened at will: what a good, and a bad, server makes receipts from. */
import { type LeafIndex, utf8Encode } from '../../src/base/index.ts';
import { encodeEvent, type LogEvent, Writer } from '../../src/codec/index.ts';
import { ed25519PublicKey, ed25519Sign, SecretKey, sha256 } from '../../src/crypto/index.ts';
import {
  cosignatureMessage,
  encodeCosignature,
  formatCheckpoint,
  formatNote,
  formatVkey,
  inclusionProof,
  leafHash,
  makeVkey,
  nodeHash,
  type NoteSignature,
  rootOf,
  type TreeNodes,
  type Vkey,
} from '../../src/proof/index.ts';
import {
  type HandOver,
  proofOfOpened,
  type Receipt,
  type ReceiptEvent,
  type ReceiptKind,
  type WholeEvent,
} from '../../src/receipt/index.ts';
import { commitmentOf } from '../../src/receipt/commitment.ts';
import { handOverMessage } from '../../src/receipt/trust.ts';

/** A signing key of a log or a witness. */
export class Signer {
  readonly vkey: Vkey;
  readonly #seed: SecretKey;

  constructor(name: string, secret: number, type: 1 | 4 = 1) {
    this.#seed = new SecretKey(new Uint8Array(32).fill(secret));
    this.vkey = makeVkey(sha256, name, type, ed25519PublicKey(this.#seed));
  }

  get text(): string {
    return formatVkey(this.vkey);
  }

  sign(message: Uint8Array): Uint8Array {
    return ed25519Sign(this.#seed, message);
  }

  /** A signature line's content over a checkpoint's text; of a witness a cosignature of this time. */
  over(text: string, time = 1_790_000_000): NoteSignature {
    const { name, id, type } = this.vkey;
    const signature =
      type === 1
        ? this.sign(utf8Encode(text))
        : encodeCosignature(time, this.sign(cosignatureMessage(time, text)));
    return { name, id, signature };
  }

  handTo(next: Signer): HandOver {
    const names = { origin: this.vkey.name, from: this.text, to: next.text };
    return { ...names, signature: this.sign(handOverMessage(names)) };
  }
}

interface Entry {
  readonly opened: ReceiptEvent;
  readonly commitment: Uint8Array;
}

export interface MakeReceipt {
  readonly kind: ReceiptKind;
  readonly events: readonly number[];
  readonly context?: readonly number[];
  readonly signers?: readonly Signer[];
  readonly handOvers?: readonly HandOver[];
  readonly timeStamps?: readonly Uint8Array[];
  readonly state?: Receipt['state'];
  /** Leaves under the note; default: all. */
  readonly size?: number;
  /** The note's origin; default: the first signer's name. */
  readonly origin?: string;
}

export class ReceiptLog {
  readonly entries: Entry[] = [];
  readonly #saltOf: (leaf: number, field: number) => Uint8Array;
  readonly #nodes: TreeNodes = { node: (level, index) => this.#node(level, index) };
  readonly #known = new Map<string, Uint8Array>();

  constructor(secret = 'salt') {
    this.#saltOf = (leaf, field) => sha256(utf8Encode(`${secret} ${leaf} ${field}`)).slice(0, 16);
  }

  get size(): number {
    return this.entries.length;
  }

  /** Appends an event of kind 0; returns its leaf. */
  add(event: LogEvent): number {
    return this.addBytes(bytesOf(event));
  }

  addBytes(event: Uint8Array): number {
    const leaf = this.size;
    return this.#push({ leaf, event, salt: this.#saltOf(leaf, 0) });
  }

  /** Appends an event of kind 1. */
  addFields(fields: readonly Uint8Array[]): number {
    const leaf = this.size;
    return this.#push({
      leaf,
      fields: fields.map((bytes, field) => ({ bytes, salt: this.#saltOf(leaf, field) })),
    });
  }

  commitment(leaf: number): Uint8Array {
    return (this.entries[leaf] as Entry).commitment;
  }

  open(leaf: number): ReceiptEvent {
    return (this.entries[leaf] as Entry).opened;
  }

  root(size = this.size): Uint8Array {
    return rootOf(sha256, this.#nodes, size);
  }

  inclusionProof(leaf: number, size = this.size): Uint8Array[] {
    return inclusionProof(sha256, this.#nodes, leaf, size);
  }

  /** A receipt whose last leaf under the note is the record. */
  receipt(make: MakeReceipt): Receipt {
    const { kind, events, context = [], signers = [], size = this.size, state } = make;
    const origin = make.origin ?? (signers[0] as Signer).vkey.name;
    const text = formatCheckpoint({ origin, size, root: this.root(size) });
    const opened = [...events, ...context, size - 1].toSorted((left, right) => left - right);
    return {
      kind,
      checkpoint: {
        handOvers: make.handOvers ?? [],
        note: formatNote(
          text,
          signers.map((signer) => signer.over(text)),
        ),
        record: this.open(size - 1) as WholeEvent,
        timeStamps: make.timeStamps ?? [],
      },
      events: events.map((leaf) => this.open(leaf)),
      context: context.map((leaf) => this.open(leaf)),
      proof: proofOfOpened(size, opened, (leaf) => this.inclusionProof(leaf, size)),
      ...(state !== undefined && { state }),
    };
  }

  #push(opened: ReceiptEvent): number {
    this.entries.push({ opened, commitment: commitmentOf(sha256, opened) });
    return opened.leaf as LeafIndex;
  }

  #node(level: number, index: number): Uint8Array {
    if (level === 0) return leafHash(sha256, this.commitment(index));
    const name = `${level} ${index}`;
    let hash = this.#known.get(name);
    if (hash === undefined) {
      const left = this.#node(level - 1, 2 * index);
      hash = nodeHash(sha256, left, this.#node(level - 1, 2 * index + 1));
      this.#known.set(name, hash);
    }
    return hash;
  }
}

export function bytesOf(event: LogEvent): Uint8Array {
  const writer = new Writer();
  encodeEvent(writer, event);
  return writer.finish();
}
