/** Checkpoints (C2SP tlog-checkpoint): the text of a note that says what a log is at a size. */
import { fromBase64, toBase64 } from './base64.ts';
import { malformed } from './failures.ts';
import { hashBytes } from './merkle.ts';

export interface Checkpoint {
  /** The log's name. */
  readonly origin: string;
  /** Leaves. */
  readonly size: number;
  /** 32 bytes. */
  readonly root: Uint8Array;
  /** Further lines, of which this format says nothing. VerityDB writes none. */
  readonly extensions?: readonly string[];
}

const originUnitsMax = 1024;

/** The text of a checkpoint: three lines, and one for each extension. Throws PROOF_MALFORMED when it could not be read again. */
export function formatCheckpoint({ origin, size, root, extensions = [] }: Checkpoint): string {
  const text = `${[origin, size, toBase64(root), ...extensions].join('\n')}\n`;
  const read = parseCheckpoint(text);
  if (read.origin !== origin) throw malformed('checkpoint', 'its origin is not one line');
  return text;
}

/** Reads the text of a checkpoint. Throws PROOF_MALFORMED with the rule that it breaks. */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n', 103);
  if (lines.pop() !== '' || lines.length < 3 || lines.includes('')) {
    throw malformed('checkpoint', 'it is not at least three lines, none empty, each ended');
  }
  const [origin = '', size = '', hash = '', ...extensions] = lines;
  if (origin.length > originUnitsMax) throw malformed('checkpoint', 'its origin is too long');
  const root = hash.length === 44 ? fromBase64(hash) : undefined;
  if (root?.length !== hashBytes)
    throw malformed('checkpoint', 'its root is not 32 bytes in base64');
  return { origin, size: parseSize(size), root, ...(extensions.length > 0 && { extensions }) };
}

/** A size or index in its one spelling: decimal, no leading zeros, below 2^53. Throws PROOF_MALFORMED. */
export function parseSize(text: string): number {
  const size = /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(size)) {
    throw malformed('checkpoint', 'a size or index is not a decimal number below 2^53');
  }
  return size;
}
