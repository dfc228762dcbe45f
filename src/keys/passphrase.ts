import { randomBytes } from 'node:crypto';
import { hashRaw } from '@node-rs/argon2';
import { VerityError } from '../base/index.ts';
import { type KeySlot, type MasterKeyProvider, SecretKey } from '../crypto/index.ts';
import { contextKey } from './context-key.ts';
import { unwrapSlot, wrapSlot } from './slot.ts';

const slotKind = 'passphrase';
const context = 'veritydb 2026 passphrase master key v1';
const saltBytes = 16;
/** For new slots: 64 MiB, 3 passes, 1 lane. */
const cost = { memoryKib: 64 << 10, passes: 3, lanes: 1 };
/** A slot, which is read before the keyring can be authenticated, may not make us spend more than this. */
const costMax = { memoryKib: 1 << 20, passes: 64, lanes: 16, kibPasses: 4 << 20 };
const argon2id = 2;
const passphraseBytesMax = 4_096;

/** Argon2id of a passphrase (cost and salt stored in the slot), then BLAKE3 derive-key to separate contexts. */
export function fromPassphrase(passphrase: string): MasterKeyProvider {
  const bytes = Buffer.from(passphrase.normalize('NFKC'), 'utf8');
  if (bytes.length === 0 || bytes.length > passphraseBytesMax) {
    throw new VerityError(
      'KEY_INVALID',
      `A passphrase must have 1 to ${passphraseBytesMax} bytes.`,
    );
  }
  return {
    kind: 'passphrase',
    async wrap(root: SecretKey): Promise<Omit<KeySlot, 'id'>> {
      const parameters = encodeParameters(randomBytes(saltBytes));
      const master = await stretch(bytes, parameters);
      const slot = wrapSlot(master, root, slotKind, parameters);
      master.wipe();
      return slot;
    },
    async unwrap(slots: readonly KeySlot[]): Promise<SecretKey | undefined> {
      for (const slot of slots) {
        if (slot.kind !== slotKind) continue;
        const master = await stretch(bytes, slot.parameters);
        try {
          const root = unwrapSlot(master, slot);
          if (root !== undefined) return root;
        } finally {
          master.wipe();
        }
      }
      return undefined;
    },
  };
}

function encodeParameters(salt: Uint8Array): Uint8Array {
  const parameters = new Uint8Array(12 + saltBytes);
  const view = new DataView(parameters.buffer);
  view.setUint32(0, cost.memoryKib, true);
  view.setUint32(4, cost.passes, true);
  view.setUint32(8, cost.lanes, true);
  parameters.set(salt, 12);
  return parameters;
}

async function stretch(passphrase: Buffer, parameters: Uint8Array): Promise<SecretKey> {
  const view = new DataView(parameters.buffer, parameters.byteOffset, parameters.byteLength);
  const wellFormed = parameters.length === 12 + saltBytes;
  const memoryCost = wellFormed ? view.getUint32(0, true) : 0;
  const timeCost = wellFormed ? view.getUint32(4, true) : 0;
  const parallelism = wellFormed ? view.getUint32(8, true) : 0;
  const affordable =
    memoryCost >= 8 * parallelism &&
    memoryCost <= costMax.memoryKib &&
    timeCost >= 1 &&
    timeCost <= costMax.passes &&
    memoryCost * timeCost <= costMax.kibPasses &&
    parallelism >= 1 &&
    parallelism <= costMax.lanes;
  if (!affordable) {
    throw new VerityError(
      'KEY_INVALID',
      'The passphrase slot of the keyring asks for a cost outside the allowed range.',
    );
  }
  const salt = parameters.slice(12);
  const stretched = await hashRaw(passphrase, {
    algorithm: argon2id,
    memoryCost,
    timeCost,
    parallelism,
    salt,
    outputLen: 32,
  });
  const key = new SecretKey(contextKey(context, stretched, 32));
  stretched.fill(0);
  return key;
}
