/**
 * Files of sqllogictest on VerityDB, as a document.
 *
 *   npx tsx test/sqllogictest/sqllogictest.long.ts [--every N] [--judge] [--postgres] [--out FILE] [FILE …]
 *
 * Without FILE the files of this project. `--every N` runs each N-th query; all statements are run. `--judge`: what
 * PostgreSQL refuses may be refused with its SQLSTATE, and its answer counts where it differs from the file's (for files
 * with statements in SQLite's dialect that no directive marks). `--postgres` runs PostgreSQL instead of VerityDB.
 * Prints the document, or writes it to OUT and prints one line. Exits with 1 unless all passed.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { brotliDecompressSync } from 'node:zlib';
import { PostgresServer } from '../support/postgres.ts';
import { postgresEngine, verityEngine } from './engines.ts';
import { fileNames, readScript } from './files.ts';
import { type Engine, type Outcome, runScript } from './run.ts';

const failuresShown = 20;

interface FileResult extends Omit<Outcome, 'failures'> {
  readonly file: string;
  readonly seconds: number;
  readonly failed: number;
  readonly failures: Outcome['failures'];
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    every: { type: 'string', default: '1' },
    judge: { type: 'boolean', default: false },
    postgres: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});

await main();

async function main(): Promise<void> {
  const server = values.judge || values.postgres ? await PostgresServer.start() : undefined;
  const results: FileResult[] = [];
  try {
    for (const file of positionals.length > 0 ? positionals : fileNames()) {
      const result = await runFile(file, server);
      results.push(result);
      console.error(
        `${file}: ${result.queries} queries, ${result.failed} failed, ${result.seconds} s`,
      );
    }
  } finally {
    await server?.stop();
  }
  report(results, server?.version);
}

async function runFile(file: string, server: PostgresServer | undefined): Promise<FileResult> {
  const started = performance.now();
  const session = await server?.session('files');
  const postgres = session === undefined ? undefined : postgresEngine(session);
  const own = values.postgres ? undefined : await verityEngine();
  try {
    const { failures, ...counts } = await runScript(textOf(file), (own ?? postgres) as Engine, {
      queryEvery: Number(values.every),
      ...(values.judge && postgres !== undefined && { judge: postgres }),
    });
    const seconds = Math.round((performance.now() - started) / 100) / 10;
    const failed = failures.length;
    return { file, seconds, ...counts, failed, failures: failures.slice(0, failuresShown) };
  } finally {
    await own?.close();
    await session?.end();
  }
}

function textOf(file: string): string {
  if (positionals.length === 0) return readScript(file);
  const bytes = readFileSync(file);
  return (file.endsWith('.br') ? brotliDecompressSync(bytes) : bytes).toString('utf8');
}

function report(results: readonly FileResult[], postgres: string | undefined): void {
  const sum = (
    name: 'statements' | 'queries' | 'skipped' | 'leftOut' | 'refused' | 'failed',
  ): number => results.reduce((total, result) => total + result[name], 0);
  const summary = {
    suite: 'sqllogictest',
    pass: sum('failed') === 0 && sum('queries') > 0,
    files: results.length,
    statements: sum('statements'),
    queries: sum('queries'),
    skipped: sum('skipped'),
    leftOut: sum('leftOut'),
    refused: sum('refused'),
    failed: sum('failed'),
  };
  process.exitCode = summary.pass ? 0 : 1;
  const document = { ...summary, node: process.version, postgres, results };
  const text = `${JSON.stringify(document, undefined, 2)}\n`;
  if (values.out === undefined) process.stdout.write(text);
  else {
    writeFileSync(values.out, text);
    console.log(JSON.stringify({ ...summary, out: values.out }));
  }
}
