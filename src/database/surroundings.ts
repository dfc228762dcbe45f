/** What an engine runs on here: disk, clock, randomness, turns of the event loop, and the provider of the master key. */
import { type DiskFile, VerityError } from '../base/index.ts';
import { type MasterKeyProvider, SecretKey } from '../crypto/index.ts';
import type { EngineHost } from '../engine/index.ts';
import {
  memoryDisk,
  nodeDisk,
  openScratchFile,
  systemClock,
  systemEntropy,
  systemScheduler,
} from '../host/index.ts';
import { HeldKeyProvider, plainProvider } from '../keys/index.ts';
import { isPlain } from './suite-options.ts';
import type { OpenOptions } from './types.ts';

/** Stands for a directory: a database that lives in this process only. */
export const memoryPath = ':memory:';

/** The provider that the options name. Throws KEY_MISSING, KEY_INVALID. */
export function providerOf(
  options: Pick<OpenOptions, 'masterKey' | 'encryption'>,
  memory: boolean,
): MasterKeyProvider {
  if (isPlain(options)) return plainProvider();
  if (options.masterKey !== undefined) return checkedProvider(options.masterKey);
  if (memory) return ephemeralProvider();
  throw new VerityError(
    'KEY_MISSING',
    'No master key was given. Pass { masterKey: keys.fromFile(…) }, keys.fromEnv() or keys.fromPassphrase(…).',
  );
}

/** `given`, if it is a provider. Throws KEY_INVALID. */
export function checkedProvider(given: MasterKeyProvider): MasterKeyProvider {
  const provider = given as Partial<MasterKeyProvider> | null;
  const methods = [provider?.wrap, provider?.unwrap, provider?.describe, provider?.rotate];
  if (methods.every((method) => typeof method === 'function')) return given;
  throw new VerityError(
    'KEY_INVALID',
    'masterKey must come from keys.fromFile(…), keys.fromEnv(), keys.fromPassphrase(…) or another of keys.',
  );
}

/** A key that lives as long as the ':memory:' database it is for. */
function ephemeralProvider(): MasterKeyProvider {
  const master = systemEntropy.bytes(32);
  return new HeldKeyProvider('memory', 'memory', () => new SecretKey(master.slice()));
}

/** Node's disk at a path, or one in memory, and the rest of the engine's surroundings. Throws INVALID_ARGUMENT. */
export function hostFor(path: string, readOnly: boolean, scratchDirectory?: string): EngineHost {
  if (typeof path !== 'string' || path === '' || path.includes('\0')) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'The path of a database must be a non-empty string without U+0000.',
    );
  }
  const around = { clock: systemClock, entropy: systemEntropy, scheduler: systemScheduler };
  if (path === memoryPath) return { ...around, disk: memoryDisk() };
  const scratch = (): DiskFile => openScratchFile(scratchDirectory);
  return { ...around, disk: nodeDisk(path, { readOnly }), scratch };
}
