/** The body of add-checkpoint (C2SP tlog-witness): the size that the witness has, a consistency proof from it, and the checkpoint. */
import { parseHash, parseNote, parseSize, proofHashesMax, toBase64 } from '../proof/index.ts';
import { VerityError } from '../base/index.ts';

export interface AddCheckpoint {
  /** Leaves of the newest checkpoint that the witness cosigned; 0 for none. */
  readonly old: number;
  readonly proof: readonly Uint8Array[];
  /** A signed note. */
  readonly note: string;
}

export function formatAddCheckpoint({ old, proof, note }: AddCheckpoint): string {
  return `${[`old ${old}`, ...proof.map(toBase64)].join('\n')}\n\n${note}`;
}

/** Reads a request; of the note only the form is checked. Throws PROOF_MALFORMED with the rule that it breaks. */
export function parseAddCheckpoint(body: string): AddCheckpoint {
  const end = body.indexOf('\n\n');
  const [first = '', ...hashes] = end < 0 ? [] : body.slice(0, end).split('\n', proofHashesMax + 2);
  if (!first.startsWith('old ') || hashes.length > proofHashesMax) {
    throw new VerityError(
      'PROOF_MALFORMED',
      'The request is malformed: it is not "old <size>", at most 63 hashes, an empty line and a checkpoint.',
    );
  }
  const note = body.slice(end + 2);
  parseNote(note);
  return { old: parseSize(first.slice(4)), proof: hashes.map(parseHash), note };
}
