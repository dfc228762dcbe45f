import { CommanderError } from 'commander';
import { type ExitCode, failureOf, renderFailure, usageError } from './failure.ts';
import { buildProgram } from './program.ts';
import { takeSecureHeap } from './secure-heap.ts';
import { Output, OutputClosed, type Terminal } from './terminal.ts';

/**
 * Runs the `verity` command with the arguments after its name; returns the exit code. Never throws:
 * errors end as one line (with --json one document) on standard error.
 */
export async function runCli(args: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const output = new Output(terminal.stdout);
  // A reader of messages that went away is no reason to stop the work.
  terminal.stderr.on('error', () => undefined);
  let exitCode: ExitCode = 0;
  const exit = (code: ExitCode): void => void (exitCode = code);
  const program = buildProgram({ terminal, output, exit });
  if (args.length === 0) {
    terminal.stderr.write(program.helpInformation());
    return 2;
  }
  try {
    await program.parseAsync(takeSecureHeap(args).args, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof OutputClosed) return 0;
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const failure = failureOf(error instanceof CommanderError ? asUsageError(error, args) : error);
    terminal.stderr.write(renderFailure(failure, asksForJson(args)));
    return failure.exitCode;
  }
}

function asUsageError(error: CommanderError, args: readonly string[]): Error {
  const verb = args.find((arg) => !arg.startsWith('-'));
  const help = verb === undefined ? '`verity --help`' : `\`verity ${verb} --help\``;
  if (error.code === 'commander.help') return usageError('No verb was given. Try `verity --help`.');
  if (error.code === 'commander.unknownCommand')
    return usageError(`${tidy(error.message)} Try \`verity --help\`.`);
  return usageError(`${tidy(error.message)} Try ${help}.`);
}

/** Commander's message as a sentence of ours. */
function tidy(message: string): string {
  const text = message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  const sentence = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.?!)]$/.test(sentence) ? sentence : `${sentence}.`;
}

function asksForJson(args: readonly string[]): boolean {
  const end = args.indexOf('--');
  return (end < 0 ? args : args.slice(0, end)).includes('--json');
}
