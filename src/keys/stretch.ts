import { randomFillSync } from 'node:crypto';
import { hashRaw } from '@node-rs/argon2';
import { VerityError } from '../base/index.ts';
import { SecretKey } from '../crypto/index.ts';
import { contextKey } from './context-key.ts';

const saltBytes = 16;
const costMax = { memoryKib: 1 << 20, passes: 64, lanes: 16, kibPasses: 4 << 20 };
const argon2id = 2;
const passphraseBytesMax = 4_096;

/** What Argon2id takes beside the passphrase; stored next to what was wrapped. */
export interface StretchParameters {
  readonly memoryKib: number;
  readonly passes: number;
  readonly lanes: number;
  /** 16 bytes. */
  readonly salt: Uint8Array;
}

/** For what is wrapped now: 64 MiB, 3 passes, 1 lane. */
export const stretchCost = { memoryKib: 64 << 10, passes: 3, lanes: 1 } as const;

/** The cost of this version and a new salt. */
export function newStretchParameters(): StretchParameters {
  return { ...stretchCost, salt: randomFillSync(new Uint8Array(saltBytes)) };
}

/** A passphrase as bytes, in one Unicode form. Throws KEY_INVALID unless it has 1 to 4,096 bytes. */
export function passphraseBytes(passphrase: string): Uint8Array {
  const bytes = Buffer.from(passphrase.normalize('NFKC'), 'utf8');
  if (bytes.length > 0 && bytes.length <= passphraseBytesMax) return bytes;
  throw new VerityError('KEY_INVALID', `A passphrase must have 1 to ${passphraseBytesMax} bytes.`);
}

/**
 * The key that a passphrase gives for one purpose: Argon2id, then BLAKE3 derive-key with `context`, a fixed text of
 * this program. The caller wipes it. `source` names where the parameters were read, which nobody has authenticated
 * yet: a cost that would take the machine down throws KEY_INVALID before memory is taken.
 */
export async function stretchPassphrase(
  passphrase: Uint8Array,
  parameters: StretchParameters,
  context: string,
  source: string,
): Promise<SecretKey> {
  const { memoryKib, passes, lanes, salt } = parameters;
  if (!isAffordable(parameters)) {
    throw new VerityError('KEY_INVALID', `${source} asks for a cost outside the allowed range.`);
  }
  const stretched = await hashRaw(passphrase, {
    algorithm: argon2id,
    memoryCost: memoryKib,
    timeCost: passes,
    parallelism: lanes,
    salt,
    outputLen: 32,
  });
  const key = new SecretKey(contextKey(context, stretched, 32));
  stretched.fill(0);
  return key;
}

function isAffordable({ memoryKib, passes, lanes, salt }: StretchParameters): boolean {
  return (
    [memoryKib, passes, lanes].every((cost) => Number.isInteger(cost) && cost >= 1) &&
    memoryKib >= 8 * lanes &&
    memoryKib <= costMax.memoryKib &&
    passes <= costMax.passes &&
    memoryKib * passes <= costMax.kibPasses &&
    lanes <= costMax.lanes &&
    salt.length === saltBytes
  );
}
