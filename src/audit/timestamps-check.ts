/** Time stamps of checkpoints, held against the roots that the log yields. Who checks their signatures is passed in. */
import { CorruptionError, utf8Decode, utf8Encode, VerityError } from '../base/index.ts';
import { timeStampsPath } from '../engine/index.ts';
import { formatCheckpoint, fromBase64 } from '../proof/index.ts';
import type { AuditedTree } from './proofs-check.ts';

/**
 * Whether a token (RFC 3161, DER) stamps the message; false when it does, by an authority that is not trusted. `ca` is what the log names as
 * trusted, if it can be read. Throws TIMESTAMP_INVALID.
 */
export type CheckTimeStamp = (
  token: Uint8Array,
  message: Uint8Array,
  ca: string | undefined,
) => boolean;

export interface TimeStampsCheck {
  /** The file of time stamps. */
  readonly bytes: Uint8Array;
  readonly tree: AuditedTree;
  readonly origin: string;
  /** The setting "timestamp-authority" of the log; undefined without one, or without a key. */
  readonly authority: unknown;
  /** Absent: none is checked. */
  readonly check: CheckTimeStamp | undefined;
}

export interface TimeStampsReport {
  /** Time stamps that hold, by an authority that is trusted. */
  readonly timeStamps: number;
  /** Others that could be good: their authority is not among those that are trusted. */
  readonly timeStampsUnchecked: number;
}

/** Checks every line of the file of time stamps; what follows the last newline was torn by a crash, and is nothing. */
export function auditTimeStamps(of: TimeStampsCheck): {
  readonly errors: readonly CorruptionError[];
  readonly report: TimeStampsReport;
} {
  const { bytes } = of;
  const ca = (of.authority as { readonly ca?: string } | undefined)?.ca;
  const errors: CorruptionError[] = [];
  let [timeStamps, timeStampsUnchecked] = [0, 0];
  for (let offset = 0, end = 0; (end = bytes.indexOf(10, offset)) >= 0; offset = end + 1) {
    const stamp = stampIn(bytes.subarray(offset, end));
    if (stamp === undefined || stamp.size > of.tree.size) {
      errors.push(found('CHECKSUM_MISMATCH', offset, 'A line that is no time stamp of this log'));
      continue;
    }
    const { size, token } = stamp;
    const text = formatCheckpoint({ origin: of.origin, size, root: of.tree.root(size) });
    try {
      if (of.check?.(token, utf8Encode(text), ca) === true) timeStamps += 1;
      else timeStampsUnchecked += 1;
    } catch (error) {
      if (!(error instanceof VerityError)) throw error;
      errors.push(found(error.code, offset, `A time stamp that does not hold (${error.message})`));
    }
  }
  return { errors, report: { timeStamps, timeStampsUnchecked } };
}

function found(code: CorruptionError['code'], offset: number, what: string): CorruptionError {
  return new CorruptionError(code, timeStampsPath, offset, `${what} lies`);
}

function stampIn(
  line: Uint8Array,
): { readonly size: number; readonly token: Uint8Array } | undefined {
  try {
    const [, size, base64 = ''] = /^([1-9][0-9]{0,15}) (\S+)$/.exec(utf8Decode(line)) ?? [];
    const token = size === undefined ? undefined : fromBase64(base64);
    return token && { size: Number(size), token };
  } catch {
    return undefined;
  }
}
