import { inspect } from 'node:util';
import { expect } from 'vitest';
import { type LogId, VerityError } from '../../src/base/index.ts';
import {
  type KeySlot,
  type MasterKeyProvider,
  SecretKey,
  type SlotBinding,
} from '../../src/crypto/index.ts';

export const binding: SlotBinding = { logId: new Uint8Array(16).fill(0x10) as LogId };
export const otherBinding: SlotBinding = { logId: new Uint8Array(16).fill(0x20) as LogId };
export const rootBytes = (): Uint8Array => new Uint8Array(32).fill(0x5a);
export const newRoot = (): SecretKey => new SecretKey(rootBytes());

/** The slot that a provider makes, numbered. */
export async function slotOf(
  provider: MasterKeyProvider,
  id = 1,
  place = binding,
): Promise<KeySlot> {
  return { id, ...(await provider.wrap(newRoot(), place)) };
}

/** The id of the slot that opened, with the right root key in it; undefined if none did. */
export async function openedSlot(
  provider: MasterKeyProvider,
  slots: readonly KeySlot[],
  place = binding,
): Promise<number | undefined> {
  const opened = await provider.unwrap(slots, place);
  if (opened === undefined) return undefined;
  expect(opened.root.expose()).toEqual(rootBytes());
  return opened.slotId;
}

/** What work fails with. */
export async function errorOf(work: () => unknown): Promise<VerityError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof VerityError) return error;
    throw error;
  }
  throw new Error('expected an error');
}

export const codeOf = async (work: () => unknown): Promise<string> => (await errorOf(work)).code;

export function flipped(bytes: Uint8Array, index: number): Uint8Array {
  return Uint8Array.from(bytes, (byte, at) => (at === index ? byte ^ 1 : byte));
}

/** Everything that a log could print of a value. */
export function shown(value: unknown): string {
  const stack = value instanceof Error ? (value.stack ?? '') : '';
  return `${inspect(value, { depth: Infinity, showHidden: true })}\n${stack}`;
}

/** Sets and removes variables of the environment; returns what puts them back as they were. */
export function changeEnvironment(changes: Record<string, string | undefined>): () => void {
  const before = Object.keys(changes).map((name) => [name, process.env[name]] as const);
  const apply = (entries: readonly (readonly [string, string | undefined])[]): void => {
    for (const [name, value] of entries) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
  apply(Object.entries(changes));
  return () => apply(before);
}
