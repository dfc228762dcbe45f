/** Answers of servers that are not ours: bounded, and told about in one sentence. */
export interface RequestTimes {
  /** For one request, its answer included. */
  readonly timeoutMs: number;
  /** Ends it before. */
  readonly signal?: AbortSignal;
}

export function signalOf({ timeoutMs, signal }: RequestTimes): AbortSignal {
  const late = AbortSignal.timeout(timeoutMs);
  return signal === undefined ? late : AbortSignal.any([late, signal]);
}

const answerBytesMax = 1 << 20;

/** The body of a response, at most 1 MiB. Throws RangeError beyond. */
export async function boundedBytes(response: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += part.length;
    if (length > answerBytesMax) throw new RangeError('its answer is larger than 1 MiB');
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts, length));
}

/** Why a request failed. fetch says "fetch failed", and why in the cause. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== ''
    ? error.cause.message
    : error.message;
}
