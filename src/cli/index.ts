export { runCli } from './run.ts';
export { missingSecureHeap, runWithSecureHeap } from './secure-heap.ts';
export type { ExitCode } from './failure.ts';
export type { Terminal } from './terminal.ts';
