export * from './compare.ts';
export { type HashSeed, hashSeedOf } from './key-table.ts';
export * from './memory-store.ts';
export * from './ordered-map.ts';
export * from './store.ts';
export * from './view.ts';
