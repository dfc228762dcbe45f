/** A private PostgreSQL on the disk that our data lie on, durable as it is by default, and pgbench. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import type { Slice } from '../measure.ts';
import { checkRows, checkTrail, definitions, pgbenchScript } from './postgres-tables.ts';

const run = promisify(execFile);
const startAttempts = 200;
const startPauseMs = 50;
const threads = 2;
/** As much as our own cache may take. */
const sharedBuffers = '256MB';
const wanted = ['fsync', 'full_page_writes', 'synchronous_commit', 'wal_level', 'shared_buffers'];

const programsNeeded = ['initdb', 'postgres', 'psql', 'pgbench'];

interface Identity {
  readonly uid: number;
  readonly gid: number;
}

/** A server of its own user that listens on a socket only. */
export class Postgres {
  /** What it says of itself, for the line. */
  readonly details: Readonly<Record<string, string>>;
  readonly #programs: string;
  readonly #socket: string;
  readonly #script: string;
  readonly #process: ChildProcess;
  readonly #onExit: () => void;
  #runs = 0;

  private constructor(programs: string, socket: string, child: ChildProcess) {
    this.#programs = programs;
    this.#socket = socket;
    this.#process = child;
    this.#onExit = () => void child.kill('SIGQUIT');
    process.once('exit', this.#onExit);
    this.#script = join(socket, 'insert.sql');
    writeFileSync(this.#script, pgbenchScript);
    this.details = this.#settings();
  }

  /** Makes a cluster below `folder` and starts it; an Error that says why there can be none. */
  static async start(folder: string): Promise<Postgres | Error> {
    const programs = programsFolder();
    if (programs === undefined)
      return new Error(`No ${programsNeeded.join(', ')} below /usr/lib/postgresql or in the PATH.`);
    const identity = otherUser();
    // The other user must reach its data below our folder; a socket's path must be short.
    chmodSync(folder, 0o711);
    const data = join(folder, 'postgres');
    mkdirSync(data, { mode: 0o700 });
    const socket = mkdtempSync(join(tmpdir(), 'verity-bench-'));
    for (const each of [data, socket])
      if (identity !== undefined) chownSync(each, identity.uid, identity.gid);
    try {
      const child = await startServer(programs, data, socket, identity);
      return new Postgres(programs, socket, child);
    } catch (error) {
      rmSync(socket, { recursive: true, force: true });
      return new Error(`PostgreSQL did not start: ${(error as Error).message.trim()}`);
    }
  }

  create(
    database: string,
    options: { readonly indexed: boolean; readonly audited: boolean },
  ): void {
    this.#psql('postgres', `CREATE DATABASE ${database} TEMPLATE template0`);
    this.#psql(database, definitions(options));
  }

  /** `clients` connections that insert so many rows together, each its own transaction, prepared. */
  async insert(database: string, clients: number, rows: number): Promise<Slice> {
    const each = Math.ceil(rows / clients);
    this.#runs += 1;
    const { stdout } = await run(
      join(this.#programs, 'pgbench'),
      ['--no-vacuum', `--client=${clients}`, `--jobs=${threads}`, '--protocol=prepared']
        .concat([`--transactions=${each}`, `--file=${this.#script}`])
        .concat([`--random-seed=${this.#runs}`, `--host=${this.#socket}`])
        .concat(['--username=verity', database]),
    );
    const count = numberIn(stdout, /transactions actually processed: (\d+)\//);
    if (count !== each * clients)
      throw new Error(`pgbench did ${count} of ${each * clients} transactions.`);
    // Without the time it took to connect.
    return { count, seconds: count / numberIn(stdout, /^tps = ([0-9.]+) \(without/m) };
  }

  /** Throws unless the database holds `rows` rows as they should be, and their trail if it has one. */
  check(database: string, rows: number, audited: boolean): void {
    const found = this.#psql(database, checkRows);
    if (found !== `${rows}|0|t`)
      throw new Error(`PostgreSQL holds rows|wrong|varied ${found}, not ${rows}|0|t.`);
    if (!audited) return;
    const trail = this.#psql(database, checkTrail);
    if (trail !== `${rows}|0|t`)
      throw new Error(`The audit trail holds entries|broken|head ${trail}, not ${rows}|0|t.`);
  }

  async stop(): Promise<void> {
    process.off('exit', this.#onExit);
    const ended = new Promise((resolve) => {
      this.#process.once('exit', resolve);
    });
    if (this.#process.exitCode === null && this.#process.kill('SIGINT')) await ended;
    rmSync(this.#socket, { recursive: true, force: true });
  }

  #settings(): Record<string, string> {
    const version = this.#psql('postgres', 'SHOW server_version');
    const settings = wanted.map((name) => `${name}=${this.#psql('postgres', `SHOW ${name}`)}`);
    return { postgres: version, settings: settings.join(' ') };
  }

  /** What a script's last statement gives, in psql's unaligned form. */
  #psql(database: string, sql: string): string {
    return psql(this.#programs, this.#socket, database, sql);
  }
}

function psql(programs: string, socket: string, database: string, sql: string): string {
  const options = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-h', socket, '-U', 'verity'];
  return execFileSync(join(programs, 'psql'), [...options, '-d', database], {
    input: sql,
    encoding: 'utf8',
    stdio: 'pipe',
  }).trim();
}

async function startServer(
  programs: string,
  data: string,
  socket: string,
  identity: Identity | undefined,
): Promise<ChildProcess> {
  const options = { cwd: data, ...identity, env: { PATH: process.env['PATH'], TZ: 'UTC' } };
  const cluster = ['-D', data, '-U', 'verity', '-A', 'trust', '-E', 'UTF8', '--locale=C'];
  execFileSync(join(programs, 'initdb'), cluster, { ...options, stdio: 'pipe' });
  const settings = ['listen_addresses=', `shared_buffers=${sharedBuffers}`, 'timezone=UTC'];
  const child = spawn(
    join(programs, 'postgres'),
    ['-D', data, '-k', socket, ...settings.flatMap((setting) => ['-c', setting])],
    { ...options, stdio: ['ignore', 'ignore', 'ignore'] },
  );
  for (let attempt = 1; ; attempt++) {
    try {
      psql(programs, socket, 'postgres', 'SELECT 1');
      return child;
    } catch (error) {
      if (attempt < startAttempts && child.exitCode === null) {
        await new Promise((resolve) => {
          setTimeout(resolve, startPauseMs);
        });
        continue;
      }
      child.kill('SIGQUIT');
      throw error;
    }
  }
}

/** The folder of the newest server that is installed with all its programs. */
function programsFolder(): string | undefined {
  const installed = '/usr/lib/postgresql';
  const versions = existsSync(installed) ? readdirSync(installed) : [];
  versions.sort((a, b) => Number(b) - Number(a));
  const folders = versions.map((version) => join(installed, version, 'bin'));
  return [...folders, ...(process.env['PATH'] ?? '').split(delimiter)].find((folder) =>
    programsNeeded.every((name) => existsSync(join(folder, name))),
  );
}

/** PostgreSQL refuses to run as root: then as its own user, or as nobody. */
function otherUser(): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const account = ['postgres', 'nobody']
    .map((name) => accounts.find((each) => each[0] === name))
    .find((each) => each !== undefined);
  return account && { uid: Number(account[2]), gid: Number(account[3]) };
}

function numberIn(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`pgbench said something else: ${text}`);
  return Number(found);
}
