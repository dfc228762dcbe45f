/** A private PostgreSQL in a temporary folder, for tests that compare with the real one. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import pg from 'pg';

/** What a statement gave: values as PostgreSQL prints them, with the names and numbers of their types. */
export interface PostgresResult {
  readonly columns: readonly { readonly name: string; readonly typeId: number }[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** Rows read or written. */
  readonly rowCount: number;
}

interface Identity {
  readonly uid: number;
  readonly gid: number;
}

const startAttempts = 200;
const startPauseMs = 50;

/** The folder of the newest server that is installed, or undefined. */
function postgresFolder(): string | undefined {
  const installed = '/usr/lib/postgresql';
  const versions = existsSync(installed) ? readdirSync(installed) : [];
  versions.sort((a, b) => Number(b) - Number(a));
  const folders = [
    ...versions.map((version) => join(installed, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  return folders.find((folder) =>
    ['initdb', 'postgres'].every((program) => existsSync(join(folder, program))),
  );
}

/**
 * Whether tests that need PostgreSQL skip themselves: where none is installed, but never in CI, which installs one. Says
 * so where the run's output is read.
 */
export function skipsPostgres(): boolean {
  if (postgresFolder() !== undefined || process.env['CI'] !== undefined) return false;
  process.stderr.write(
    'No PostgreSQL (initdb, postgres) is installed: tests that compare with it are skipped.\n',
  );
  return true;
}

/** A server that listens on a socket in its own folder only, and forgets all when it stops. */
export class PostgresServer {
  readonly version: string;
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #onExit = (): void => void this.#process.kill('SIGKILL');

  private constructor(folder: string, child: ChildProcess, version: string) {
    this.#folder = folder;
    this.#process = child;
    this.version = version;
    process.once('exit', this.#onExit);
  }

  /** Makes a cluster and starts it. Throws when none is installed, or it does not come up. */
  static async start(): Promise<PostgresServer> {
    const programs = postgresFolder();
    if (programs === undefined)
      throw new Error('There is no PostgreSQL (initdb, postgres) on this machine; install one.');
    const folder = mkdtempSync(join(tmpdir(), 'verity-postgres-'));
    const identity = otherUser();
    if (identity !== undefined) chownSync(folder, identity.uid, identity.gid);
    const options = { cwd: folder, ...identity, env: { PATH: process.env['PATH'], TZ: 'UTC' } };
    const data = join(folder, 'data');
    const cluster = ['-D', data, '-U', 'verity', '-A', 'trust', '-E', 'UTF8', '--locale=C'];
    execFileSync(join(programs, 'initdb'), [...cluster, '--no-sync'], {
      ...options,
      stdio: 'pipe',
    });
    const version = execFileSync(join(programs, 'postgres'), ['--version'], { ...options });
    const settings = ['listen_addresses=', 'fsync=off', 'full_page_writes=off', 'timezone=UTC'];
    settings.push('synchronous_commit=off', 'autovacuum=off', 'log_min_messages=fatal', 'jit=off');
    const child = spawn(
      join(programs, 'postgres'),
      ['-D', data, '-k', folder, ...settings.flatMap((setting) => ['-c', setting])],
      { ...options, stdio: 'ignore' },
    );
    const server = new PostgresServer(folder, child, version.toString().trim());
    await server.#answering();
    return server;
  }

  /** A connection to a database of its own, which is empty. */
  async session(database: string): Promise<PostgresSession> {
    const admin = await this.#connect('postgres');
    await admin.query(`DROP DATABASE IF EXISTS ${database}`);
    await admin.query(`CREATE DATABASE ${database} TEMPLATE template0`);
    await admin.end();
    return new PostgresSession(await this.#connect(database));
  }

  async stop(): Promise<void> {
    process.off('exit', this.#onExit);
    const ended = new Promise((resolve) => {
      this.#process.once('exit', resolve);
    });
    if (this.#process.exitCode === null && this.#process.kill('SIGINT')) await ended;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #connect(database: string): Promise<pg.Client> {
    const client = new pg.Client({ host: this.#folder, user: 'verity', database });
    // An idle connection that is cut off when the server stops is no failure.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async #answering(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const client = await this.#connect('postgres');
        await client.end();
        return;
      } catch (error) {
        if (attempt >= startAttempts || this.#process.exitCode !== null) throw error;
        await new Promise((resolve) => {
          setTimeout(resolve, startPauseMs);
        });
      }
    }
  }
}

/** One connection. Values come as text, so nothing is lost on the way. */
export class PostgresSession {
  readonly #client: pg.Client;

  constructor(client: pg.Client) {
    this.#client = client;
  }

  /** Runs one statement or a script without parameters. Throws `pg.DatabaseError`, whose `code` is the SQLSTATE. */
  async run(sql: string): Promise<PostgresResult> {
    const answer = await this.#client.query({ text: sql, rowMode: 'array', types: asText });
    const result = Array.isArray(answer) ? (answer.at(-1) as typeof answer) : answer;
    return {
      columns: result.fields.map(({ name, dataTypeID }) => ({ name, typeId: dataTypeID })),
      rows: result.rows as (string | null)[][],
      rowCount: result.rowCount ?? 0,
    };
  }

  async end(): Promise<void> {
    await this.#client.end();
  }
}

const asText = { getTypeParser: () => (text: string) => text } as unknown as pg.CustomTypesConfig;

/** PostgreSQL refuses to run as root: then as its own user, or as nobody. */
function otherUser(): Identity | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const account = accounts.find((each) => each[0] === name);
    if (account !== undefined) return { uid: Number(account[2]), gid: Number(account[3]) };
  }
  return undefined;
}
