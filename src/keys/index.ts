export * from './hex-key.ts';
export * from './passphrase.ts';
export * from './recovery-code.ts';
export * from './slot.ts';
