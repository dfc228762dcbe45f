import { utf8Encode } from '../base/index.ts';
import { type MasterKeyProvider, plainProviderKind, SecretKey, sha256 } from '../crypto/index.ts';
import { HeldKeyProvider } from './held-key.ts';

/** SHA-256 of this text is the key: public, so that it opens every plain database and protects none. */
const publicText = 'veritydb/plain/v1';

/** The provider of a database in plain mode: there is no key, so whoever has the files has all that is in them. */
export function plainProvider(): MasterKeyProvider {
  return new HeldKeyProvider(
    plainProviderKind,
    plainProviderKind,
    () => new SecretKey(sha256(utf8Encode(publicText))),
  );
}
