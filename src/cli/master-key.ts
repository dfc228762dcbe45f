import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { VerityError } from '../base/index.ts';
import { keys, type MasterKeyProvider } from '../database/index.ts';
import { usageError } from './failure.ts';
import { type KeyUri, parseKeyUri, providerOf } from './master-key-uri.ts';
import { readSecret } from './secret-prompt.ts';
import type { Terminal } from './terminal.ts';

export interface KeyOptions {
  /** A URI: see parseKeyUri. */
  readonly masterKey?: string;
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
  | { readonly kind: 'uri'; readonly uri: KeyUri }
  | { readonly kind: 'environment' | 'passphrase' | 'recovery' };

/** Where the master key of `directory` is looked for when nothing else is said. */
function defaultKeyFile(directory: string): string {
  return `${resolve(directory)}.key`;
}

/**
 * Which key opens the database. In this order: --master-key, --key-file, --recovery-code-file (one of the three),
 * VERITY_MASTER_KEY_URI, VERITY_MASTER_KEY (also from a `.env` file here), VERITY_PASSPHRASE, VERITY_RECOVERY_CODE,
 * the file DIR.key.
 */
export function keySourceOf(directory: string, options: KeyOptions, terminal: Terminal): KeySource {
  const given = [options.masterKey, options.keyFile, options.recoveryCodeFile];
  if (given.filter((option) => option !== undefined).length > 1) {
    throw usageError(
      '--master-key, --key-file and --recovery-code-file exclude each other. Give one of them.',
    );
  }
  if (options.masterKey !== undefined) return sourceOfUri(options.masterKey);
  if (options.keyFile !== undefined)
    return { kind: 'file', path: options.keyFile, isExplicit: true };
  if (options.recoveryCodeFile !== undefined)
    return { kind: 'recoveryFile', path: options.recoveryCodeFile };
  if (isSet(terminal, 'VERITY_MASTER_KEY_URI'))
    return sourceOfUri(terminal.env['VERITY_MASTER_KEY_URI'] ?? '');
  if (isSet(terminal, 'VERITY_MASTER_KEY') || dotEnvNamesKey()) return { kind: 'environment' };
  if (isSet(terminal, 'VERITY_PASSPHRASE')) return { kind: 'passphrase' };
  if (isSet(terminal, 'VERITY_RECOVERY_CODE')) return { kind: 'recovery' };
  return { kind: 'file', path: defaultKeyFile(directory), isExplicit: false };
}

/** A file named by a URI is as one named by --key-file: `verity init` makes it. */
function sourceOfUri(text: string): KeySource {
  const uri = parseKeyUri(text);
  if (uri.kind === 'public-key') {
    throw usageError('public-key: wraps, but opens no database. Name the pair: key-pair:PATH.');
  }
  return uri.kind === 'file'
    ? { kind: 'file', path: uri.path, isExplicit: true }
    : { kind: 'uri', uri };
}

/** Whether no key was given at all, and there is none in its usual place. */
export function isAbsentDefault(source: KeySource): boolean {
  return source.kind === 'file' && !source.isExplicit && !existsSync(source.path);
}

/** The provider for a source. Throws KEY_MISSING, naming every way to give a key, when a file is absent. */
export async function masterKeyOf(
  source: KeySource,
  terminal: Terminal,
): Promise<MasterKeyProvider> {
  switch (source.kind) {
    case 'uri':
      return providerOf(source.uri, terminal);
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
    `There is no key file ${path}. Name one with --key-file, another key with --master-key, or set VERITY_MASTER_KEY or VERITY_PASSPHRASE; ` +
      'if the key is lost, open with the recovery code (--recovery-code-file).',
    { details: { file: path } },
  );
}

/** The code in a file, or for `-` the one that is typed (not shown) or piped in. */
async function recoveryCode(path: string, terminal: Terminal): Promise<string> {
  if (path === '-') return (await readSecret(terminal, 'Recovery code: ')).trim();
  return keys.readSecretText(path, 'recovery code');
}

function isSet(terminal: Terminal, name: string): boolean {
  return (terminal.env[name] ?? '') !== '';
}

const dotEnvKey = 'VERITY_MASTER_KEY';

/** Looks at bytes, and makes text of none that may be the key's. */
function dotEnvNamesKey(): boolean {
  let file: Buffer;
  try {
    file = readFileSync('.env');
  } catch {
    return false; // No such file, or none that we may read: then it names nothing.
  }
  let isNamed = false;
  for (let at = file.indexOf(dotEnvKey); at >= 0; at = file.indexOf(dotEnvKey, at + 1)) {
    const before = file.toString('latin1', file.lastIndexOf('\n', at) + 1, at);
    let next = at + dotEnvKey.length;
    while (file[next] === 0x20 || file[next] === 0x09) next += 1;
    if (file[next] === 0x3d && /^\s*(?:export\s+)?$/.test(before)) isNamed = true;
  }
  file.fill(0);
  return isNamed;
}
