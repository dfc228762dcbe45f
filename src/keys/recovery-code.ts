import { randomBytes } from 'node:crypto';
import { VerityError } from '../base/index.ts';
import {
  type KeySlot,
  type MasterKeyProvider,
  type NewKeySlot,
  type PreparedRotation,
  pae,
  SecretKey,
  sha256,
  type SlotBinding,
  type UnwrappedRoot,
} from '../crypto/index.ts';
import { rotationUnsupported } from './held-key.ts';
import { openRecoverySlot, recoveryPublicKey, wrapForRecovery } from './recovery-slot.ts';

const keyPurpose = 'veritydb/recovery-key/v1';
const checkPurpose = 'veritydb/recovery-check/v1';
/** Crockford's base 32: no I, L, O, U. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const entropyBytes = 24;
const codeBytes = entropyBytes + 1;
const groupLength = 4;

/** A new recovery code: 192 random bits and a check byte, as ten groups of four. Print it and keep it apart. */
export function generateRecoveryCode(): string {
  const bytes = new Uint8Array(codeBytes);
  bytes.set(randomBytes(entropyBytes));
  bytes[entropyBytes] = checkByte(bytes.subarray(0, entropyBytes));
  let digits = '';
  for (let bit = 0; bit < codeBytes * 8; bit += 5) digits += alphabet.charAt(fiveBits(bytes, bit));
  bytes.fill(0);
  return (digits.match(new RegExp(`.{${groupLength}}`, 'g')) as string[]).join('-');
}

/** The recovery code that "verity init" printed. Case, spaces and hyphens do not matter. */
export function fromRecoveryCode(code: string): MasterKeyProvider {
  const bytes = parseCode(code);
  const master = (): SecretKey => new SecretKey(sha256(pae(keyPurpose, bytes)));
  return {
    kind: 'recovery',
    async wrap(root: SecretKey, binding: SlotBinding): Promise<NewKeySlot> {
      const key = master();
      try {
        return wrapForRecovery(recoveryPublicKey(key), root, binding);
      } finally {
        key.wipe();
      }
    },
    describe: () => ({ kind: 'recovery', source: '', parameters: {}, rotates: false }),
    async rotate(): Promise<PreparedRotation> {
      throw rotationUnsupported('recovery', 'Add a new recovery code and remove the old one.');
    },
    async unwrap(
      slots: readonly KeySlot[],
      binding: SlotBinding,
    ): Promise<UnwrappedRoot | undefined> {
      const key = master();
      try {
        return openRecoverySlot(key, slots, binding);
      } finally {
        key.wipe();
      }
    },
  };
}

function parseCode(code: string): Uint8Array {
  const digits = code
    .toUpperCase()
    .replaceAll(/[\s-]/g, '')
    .replaceAll('O', '0')
    .replaceAll(/[IL]/g, '1');
  const bytes = new Uint8Array(codeBytes);
  let wellFormed = digits.length === (codeBytes * 8) / 5;
  for (let index = 0; wellFormed && index < digits.length; index++) {
    const value = alphabet.indexOf(digits.charAt(index));
    if (value === -1) wellFormed = false;
    else putFiveBits(bytes, index * 5, value);
  }
  if (!wellFormed || bytes[entropyBytes] !== checkByte(bytes.subarray(0, entropyBytes))) {
    bytes.fill(0);
    throw new VerityError(
      'KEY_INVALID',
      'The recovery code is mistyped: expected ten groups of four letters and digits.',
    );
  }
  return bytes;
}

function checkByte(bytes: Uint8Array): number {
  return sha256(pae(checkPurpose, bytes))[0] as number;
}

function fiveBits(bytes: Uint8Array, bit: number): number {
  const pair = ((bytes[bit >> 3] as number) << 8) | (bytes[(bit >> 3) + 1] ?? 0);
  return (pair >> (11 - (bit & 7))) & 31;
}

function putFiveBits(bytes: Uint8Array, bit: number, value: number): void {
  const at = bit >> 3;
  const pair = ((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0) | (value << (11 - (bit & 7)));
  bytes[at] = pair >> 8;
  if (at + 1 < bytes.length) bytes[at + 1] = pair & 0xff;
}
