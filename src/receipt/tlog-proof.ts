/** C2SP tlog-proofs out of a receipt, for whoever checks with other tools. */
import { formatTlogProof, leafHash } from '../proof/index.ts';
import { check } from './checks.ts';
import { checkLeaves } from './claims.ts';
import { commitmentOf } from './commitment.ts';
import { defaultCrypto } from './default-crypto.ts';
import { inclusionProofOf } from './opened-tree.ts';
import { parseReceipt } from './receipt-text.ts';
import { noteOf } from './trust.ts';

export interface LeafProof {
  readonly leaf: number;
  /** The event's commitment, 32 bytes: the data of its leaf. */
  readonly commitment: Uint8Array;
  /** Text of the form c2sp.org/tlog-proof@v1, with the checkpoint. */
  readonly proof: string;
}

/** A proof for each event that the receipt opens, ascending by leaf. Nothing is verified. Throws when it is not in its form. */
export function tlogProofs(receipt: string): LeafProof[] {
  const { sha256 } = defaultCrypto;
  const parsed = parseReceipt(receipt);
  const { events, context, checkpoint, proof } = parsed;
  const { size } = noteOf(checkpoint.note).checkpoint;
  checkLeaves(parsed, size);
  const leaves = [...events, ...context, checkpoint.record]
    .map((event) => ({ leaf: event.leaf, commitment: commitmentOf(sha256, event) }))
    .toSorted((left, right) => left.leaf - right.leaf);
  const opened = leaves.map(({ leaf, commitment }) => ({
    leaf,
    hash: leafHash(sha256, commitment),
  }));
  return leaves.map(({ leaf, commitment }) => {
    const way = inclusionProofOf(sha256, { size, opened, proof }, leaf);
    check('inclusion', way !== undefined, 'The proof has a hash too few or too many.');
    const text = formatTlogProof({ index: leaf, proof: way, checkpoint: checkpoint.note });
    return { leaf, commitment, proof: text };
  });
}
