/** Proofs that an entry is in a log, as text (C2SP tlog-proof): the entry's index, the way to the root, and the checkpoint. */
import { fromBase64, toBase64 } from './base64.ts';
import { parseSize } from './checkpoint.ts';
import { malformed } from './failures.ts';
import { hashBytes, proofHashesMax } from './merkle.ts';
import { noteBytesMax, parseNote } from './note.ts';

const header = 'c2sp.org/tlog-proof@v1';
const extraBytesMax = 1 << 20;
/** Header, index, 63 hashes: under 4 KiB; extra data and the note have limits of their own. */
const proofUnitsMax = noteBytesMax + (extraBytesMax / 3) * 4 + 8192;

export interface TlogProof {
  readonly index: number;
  /** From the leaf's sibling upwards. */
  readonly proof: readonly Uint8Array[];
  /** The signed note, as it is. */
  readonly checkpoint: string;
  /** Nothing signs it. */
  readonly extra?: Uint8Array;
}

/** The text of a proof. */
export function formatTlogProof({ index, proof, checkpoint, extra }: TlogProof): string {
  const lines = [
    header,
    ...(extra === undefined ? [] : [`extra ${toBase64(extra)}`]),
    `index ${index}`,
    ...proof.map(toBase64),
  ];
  return `${lines.join('\n')}\n\n${checkpoint}`;
}

/** Reads a proof; nothing is checked but its form. Throws PROOF_MALFORMED with the rule that it breaks. */
export function parseTlogProof(text: string): TlogProof {
  if (text.length > proofUnitsMax) throw malformed('log proof', 'it is too large');
  const end = text.indexOf('\n\n');
  if (end < 0) throw malformed('log proof', 'no empty line stands before its checkpoint');
  const lines = text.slice(0, end).split('\n', proofHashesMax + 4);
  if (lines.shift() !== header) throw malformed('log proof', `its first line is not ${header}`);
  const extra = lines[0]?.startsWith('extra ') ? fromBase64(lines[0].slice(6)) : undefined;
  if (lines[0]?.startsWith('extra ')) {
    if (extra === undefined) throw malformed('log proof', 'its extra data is not base64');
    lines.shift();
  }
  const index = lines.shift();
  if (!index?.startsWith('index ')) throw malformed('log proof', 'it has no index line');
  if (lines.length > proofHashesMax) throw malformed('log proof', 'it has over 63 hashes');
  const checkpoint = text.slice(end + 2);
  parseNote(checkpoint);
  return {
    index: parseSize(index.slice(6)),
    proof: lines.map(parseHash),
    checkpoint,
    ...(extra !== undefined && { extra }),
  };
}

/** 32 bytes of canonical base64. Throws PROOF_MALFORMED. */
export function parseHash(text: string): Uint8Array {
  const hash = text.length === 44 ? fromBase64(text) : undefined;
  if (hash?.length !== hashBytes) throw malformed('proof', 'a hash is not 32 bytes in base64');
  return hash;
}
