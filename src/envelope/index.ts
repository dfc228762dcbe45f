/** The service envelope: `import { EnvelopeCipher, KekRing } from 'veritydb/envelope'`. */
export { VerityError } from '../base/index.ts';
export { decodeBlob, type EncryptedBlob, encodeBlob } from './blob.ts';
export * from './cipher.ts';
export * from './context.ts';
export * from './kek-ring.ts';
export * from './limits.ts';
