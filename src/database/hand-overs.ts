import { sha256 } from '../crypto/index.ts';
import type { Engine } from '../engine/index.ts';
import { signingKeysOf } from '../kernel/index.ts';
import { encodeVkey, signatureTypes } from '../proof/index.ts';
import type { HandOver } from '../receipt/index.ts';

/** The hand-overs of the log's signing keys, oldest first: with them the key of any earlier receipt leads to today's. */
export function handOversOf({ state, proofs }: Engine): HandOver[] {
  const vkeyOf = (publicKey: Uint8Array): string =>
    encodeVkey(sha256, proofs.origin, signatureTypes.ed25519, publicKey);
  return signingKeysOf(state.store).map(({ previousKey, publicKey, signature }) => ({
    from: vkeyOf(previousKey),
    signature,
    to: vkeyOf(publicKey),
  }));
}
