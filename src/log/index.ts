export * from './format.ts';
export * from './frame-builder.ts';
export * from './frame-reader.ts';
export * from './walk.ts';
