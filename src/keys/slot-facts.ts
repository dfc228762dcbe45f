import type { KeySlot } from '../crypto/index.ts';
import { alteredSlot } from './slot.ts';

const factsBytesMax = 4_096;

/** Public facts about a key, as the parameters of a slot: a JSON object of texts. */
export function encodeFacts(facts: Readonly<Record<string, string>>): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(facts));
}

/** What `encodeFacts` wrote. Throws AUTHENTICATION_FAILED if the slot holds anything else. */
export function decodeFacts(slot: KeySlot): Readonly<Record<string, string>> {
  const damaged = (): Error => alteredSlot(slot, 'A description of a key that cannot be read lies');
  if (slot.parameters.length > factsBytesMax) throw damaged();
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(slot.parameters));
  } catch {
    throw damaged();
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw damaged();
  const entries = Object.entries(value);
  if (entries.some(([, fact]) => typeof fact !== 'string')) throw damaged();
  return Object.fromEntries(entries) as Record<string, string>;
}
