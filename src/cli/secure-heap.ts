/** `--secure-heap[=BYTES]`: an option of Node itself that must be there when it starts, so we start Node once more. */
import { spawn } from 'node:child_process';
import { secureHeapUsed } from 'node:crypto';
import { constants } from 'node:os';
import { usageError } from './failure.ts';

const option = '--secure-heap';
const defaultBytes = 1 << 16;
const bytesMin = 1 << 12;
const bytesMax = 1 << 30;
const passedOn = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export interface SecureHeapWish {
  /** The arguments without the option. */
  readonly args: string[];
  /** Size of the secure heap that was asked for; undefined without the option. */
  readonly bytes: number | undefined;
}

/** Takes the option out of the arguments, wherever it stands before `--`. Throws a usage error for a bad size. */
export function takeSecureHeap(args: readonly string[]): SecureHeapWish {
  const end = args.indexOf('--');
  const isOption = (arg: string, index: number): boolean =>
    (end < 0 || index < end) && (arg === option || arg.startsWith(`${option}=`));
  const wish = args.filter(isOption).at(-1);
  if (wish === undefined) return { args: [...args], bytes: undefined };
  const digits = wish === option ? String(defaultBytes) : wish.slice(option.length + 1);
  const bytes = /^\d{1,10}$/.test(digits) ? Number(digits) : 0;
  if (bytes < bytesMin || bytes > bytesMax || !Number.isInteger(Math.log2(bytes))) {
    throw usageError(
      `--secure-heap takes a power of two from ${bytesMin} to ${bytesMax} (bytes), e.g. --secure-heap=${defaultBytes}.`,
    );
  }
  return { args: args.filter((arg, index) => !isOption(arg, index)), bytes };
}

/** The size of the secure heap that the arguments ask for and this process lacks; undefined to go on as it is. */
export function missingSecureHeap(args: readonly string[]): number | undefined {
  // Where the system has none, starting again would not help.
  const wasAsked = process.execArgv.some((arg) => arg.startsWith(option));
  if (wasAsked || secureHeapUsed().total > 0) return undefined;
  try {
    return takeSecureHeap(args).bytes;
  } catch {
    return undefined; // The command reports it, in the form that was asked for.
  }
}

/** Runs this program once more with a secure heap; its exit code. Signals are passed on. */
export function runWithSecureHeap(
  script: string,
  args: readonly string[],
  bytes: number,
): Promise<number> {
  const node = [...process.execArgv, `${option}=${bytes}`, script, ...args];
  const child = spawn(process.execPath, node, { stdio: 'inherit' });
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  for (const signal of passedOn) process.on(signal, forward);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      for (const name of passedOn) process.off(name, forward);
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
