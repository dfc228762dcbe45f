import { randomFillSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { SecretKey } from '../../src/crypto/index.ts';
import { wrapSlot } from '../../src/keys/index.ts';
import { passphraseBytes, stretchPassphrase } from '../../src/keys/stretch.ts';
import { privateKeyObject, publicKeyBytes } from '../../src/keys/x25519.ts';

/** A key pair as docs/format/key-pair.md draws its file, at the lowest cost: for tests that open it often. Its halves. */
export async function cheapPair(
  privateKeyFile: string,
  passphrase: string,
): Promise<{ readonly publicKey: Uint8Array; readonly privateKey: SecretKey }> {
  const privateKey = new SecretKey(randomFillSync(new Uint8Array(32)));
  const publicKey = publicKeyBytes(privateKeyObject(privateKey));
  const cost = { memoryKib: 8, passes: 1, lanes: 1 };
  const salt = randomFillSync(new Uint8Array(16));
  const context = 'veritydb 2026 key pair file v1';
  const stretch = { ...cost, salt };
  const key = await stretchPassphrase(passphraseBytes(passphrase), stretch, context, '');
  const { commitment, wrapped } = wrapSlot(key, privateKey, '', new Uint8Array());
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
  const document = {
    format: 'veritydb-key-pair/1',
    publicKey: base64(publicKey),
    argon2id: { ...cost, salt: base64(salt) },
    commitment: base64(commitment),
    wrappedPrivateKey: base64(wrapped),
  };
  writeFileSync(privateKeyFile, JSON.stringify(document), { mode: 0o600 });
  return { publicKey, privateKey };
}
