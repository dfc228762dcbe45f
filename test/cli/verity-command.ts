/** Runs the built command as a user does: a process of its own, without a terminal. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { PassThrough } from 'node:stream';
import { runCli } from '../../src/cli/index.ts';
import { root } from '../support/project.ts';

export const mainScript = join(root, 'dist/cli/main.js');
export const clinicFolder = join(root, 'examples/clinic');

/** The environment without keys that the machine's own user may have set. */
export const cleanEnvironment: Record<string, string | undefined> = Object.fromEntries(
  Object.entries(process.env).filter(
    ([name]) => !name.startsWith('VERITY_') && name !== 'NO_COLOR',
  ),
);

export interface Ran {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
}

export function verity(args: readonly string[], options: RunOptions = {}): Ran {
  const { status, stdout, stderr } = spawnSync(process.execPath, [mainScript, ...args], {
    input: options.input ?? '',
    env: { ...cleanEnvironment, ...options.env },
    cwd: options.cwd ?? tmpdir(),
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { exitCode: status, stdout, stderr };
}

/** A parsed document, as deep as a test looks into it. */
export type Document = ReturnType<typeof JSON.parse>;

export interface JsonRan {
  readonly exitCode: number | null;
  readonly document: Document;
}

/** Runs a verb with --json; returns the parsed document, of standard error when it failed. */
export function verityJson(args: readonly string[], options: RunOptions = {}): JsonRan {
  return parsed(verity([...args, '--json'], options));
}

/**
 * Runs a verb within this process: ten times faster, for cases that do not test the process itself.
 * VERITY_MASTER_KEY and the working directory are the process's own and cannot be given here.
 */
export async function verityHere(
  args: readonly string[],
  options: Pick<RunOptions, 'input' | 'env'> = {},
): Promise<Ran> {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const texts = Promise.all([stdout, stderr].map((stream) => stream.toArray()));
  stdin.end(options.input ?? '');
  const env = options.env ?? {};
  const exitCode = await runCli(args, {
    stdin,
    stdout,
    stderr,
    env,
    now: () => performance.now(),
    onInterrupt: () => () => undefined,
  });
  stdout.end();
  stderr.end();
  const [out = '', err = ''] = (await texts).map((pieces) => pieces.join(''));
  return { exitCode, stdout: out, stderr: err };
}

export async function verityJsonHere(
  args: readonly string[],
  options: Pick<RunOptions, 'input' | 'env'> = {},
): Promise<JsonRan> {
  return parsed(await verityHere([...args, '--json'], options));
}

function parsed({ exitCode, stdout, stderr }: Ran): JsonRan {
  const text = exitCode === 0 || (exitCode === 3 && stdout !== '') ? stdout : stderr;
  return { exitCode, document: JSON.parse(text) };
}

/** A folder of a test's own, and databases and files in it. */
export class Workspace {
  readonly folder = mkdtempSync(join(tmpdir(), 'verity-cli-'));

  path(name: string): string {
    return join(this.folder, name);
  }

  file(name: string, content: string | Buffer): string {
    writeFileSync(this.path(name), content, { mode: 0o600 });
    return this.path(name);
  }

  /** Creates a database with a key file beside it; returns its directory. */
  database(name = 'data'): string {
    const { exitCode, stderr } = verity(['init', this.path(name)]);
    if (exitCode !== 0) throw new Error(`init failed: ${stderr}`);
    return this.path(name);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
