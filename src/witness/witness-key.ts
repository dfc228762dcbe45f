/** A witness's key: a file of one line, `PRIVATE+KEY+name+id+base64(type ‖ seed)`, as other implementations of signed notes write it. */
import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { concatBytes, utf8Encode, VerityError } from '../base/index.ts';
import { ed25519PublicKey, ed25519Sign, SecretKey, sha256 } from '../crypto/index.ts';
import { systemEntropy } from '../host/index.ts';
import {
  fromBase64,
  makeVkey,
  parseVkey,
  signatureTypes,
  type SignatureType,
  toBase64,
  type Vkey,
} from '../proof/index.ts';

export interface WitnessKey {
  readonly vkey: Vkey;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

const form = /^PRIVATE\+KEY\+([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{44})\n?$/;

/** The witness's key in `path`. Throws KEY_MISSING, KEY_INVALID, and KEY_FILE_EXPOSED when others can read the file. */
export function readWitnessKey(path: string): WitnessKey {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new VerityError(
      'KEY_MISSING',
      `The witness's key cannot be read from ${path}. Name its file, or give --name to have one made.`,
      { cause: error },
    );
  }
  const mode = statSync(path).mode & 0o777;
  // Where there are no users there are no modes.
  if (process.getuid !== undefined && (mode & 0o077) !== 0) {
    throw new VerityError(
      'KEY_FILE_EXPOSED',
      `The key file ${path} has mode 0${mode.toString(8)}: others can use it. Close it with: chmod 600 ${path}`,
    );
  }
  const [, name = '', id = '', key = ''] = form.exec(text) ?? [];
  const material = fromBase64(key);
  if (material?.length === 33 && material[0] === signatureTypes.cosignature) {
    const found = keyOf(name, new SecretKey(material.slice(1)));
    material.fill(0);
    if (found.vkey.id === Number.parseInt(id, 16)) return found;
  }
  throw new VerityError(
    'KEY_INVALID',
    `The file ${path} holds no key of a witness: PRIVATE+KEY+name+id+base64, of type 4. Restore it from a copy.`,
  );
}

/** Makes a key for the witness `name` in the new file `path`, for its owner only. Throws KEY_INVALID when there is one, VKEY_INVALID for a bad name. */
export function createWitnessKey(path: string, name: string): WitnessKey {
  const seed = systemEntropy.bytes(32);
  const material = concatBytes(Uint8Array.of(signatureTypes.cosignature), seed);
  const key = keyOf(name, new SecretKey(seed));
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (error) {
    throw new VerityError(
      'KEY_INVALID',
      `The file ${path} cannot be made for the witness's key: it is there already, or its directory is not.`,
      { cause: error },
    );
  }
  const id = key.vkey.id.toString(16).padStart(8, '0');
  const line = utf8Encode(`PRIVATE+KEY+${name}+${id}+${toBase64(material)}\n`);
  try {
    writeSync(file, line);
    fsyncSync(file);
  } finally {
    closeSync(file);
    line.fill(0);
    material.fill(0);
  }
  return key;
}

function keyOf(name: string, seed: SecretKey): WitnessKey {
  const vkey = makeVkey(sha256, name, signatureTypes.cosignature, ed25519PublicKey(seed));
  return { vkey, sign: (message) => ed25519Sign(seed, message) };
}

/** The verifier key of a log, from its text. Throws VKEY_INVALID, also for a key of another kind. */
export function logKeyOf(text: string): Vkey {
  return vkeyOfType(text, signatureTypes.ed25519, 'a log');
}

/** The verifier key of a witness, from its text. Throws VKEY_INVALID, also for a key of another kind. */
export function witnessKeyOf(text: string): Vkey {
  return vkeyOfType(text, signatureTypes.cosignature, 'a witness');
}

function vkeyOfType(text: string, type: SignatureType, whose: string): Vkey {
  const vkey = parseVkey(sha256, text);
  if (vkey.type === type) return vkey;
  throw new VerityError(
    'VKEY_INVALID',
    `The verifier key of "${vkey.name}" is of type ${vkey.type}; that of ${whose} is of type ${type}.`,
  );
}
