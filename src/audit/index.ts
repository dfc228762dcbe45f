export * from './live.ts';
export * from './verify.ts';
