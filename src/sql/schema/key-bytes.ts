import type { StoreKey } from '../../base/index.ts';

/** A key as bytes: what an index tree holds as its row, naming the row's place in the table's tree. */
export function bytesOfKey(key: StoreKey): Uint8Array {
  const bytes = new Uint8Array(key.length);
  for (let index = 0; index < key.length; index++) bytes[index] = key.charCodeAt(index);
  return bytes;
}

/** The key that `bytesOfKey` was given. */
export function keyOfBytes(bytes: Uint8Array): StoreKey {
  let key = '';
  for (let index = 0; index < bytes.length; index++)
    key += String.fromCharCode(bytes[index] as number);
  return key as StoreKey;
}
