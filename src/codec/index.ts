export * from './event.ts';
export * from './json-text.ts';
export * from './key.ts';
export * from './reader.ts';
export * from './row-groups.ts';
export * from './row.ts';
export * from './schema.ts';
export * from './writer.ts';
