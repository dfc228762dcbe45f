export { runCli } from './run.ts';
export type { ExitCode } from './failure.ts';
export type { Terminal } from './terminal.ts';
