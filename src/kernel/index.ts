export * from './command.ts';
export * from './decide.ts';
export * from './evolve.ts';
export * from './objects.ts';
export * from './overlay.ts';
export * from './read-set.ts';
export * from './state.ts';
export * from './stream-row.ts';
