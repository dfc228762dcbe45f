import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { VerityError } from '../base/index.ts';
import { keys, type MasterKeyProvider } from '../database/index.ts';
import { usageError } from './failure.ts';
import { readSecret } from './secret-prompt.ts';
import type { Terminal } from './terminal.ts';

export interface KeyOptions {
  readonly keyFile?: string;
  readonly recoveryCodeFile?: string;
}

export type KeySource =
  | {
      readonly kind: 'file';
      readonly path: string;
      /** Named by --key-file. */ readonly isExplicit: boolean;
    }
  | { readonly kind: 'recoveryFile'; readonly path: string }
  | { readonly kind: 'environment' | 'passphrase' | 'recovery' };

/** Where the master key of `directory` is looked for when nothing else is said. */
function defaultKeyFile(directory: string): string {
  return `${resolve(directory)}.key`;
}

/**
 * Which key opens the database. In this order: --key-file, --recovery-code-file, VERITY_MASTER_KEY
 * (also from a `.env` file here), VERITY_PASSPHRASE, VERITY_RECOVERY_CODE, the file DIR.key.
 */
export function keySourceOf(directory: string, options: KeyOptions, terminal: Terminal): KeySource {
  if (options.keyFile !== undefined && options.recoveryCodeFile !== undefined) {
    throw usageError('--key-file and --recovery-code-file exclude each other. Give one of them.');
  }
  if (options.keyFile !== undefined)
    return { kind: 'file', path: options.keyFile, isExplicit: true };
  if (options.recoveryCodeFile !== undefined)
    return { kind: 'recoveryFile', path: options.recoveryCodeFile };
  if (isSet(terminal, 'VERITY_MASTER_KEY') || dotEnvNamesKey()) return { kind: 'environment' };
  if (isSet(terminal, 'VERITY_PASSPHRASE')) return { kind: 'passphrase' };
  if (isSet(terminal, 'VERITY_RECOVERY_CODE')) return { kind: 'recovery' };
  return { kind: 'file', path: defaultKeyFile(directory), isExplicit: false };
}

/** The provider for a source. Throws KEY_MISSING, naming every way to give a key, when a file is absent. */
export async function masterKeyOf(
  source: KeySource,
  terminal: Terminal,
): Promise<MasterKeyProvider> {
  switch (source.kind) {
    case 'environment':
      return keys.fromEnv();
    case 'passphrase':
      return keys.fromPassphrase(terminal.env['VERITY_PASSPHRASE'] ?? '');
    case 'recovery':
      return keys.fromRecoveryCode((terminal.env['VERITY_RECOVERY_CODE'] ?? '').trim());
    case 'recoveryFile':
      return keys.fromRecoveryCode(await recoveryCode(source.path, terminal));
    case 'file':
      if (!existsSync(source.path)) throw keyFileMissing(source.path);
      return keys.fromFile(source.path);
  }
}

function keyFileMissing(path: string): VerityError {
  return new VerityError(
    'KEY_MISSING',
    `There is no key file ${path}. Name one with --key-file, or set VERITY_MASTER_KEY or VERITY_PASSPHRASE; ` +
      'if the key is lost, open with the recovery code (--recovery-code-file).',
    { details: { file: path } },
  );
}

/** The code in a file, or for `-` the one that is typed (not shown) or piped in. */
async function recoveryCode(path: string, terminal: Terminal): Promise<string> {
  if (path === '-') return (await readSecret(terminal, 'Recovery code: ')).trim();
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new VerityError(
      'KEY_MISSING',
      `Cannot read the recovery code from ${path}. Check the path.`,
      {
        cause: error,
        details: { file: path },
      },
    );
  }
}

function isSet(terminal: Terminal, name: string): boolean {
  return (terminal.env[name] ?? '') !== '';
}

function dotEnvNamesKey(): boolean {
  try {
    return /^\s*(?:export\s+)?VERITY_MASTER_KEY\s*=\s*\S/m.test(readFileSync('.env', 'utf8'));
  } catch {
    return false; // No such file, or none that we may read: then it names nothing.
  }
}
