export * from './find-frames.ts';
export * from './format.ts';
export * from './frame-builder.ts';
export * from './frame-encoder.ts';
export * from './frame-reader.ts';
export * from './head.ts';
export * from './section-openings.ts';
export * from './walk.ts';
