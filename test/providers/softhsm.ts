/**
 * A PKCS#11 token in software (SoftHSM) in a directory of its own, and the package that speaks to it, neither of
 * which the default install brings. VERITY_TEST_PKCS11 names a folder where `npm install --prefix` put the package;
 * where that is set, what is missing is an error.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const modules = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
];
export const pin = '918273';

export interface SoftHsm {
  readonly module: string;
  readonly library: unknown;
}

/** What is there, or in a line what is not. */
export function findSoftHsm(): SoftHsm | string {
  const prefix = process.env['VERITY_TEST_PKCS11'];
  const module = modules.find((path) => existsSync(path));
  let missing: string | undefined;
  let library: unknown;
  try {
    library = createRequire(resolve(prefix ?? '.', 'package.json'))('pkcs11js');
  } catch {
    missing = 'the package pkcs11js is not installed (npm install --prefix DIR pkcs11js)';
  }
  if (module === undefined) missing = 'SoftHSM is not installed (apt-get install softhsm2)';
  if (missing === undefined && module !== undefined) return { module, library };
  if (prefix !== undefined) throw new Error(`VERITY_TEST_PKCS11 is set, but ${missing}`);
  return `PKCS#11 is not tested: ${missing}.`;
}

/** Directories for tokens, and a configuration that leads SoftHSM to them; undone by `remove`. */
export class TokenStore {
  readonly #folder = mkdtempSync(join(tmpdir(), 'verity-softhsm-'));
  readonly #savedConfiguration = process.env['SOFTHSM2_CONF'];

  constructor() {
    const tokens = join(this.#folder, 'tokens');
    mkdirSync(tokens);
    const configuration = join(this.#folder, 'softhsm2.conf');
    const lines = [`directories.tokendir = ${tokens}`, 'log.level = ERROR', ''];
    writeFileSync(configuration, lines.join('\n'));
    process.env['SOFTHSM2_CONF'] = configuration;
  }

  addToken(label: string): void {
    const options = ['--init-token', '--free', '--label', label, '--pin', pin, '--so-pin', pin];
    execFileSync('softhsm2-util', options, { stdio: 'pipe' });
  }

  removeToken(label: string): void {
    execFileSync('softhsm2-util', ['--delete-token', '--token', label], { stdio: 'pipe' });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
    if (this.#savedConfiguration === undefined) delete process.env['SOFTHSM2_CONF'];
    else process.env['SOFTHSM2_CONF'] = this.#savedConfiguration;
  }
}
