import { utf8Decode, utf8Encode, VerityError } from '../base/index.ts';
import { pae } from '../crypto/index.ts';
import { envelopeLimits } from './limits.ts';

/**
 * What a blob belongs to, e.g. `['missions', 'player-17', 42n]` for adapter, key and sequence. Not stored in the
 * blob: who decrypts says it again. A text, a number and bytes that look alike are different parts.
 */
export type EnvelopeContext = readonly (string | Uint8Array | number | bigint)[];

/** An injective encoding of a context: two contexts that differ give other bytes. Throws INVALID_ARGUMENT. */
export function encodeContext(context: EnvelopeContext): Uint8Array {
  if (!Array.isArray(context)) {
    throw refused(
      'An envelope context must be an array of texts, numbers and bytes. Pass [] for none.',
    );
  }
  if (context.length > envelopeLimits.contextPartsMax) {
    throw refused(
      `An envelope context has at most ${envelopeLimits.contextPartsMax} parts; this one has ${context.length}.`,
    );
  }
  let room = envelopeLimits.contextBytesMax;
  const encoded = (context as EnvelopeContext).map((part, index) => {
    const bytes = encodePart(part, index, room);
    room -= bytes.length;
    return bytes;
  });
  return pae(...encoded);
}

function encodePart(part: unknown, index: number, bytesMax: number): Uint8Array {
  switch (typeof part) {
    case 'string':
      if (part.length <= bytesMax) return checked('t', wellFormed(part, index), bytesMax);
      break;
    case 'number':
      if (Number.isSafeInteger(part)) return checked('n', utf8Encode(String(part)), bytesMax);
      throw refused(`Part ${index} of the envelope context is not a whole number below 2^53.`);
    case 'bigint':
      if (part >= -(2n ** 64n) && part <= 2n ** 64n)
        return checked('n', utf8Encode(part.toString()), bytesMax);
      throw refused(`Part ${index} of the envelope context has more than 64 bits.`);
    default:
      if (!(part instanceof Uint8Array))
        throw refused(`Part ${index} of the envelope context is no text, number or bytes.`);
      if (part.length <= bytesMax) return checked('b', part, bytesMax);
  }
  throw tooLong();
}

/** The part behind a byte that tells its type. */
function checked(type: 't' | 'n' | 'b', bytes: Uint8Array, bytesMax: number): Uint8Array {
  if (bytes.length + 1 > bytesMax) throw tooLong();
  const tagged = new Uint8Array(bytes.length + 1);
  tagged[0] = type.charCodeAt(0);
  tagged.set(bytes, 1);
  return tagged;
}

/** Half a surrogate pair would be encoded like any other half: two contexts would be one. */
function wellFormed(text: string, index: number): Uint8Array {
  const bytes = utf8Encode(text);
  if (utf8Decode(bytes) !== text)
    throw refused(`Part ${index} of the envelope context is not well-formed text.`);
  return bytes;
}

function tooLong(): VerityError {
  return refused(
    `An envelope context has at most ${envelopeLimits.contextBytesMax} bytes. Pass a digest of what is longer.`,
  );
}

function refused(message: string): VerityError {
  return new VerityError('INVALID_ARGUMENT', message);
}
