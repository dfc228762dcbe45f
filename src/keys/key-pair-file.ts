/**
 * The file of a master key pair: JSON with the public key in the clear and the private key wrapped under a
 * passphrase (Argon2id, BLAKE3 derive-key, AES-KWP). docs/format/key-pair.md draws it.
 */
import { randomFillSync } from 'node:crypto';
import { VerityError } from '../base/index.ts';
import { constantTimeEqual, SecretKey } from '../crypto/index.ts';
import { readSecretFile } from './secret-file.ts';
import { unwrapSlot, wrapSlot } from './slot.ts';
import { newStretchParameters, type StretchParameters, stretchPassphrase } from './stretch.ts';
import { privateKeyObject, publicKeyBytes } from './x25519.ts';

const format = 'veritydb-key-pair/1';
const context = 'veritydb 2026 key pair file v1';
const fileBytesMax = 4_096;
const wrapKind = 'key-pair-file';

/** A key pair as its file holds it. */
export interface KeyPairFile {
  readonly path: string;
  readonly publicKey: Uint8Array;
  readonly stretch: StretchParameters;
  readonly commitment: Uint8Array;
  readonly wrapped: Uint8Array;
}

/** Both halves of a pair. */
export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly privateKey: SecretKey;
}

/** A new X25519 key pair under a passphrase, and the text of its file. The caller wipes the private key. */
export async function newKeyPair(
  passphrase: Uint8Array,
): Promise<KeyPair & { readonly text: Uint8Array }> {
  const stretch = newStretchParameters();
  const master = await stretchPassphrase(passphrase, stretch, context, 'A new key pair');
  const privateKey = new SecretKey(randomFillSync(new Uint8Array(32)));
  try {
    const publicKey = publicKeyBytes(privateKeyObject(privateKey));
    const { commitment, wrapped } = wrapSlot(master, privateKey, wrapKind, new Uint8Array());
    const { salt, ...cost } = stretch;
    const document = {
      format,
      publicKey: base64(publicKey),
      argon2id: { ...cost, salt: base64(salt) },
      commitment: base64(commitment),
      wrappedPrivateKey: base64(wrapped),
    };
    const text = Buffer.from(`${JSON.stringify(document, null, 2)}\n`);
    return { publicKey, privateKey, text };
  } catch (error) {
    privateKey.wipe();
    throw error;
  } finally {
    master.wipe();
  }
}

/** Reads a key pair's file, without its passphrase. Throws KEY_MISSING, KEY_INVALID. */
export function readKeyPairFile(path: string): KeyPairFile {
  const missing = (cause: unknown): VerityError =>
    new VerityError(
      'KEY_MISSING',
      `The key pair ${path} cannot be read. Check the path, or make one with keys.generateKeyPair().`,
      { cause },
    );
  const bytes = readSecretFile(path, fileBytesMax, { missing });
  const parsed = bytes.length > fileBytesMax ? undefined : parse(bytes);
  if (parsed !== undefined) return { path, ...parsed };
  throw new VerityError(
    'KEY_INVALID',
    `The file ${path} is no key pair of VerityDB, or is damaged. Restore it from a copy.`,
  );
}

function parse(bytes: Uint8Array): Omit<KeyPairFile, 'path'> | undefined {
  let document: Record<string, unknown>;
  try {
    document = JSON.parse(Buffer.from(bytes).toString('utf8')) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const cost = document?.['argon2id'] as Record<string, unknown> | undefined | null;
  const publicKey = unbase64(document?.['publicKey'], 32);
  const commitment = unbase64(document?.['commitment'], 32);
  const wrapped = unbase64(document?.['wrappedPrivateKey'], 40);
  const salt = unbase64(cost?.['salt'], 16);
  const { memoryKib, passes, lanes } = cost ?? {};
  if (document?.['format'] !== format) return undefined;
  if (!publicKey || !commitment || !wrapped || !salt) return undefined;
  if (typeof memoryKib !== 'number' || typeof passes !== 'number' || typeof lanes !== 'number') {
    return undefined;
  }
  return { publicKey, commitment, wrapped, stretch: { memoryKib, passes, lanes, salt } };
}

/**
 * The private key, which the caller wipes. Throws WRONG_KEY for another passphrase, KEY_INVALID for a file that was
 * altered: a public key put there by somebody else would otherwise receive the next root key.
 */
export async function openKeyPair(file: KeyPairFile, passphrase: Uint8Array): Promise<SecretKey> {
  const source = `The key pair ${file.path}`;
  const master = await stretchPassphrase(passphrase, file.stretch, context, source);
  const { commitment, wrapped } = file;
  const slot = { id: 0, kind: wrapKind, parameters: new Uint8Array(), commitment, wrapped };
  let privateKey: SecretKey | undefined;
  try {
    privateKey = unwrapSlot(master, slot);
  } catch (cause) {
    throw alteredFile(file.path, cause);
  } finally {
    master.wipe();
  }
  if (privateKey === undefined) {
    throw new VerityError(
      'WRONG_KEY',
      `The passphrase does not open the key pair ${file.path}. Type it again, or name the right file.`,
    );
  }
  if (constantTimeEqual(publicKeyBytes(privateKeyObject(privateKey)), file.publicKey)) {
    return privateKey;
  }
  privateKey.wipe();
  throw alteredFile(file.path);
}

function alteredFile(path: string, cause?: unknown): VerityError {
  return new VerityError(
    'KEY_INVALID',
    `The key pair ${path} was altered: its parts do not belong together. Restore it from a copy.`,
    { cause },
  );
}

const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

function unbase64(text: unknown, lengthBytes: number): Uint8Array | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
  return bytes.length === lengthBytes && base64(bytes) === text ? bytes : undefined;
}
