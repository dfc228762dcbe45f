import { readFileSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { parseEnv } from 'node:util';
import { VerityError } from '../base/index.ts';
import { type KeySlot, type MasterKeyProvider, SecretKey } from '../crypto/index.ts';
import { firstUnwrapped, wrapSlot } from './slot.ts';

/** Keys of 64 hex digits fill slots of this kind, wherever the digits come from. */
const slotKind = 'master-key';
const masterKeyVariable = 'VERITY_MASTER_KEY';
const noParameters = new Uint8Array();

class HexKeyProvider implements MasterKeyProvider {
  readonly kind: string;
  readonly #load: () => SecretKey;

  constructor(kind: string, load: () => SecretKey) {
    this.kind = kind;
    this.#load = load;
  }

  async wrap(root: SecretKey): Promise<Omit<KeySlot, 'id'>> {
    const master = this.#load();
    const slot = wrapSlot(master, root, slotKind, noParameters);
    master.wipe();
    return slot;
  }

  async unwrap(slots: readonly KeySlot[]): Promise<SecretKey | undefined> {
    const master = this.#load();
    try {
      return firstUnwrapped(
        master,
        slots.filter((slot) => slot.kind === slotKind),
      );
    } finally {
      master.wipe();
    }
  }
}

/** A master key in a file of 64 hex digits. The file is read at open, not before. */
export function fromFile(path: string): MasterKeyProvider {
  return new HexKeyProvider('file', () => {
    let digits: Buffer;
    try {
      digits = readFileSync(path);
    } catch (cause) {
      throw new VerityError(
        'KEY_MISSING',
        `The key file ${path} cannot be read. Create one with "verity init" or name another with --key-file.`,
        { cause },
      );
    }
    return parseKey(digits, `The key file ${path}`);
  });
}

/** The master key in VERITY_MASTER_KEY (64 hex digits), from the environment or from `.env` in the working directory. */
export function fromEnv(variable: string = masterKeyVariable): MasterKeyProvider {
  return new HexKeyProvider('environment', () => {
    const digits = process.env[variable] ?? variableOfEnvFile(variable);
    if (digits === undefined || digits === '') {
      throw new VerityError(
        'KEY_MISSING',
        `${variable} is neither in the environment nor in .env. Set it to the 64 hex digits of the master key.`,
      );
    }
    return parseKey(Buffer.from(digits, 'latin1'), variable);
  });
}

function variableOfEnvFile(variable: string): string | undefined {
  try {
    return parseEnv(readFileSync('.env', 'utf8'))[variable];
  } catch {
    return undefined;
  }
}

/** Creates a key file (mode 0600) with a new random key. Never overwrites: throws KEY_INVALID if the file is there. */
export async function generateFile(path: string): Promise<void> {
  const key = randomBytes(32);
  const digits = Buffer.alloc(65);
  for (let index = 0; index < 32; index++) {
    digits[index * 2] = hexDigit((key[index] as number) >> 4);
    digits[index * 2 + 1] = hexDigit((key[index] as number) & 15);
  }
  digits[64] = 0x0a;
  try {
    writeFileSync(path, digits, { flag: 'wx', mode: 0o600, flush: true });
  } catch (cause) {
    const there = (cause as NodeJS.ErrnoException).code === 'EEXIST';
    throw there
      ? new VerityError(
          'KEY_INVALID',
          `The key file ${path} is already there and was left as it is. Use it, or move it elsewhere.`,
          { cause },
        )
      : new VerityError(
          'IO_ERROR',
          `The key file ${path} cannot be written. Check the directory and its permissions.`,
          { cause },
        );
  } finally {
    key.fill(0);
    digits.fill(0);
  }
}

function hexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x57 + value;
}

/** Parses 64 hex digits (and a line end) and wipes them. Never makes a string of a key. */
function parseKey(digits: Buffer, source: string): SecretKey {
  let length = digits.length;
  while (
    length > 0 &&
    (digits[length - 1] === 0x0a || digits[length - 1] === 0x0d || digits[length - 1] === 0x20)
  )
    length -= 1;
  const key = new Uint8Array(32);
  let wellFormed = length === 64;
  for (let index = 0; index < 64; index++) {
    const value = hexValue(digits[index] ?? 0);
    if (value === undefined) wellFormed = false;
    else key[index >> 1] = ((key[index >> 1] as number) << 4) | value;
  }
  digits.fill(0);
  if (!wellFormed) {
    key.fill(0);
    throw new VerityError('KEY_INVALID', `${source} does not hold a key: expected 64 hex digits.`);
  }
  return new SecretKey(key);
}

function hexValue(code: number): number | undefined {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : undefined;
}
