/** The packages of this folder, installed at their first use so that they never slow an install of VerityDB. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('.', import.meta.url));
const fromFolder = createRequire(join(folder, 'package.json'));

/** The package `name`, once `tryOut` has found that it works; an Error that says why it cannot be had. */
export function loadPeer<T>(name: string, tryOut: (peer: T) => void): T | Error {
  const present = requirePeer(name, tryOut);
  if (!(present instanceof Error)) return present;
  process.stderr.write(
    'Installing what is measured beside VerityDB; where it must be compiled, that takes minutes …\n',
  );
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const { status, error } = spawnSync(npm, ['ci', '--no-audit', '--no-fund'], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
  });
  if (error !== undefined) return error;
  return status === 0
    ? requirePeer(name, tryOut)
    : new Error(`npm ci in bench/compare ended with exit code ${status}.`);
}

/** The version of an installed package. */
export function versionOf(name: string): string {
  const path = join(folder, 'node_modules', name, 'package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}

/** The package; an Error when it is absent, or was built for another Node. */
function requirePeer<T>(name: string, tryOut: (peer: T) => void): T | Error {
  try {
    const peer = fromFolder(name) as T;
    tryOut(peer);
    return peer;
  } catch (error) {
    return error as Error;
  }
}
