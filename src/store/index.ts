export * from './compare.ts';
export * from './memory-store.ts';
export * from './ordered-map.ts';
export * from './store.ts';
export * from './view.ts';
