/** What the options of `open` say about sealing and compression, checked at the door. */
import { VerityError } from '../base/index.ts';
import { parseAlgorithm, parseCompression, plainProviderKind } from '../crypto/index.ts';
import { checkOrigin, type WantedSuite } from '../engine/index.ts';
import type { OpenOptions } from './types.ts';
import { warnWith } from './warnings.ts';

/** Whether plain mode is asked for. Throws INVALID_ARGUMENT where a master key or an algorithm contradicts it. */
export function isPlain(
  options: Pick<OpenOptions, 'encryption' | 'masterKey' | 'algorithm'>,
): boolean {
  const { encryption, masterKey, algorithm } = options;
  if (encryption !== undefined && encryption !== 'none')
    throw invalid("encryption must be 'none' or left out. To choose a cipher pass { algorithm }.");
  const plain = encryption === 'none';
  const keyFits = !masterKey || (masterKey.kind === plainProviderKind) === plain;
  if (keyFits && !(plain && algorithm !== undefined)) return plain;
  throw invalid(
    "encryption: 'none' goes with no master key and no algorithm. Leave it out to encrypt the database.",
  );
}

/** What the options ask of the database's suite and name. Throws INVALID_ARGUMENT for what cannot be. */
export function wantedSuite(
  options: Pick<OpenOptions, 'algorithm' | 'compression' | 'origin'>,
): WantedSuite {
  const { algorithm, compression, origin } = options;
  if (algorithm !== undefined && (parseAlgorithm(algorithm) ?? 'none') === 'none')
    throw invalid("algorithm must be 'aes-256-gcm' or 'chacha20-poly1305'.");
  if (compression !== undefined && parseCompression(compression) === undefined)
    throw invalid("compression must be 'none' or 'brotli'.");
  if (origin !== undefined) checkOrigin(origin);
  return {
    ...(origin !== undefined && { origin }),
    ...(algorithm !== undefined && { algorithm }),
    ...(compression !== undefined && { compression }),
  };
}

function invalid(message: string): VerityError {
  return new VerityError('INVALID_ARGUMENT', message);
}

/** Says loudly that a database is in plain mode: to `onWarning`, else as a warning of the process. */
export function warnOfPlainMode(place: string, onWarning: OpenOptions['onWarning']): void {
  warnWith(
    onWarning,
    `The database in ${place} is in plain mode: nothing in it is encrypted, and whoever can write its files can forge it.`,
    'VERITY_PLAIN_MODE',
  );
}
