/** cosignature/v1 (C2SP tlog-cosignature): a witness says that at a time it knew no later state of the log than this checkpoint. */
import { concatBytes, utf8Encode } from '../base/index.ts';

const cosignatureBytes = 72;
/** The last second that JavaScript's Date has, in the year 275760. */
const timeMax = 8_640_000_000_000;

/** What a cosigner signs: two lines before the checkpoint's text. `time` in seconds since 1970. */
export function cosignatureMessage(time: number, checkpointText: string): Uint8Array {
  return utf8Encode(`cosignature/v1\ntime ${time}\n${checkpointText}`);
}

/** What stands behind the key id in a cosignature's line: the time as a big-endian u64, and 64 bytes of Ed25519. */
export function encodeCosignature(time: number, signature: Uint8Array): Uint8Array {
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(time));
  return concatBytes(head, signature);
}

/** Time and signature of a cosignature, or undefined for other than 72 bytes and for times behind the year 275760. */
export function parseCosignature(
  blob: Uint8Array,
): { readonly time: number; readonly signature: Uint8Array } | undefined {
  if (blob.length !== cosignatureBytes) return undefined;
  const time = Number(new DataView(blob.buffer, blob.byteOffset).getBigUint64(0));
  if (time > timeMax) return undefined;
  return { time, signature: blob.subarray(8) };
}
