import { keys } from '../../database/index.ts';
import { type ExitCode, usageError } from '../failure.ts';
import type { Invocation } from '../invocation.ts';
import { newPassphrase } from '../master-key-uri.ts';
import { jsonDocument } from '../output/json.ts';

/** `verity keys generate-pair FILE`: a master key pair under a passphrase; prints its public key. */
export async function runGeneratePair(
  invocation: Invocation,
  privateKeyFile: string,
): Promise<ExitCode> {
  if (privateKeyFile === '') throw usageError('FILE must be a path.');
  const { terminal, options, output } = invocation;
  await keys.generateKeyPair({ privateKeyFile, passphrase: await newPassphrase(terminal) });
  const publicKey = keys.publicKeyOf(privateKeyFile);
  await output.write(
    options.json === true ? jsonDocument({ privateKeyFile, publicKey }) : publicKey,
  );
  return 0;
}
