import { assert, type Entropy } from '../base/index.ts';
import type { SecretKey } from '../crypto/index.ts';
import { decodeIdentity, encodeIdentity } from './identity.ts';
import { lastingKey } from './key-files.ts';
import { Keyring } from './keyring.ts';

export interface IssuedIdentity {
  readonly instanceId: Uint8Array;
  readonly identityBytes: Uint8Array;
}

/** verity.json for another copy of the database: under a new instance id. */
export function reissueIdentity(
  keyring: Keyring,
  root: SecretKey,
  entropy: Entropy,
): IssuedIdentity {
  const identity = decodeIdentity(keyring.identity);
  assert(!('what' in identity), 'a keyring that was read holds a good copy of verity.json');
  const instanceId = entropy.bytes(16);
  const lasting = lastingKey(keyring, root);
  const identityBytes = encodeIdentity({ ...identity, instanceId }, lasting);
  lasting.wipe();
  return { instanceId, identityBytes };
}

/** The same keys beside a verity.json and a log, which names this generation as the newest: the next one. */
export function keyringFor(
  keyring: Keyring,
  beside: { readonly identityBytes: Uint8Array; readonly loggedGeneration: number },
): Keyring {
  const { slots, entries, tenants } = keyring.contents;
  return new Keyring(keyring.logId, beside.identityBytes, beside.loggedGeneration + 1, {
    slots: [...slots],
    entries: [...entries],
    tenants: new Map(tenants),
  });
}
