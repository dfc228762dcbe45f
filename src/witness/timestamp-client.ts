/** Asks an authority for a time stamp (RFC 3161 over HTTP), and takes only one that holds. */
import { randomBytes, type X509Certificate } from 'node:crypto';
import { equalBytes, VerityError } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import { der, readContainer, tags } from './der.ts';
import { boundedBytes, reasonOf, type RequestTimes, signalOf } from './answers.ts';
import { type TimeStamp, verifyTimeStamp } from './timestamp-verify.ts';

export interface Authority {
  readonly url: string;
  readonly trusted: readonly X509Certificate[];
}

/** How far an authority's clock may be from ours. */
const skewMs = 10 * 60_000;
/** AlgorithmIdentifier of SHA-256, with NULL, as every authority knows it. */
const sha256Algorithm = Uint8Array.of(0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0);

/**
 * A time stamp of `message`, as a token in DER and as what it says, checked against the request and the trusted certificates. Throws
 * WITNESS_UNAVAILABLE when the authority does not answer in time, WITNESS_REFUSED when it refuses, TIMESTAMP_INVALID for a token that does not hold.
 */
export async function requestTimeStamp(
  authority: Authority,
  message: Uint8Array,
  times: RequestTimes,
): Promise<{ readonly token: Uint8Array; readonly stamp: TimeStamp }> {
  const nonce = new Uint8Array(randomBytes(9));
  // A positive integer of nine bytes, in its shortest form.
  nonce[0] = 1;
  const answer = await ask(authority, requestFor(message, nonce), times);
  const token = tokenIn(authority, answer);
  const stamp = verifyTimeStamp(token, message, authority.trusted);
  if (stamp.nonce === undefined || !equalBytes(stamp.nonce, nonce)) {
    throw invalid(authority, 'it answers another request (the nonce differs)');
  }
  if (Math.abs(stamp.time.getTime() - Date.now()) > skewMs) {
    throw invalid(authority, 'its time is over ten minutes from that of this machine');
  }
  return { token, stamp };
}

function requestFor(message: Uint8Array, nonce: Uint8Array): Uint8Array {
  return der(
    tags.sequence,
    der(tags.integer, Uint8Array.of(1)),
    der(tags.sequence, sha256Algorithm, der(tags.octetString, sha256(message))),
    der(tags.integer, nonce),
    // The certificates are to be in the token: it is kept, and must be checkable alone.
    der(tags.boolean, Uint8Array.of(0xff)),
  );
}

async function ask(
  authority: Authority,
  query: Uint8Array,
  times: RequestTimes,
): Promise<Uint8Array> {
  try {
    const response = await fetch(authority.url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/timestamp-query' },
      body: query as never,
      redirect: 'error',
      signal: signalOf(times),
    });
    if (response.status !== 200) throw new RangeError(`status ${response.status}`);
    return await boundedBytes(response);
  } catch (error) {
    throw new VerityError(
      'WITNESS_UNAVAILABLE',
      `The time-stamp authority at ${authority.url} does not answer as one: ${reasonOf(error)}. Try again later, or look at it.`,
    );
  }
}

/** The token of a TimeStampResp that grants one. */
function tokenIn(authority: Authority, answer: Uint8Array): Uint8Array {
  const response = readContainer(answer, tags.sequence);
  const status = response.into(tags.sequence).next(tags.integer).content;
  // 0 granted, 1 granted with modifications: which ones is told by the checks.
  if (status.length !== 1 || (status[0] as number) > 1) {
    throw new VerityError(
      'WITNESS_REFUSED',
      `The time-stamp authority at ${authority.url} refuses the request with status ${status.join('.')}. Ask its owner why.`,
    );
  }
  const { whole } = response.next(tags.sequence);
  response.end();
  return whole;
}

function invalid(authority: Authority, what: string): VerityError {
  return new VerityError(
    'TIMESTAMP_INVALID',
    `The time stamp of the authority at ${authority.url} is refused: ${what}.`,
  );
}
