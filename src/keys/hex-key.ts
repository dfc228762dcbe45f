/**
 * Master keys of 64 hex digits. They fill slots of one kind wherever the digits come from, so that a key can be
 * moved from a file to the environment, or to a secret store, without touching the database.
 */
import { randomFillSync } from 'node:crypto';
import { VerityError } from '../base/index.ts';
import {
  type MasterKeyProvider,
  type PreparedRotation,
  type ProviderDescription,
  SecretKey,
} from '../crypto/index.ts';
import { variableOfEnvFile } from './env-file.ts';
import { HeldKeyProvider, rotationUnsupported } from './held-key.ts';
import { hexKeyText, parseHexKey } from './hex-digits.ts';
import { createSecretFile, prepareSecretFile, readSecretFile } from './secret-file.ts';
import { wrapSlot } from './slot.ts';

export const hexSlotKind = 'master-key';
const masterKeyVariable = 'VERITY_MASTER_KEY';
/** 64 digits and a line end, and room to tell what is too long. */
const fileBytesMax = 128;

class FileKeyProvider extends HeldKeyProvider {
  readonly #path: string;

  constructor(path: string) {
    super('file', hexSlotKind, () => loadFile(path));
    this.#path = path;
  }

  override describe(): ProviderDescription {
    return { kind: this.kind, source: this.#path, parameters: {}, rotates: true };
  }

  /** A new random key, which takes the place of the old one in the file. */
  override async rotate(root: SecretKey): Promise<PreparedRotation> {
    const key = randomFillSync(new Uint8Array(32));
    const text = hexKeyText(key);
    const master = new SecretKey(key);
    try {
      const file = prepareSecretFile(this.#path, text, 'key');
      return { slot: wrapSlot(master, root, hexSlotKind, new Uint8Array()), ...file };
    } finally {
      text.fill(0);
      master.wipe();
    }
  }
}

/** A master key in a file of 64 hex digits. The file is read at open, not before. */
export function fromFile(path: string): MasterKeyProvider {
  return new FileKeyProvider(path);
}

class EnvironmentKeyProvider extends HeldKeyProvider {
  readonly #variable: string;

  constructor(variable: string) {
    super('environment', hexSlotKind, () => loadVariable(variable));
    this.#variable = variable;
  }

  override describe(): ProviderDescription {
    return { kind: this.kind, source: this.#variable, parameters: {}, rotates: false };
  }

  override async rotate(): Promise<PreparedRotation> {
    throw rotationUnsupported(
      this.kind,
      'Put a new key into another variable, or a file, and rotate to that one.',
    );
  }
}

/** The master key in VERITY_MASTER_KEY (64 hex digits), from the environment or from `.env` in the working directory. */
export function fromEnv(variable: string = masterKeyVariable): MasterKeyProvider {
  return new EnvironmentKeyProvider(variable);
}

/** Creates a key file (mode 0600) with a new random key. Never overwrites: throws KEY_INVALID if the file is there. */
export async function generateFile(path: string): Promise<void> {
  const key = randomFillSync(new Uint8Array(32));
  const text = hexKeyText(key);
  try {
    createSecretFile(path, text, 'key');
  } finally {
    key.fill(0);
    text.fill(0);
  }
}

function loadFile(path: string): SecretKey {
  const missing = (cause: unknown): VerityError =>
    new VerityError(
      'KEY_MISSING',
      `The key file ${path} cannot be read. Create one with "verity init" or name another with --key-file.`,
      { cause },
    );
  const text = readSecretFile(path, fileBytesMax, { missing });
  return parseHexKey(text, `The key file ${path}`);
}

function loadVariable(variable: string): SecretKey {
  const value = process.env[variable];
  const text = value === undefined ? variableOfEnvFile(variable) : Buffer.from(value, 'latin1');
  if (text === undefined || text.length === 0) {
    throw new VerityError(
      'KEY_MISSING',
      `${variable} is neither in the environment nor in .env. Set it to the 64 hex digits of the master key.`,
    );
  }
  return parseHexKey(text, variable);
}
