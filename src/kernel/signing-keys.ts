/** What the log says of keys that sign checkpoints: each but the first was handed over to by the one before it. */
import type { LeafIndex } from '../base/index.ts';
import { encodeKey, Reader, type SigningKeyEvent, Writer } from '../codec/index.ts';
import type { ReadView, StoreChange } from '../store/index.ts';
import { signingKeysTree } from './objects.ts';

/** The number of the key that a database is created with; no event names it. */
export const firstSigningKey = 1;

export type SigningKeyRecord = Omit<SigningKeyEvent, 'type' | 'position' | 'tenant' | 'command'>;

/** A key as the log holds it. */
export interface LoggedSigningKey extends SigningKeyRecord {
  /** Of the event that says so. */
  readonly leaf: LeafIndex;
}

export function signingKeyChanges(event: SigningKeyEvent, leaf: LeafIndex): StoreChange[] {
  const row = new Writer(144);
  row.u32(event.keyNumber);
  row.raw(event.previousKey);
  row.raw(event.publicKey);
  row.raw(event.signature);
  const key = encodeKey([{ name: 'bigint' }], [BigInt(event.keyNumber)]);
  return [{ tree: signingKeysTree, key, row: row.finish(), leaf }];
}

/** All keys but the first that signed, or sign; the newest last. */
export function signingKeysOf(view: ReadView): LoggedSigningKey[] {
  const found: LoggedSigningKey[] = [];
  const cursor = view.scan(signingKeysTree, {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    const reader = new Reader(entry.row);
    found.push({
      leaf: entry.leaf,
      keyNumber: reader.u32(),
      previousKey: reader.raw(32).slice(),
      publicKey: reader.raw(32).slice(),
      signature: reader.raw(64).slice(),
    });
  }
  return found;
}
