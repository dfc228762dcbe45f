import { brotliCompressSync, brotliDecompressSync, type BrotliOptions, constants } from 'node:zlib';

/** Measured in docs/decisions: a higher quality costs several times as much for a tenth less. */
const quality = 1;
/** 256 KiB; a larger window costs memory for each call and gains nothing at the size of a section. */
const windowBits = 18;
/** Brotli's own buffers are made in pieces of this size at least. */
const chunkBytesMin = 64;

/** What the option `info` makes of the result: the types do not know it. */
interface Expanded {
  readonly buffer: Uint8Array;
  /** `bytesWritten` counts what was read of the input. */
  readonly engine: { readonly bytesWritten: number };
}

/** `bytes` compressed with Brotli (RFC 7932), or undefined if that is longer than `lengthMax` (at least 1). */
export function compressBytes(bytes: Uint8Array, lengthMax: number): Uint8Array | undefined {
  try {
    return brotliCompressSync(bytes, {
      params: {
        [constants.BROTLI_PARAM_QUALITY]: quality,
        [constants.BROTLI_PARAM_LGWIN]: windowBits,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      },
      chunkSize: Math.max(lengthMax, chunkBytesMin),
      maxOutputLength: lengthMax,
    });
  } catch (error) {
    if (isTooLong(error)) return undefined;
    throw error;
  }
}

/**
 * What `compressBytes` compressed, which has exactly `length` bytes; undefined if it is anything else. No more
 * memory is taken than `length`, which the caller has bounded.
 */
export function expandBytes(compressed: Uint8Array, length: number): Uint8Array | undefined {
  try {
    const { buffer, engine } = brotliDecompressSync(compressed, {
      chunkSize: Math.max(length, chunkBytesMin),
      maxOutputLength: Math.max(length, 1),
      info: true,
    } as BrotliOptions) as unknown as Expanded;
    // Node passes over what follows the end of the stream; nothing may hide there.
    return buffer.length === length && engine.bytesWritten === compressed.length
      ? buffer
      : undefined;
  } catch {
    return undefined;
  }
}

function isTooLong(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE';
}
