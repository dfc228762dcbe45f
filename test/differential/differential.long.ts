/**
 * Random tables, queries and writes on VerityDB and on PostgreSQL, as a document.
 *
 *   npx tsx test/differential/differential.long.ts [--seed N] [--runs M | --worlds W] [--out FILE]
 *
 * From seed N on, worlds are run until M statements were compared (default 20,000), or W worlds. Each difference is
 * made small and printed at once. Prints the document, or writes it to FILE and prints one line. Exits with 1 unless
 * both databases agreed on all.
 */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { newDisk, openOn } from '../sdk/support.ts';
import { PostgresServer } from '../support/postgres.ts';
import { described, enough } from './report.ts';
import { newTally, Pair, runWorld, type Tally } from './run.ts';

const statementsPerWorld = 40;
/** Worlds on one database in memory, before another is opened. */
const worldsPerDatabase = 200;
const progressEvery = 50;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string', default: '20000' },
    worlds: { type: 'string' },
    out: { type: 'string' },
  },
});

await main(Number(values.seed), Number(values.runs), Number(values.worlds ?? Infinity));

async function main(firstSeed: number, runs: number, worlds: number): Promise<void> {
  const started = performance.now();
  const server = await PostgresServer.start();
  const tally = newTally();
  try {
    for (let done = 0; done < worlds && tally.statements < runs; done += worldsPerDatabase)
      await runSome(server, firstSeed + done, {
        tally,
        runs,
        worlds: Math.min(worlds - done, worldsPerDatabase),
      });
  } finally {
    await server.stop();
  }
  const seconds = Math.round((performance.now() - started) / 1_000);
  report(tally, { firstSeed, seconds, postgres: server.version });
}

async function runSome(
  server: PostgresServer,
  firstSeed: number,
  {
    tally,
    runs,
    worlds,
  }: { readonly tally: Tally; readonly runs: number; readonly worlds: number },
): Promise<void> {
  const db = await openOn(newDisk(), { timestamps: 'microseconds' });
  const pair = await Pair.open(db, server);
  try {
    for (let seed = firstSeed; seed < firstSeed + worlds && tally.statements < runs; seed++) {
      const known = tally.differences.length;
      await runWorld(pair, seed, statementsPerWorld, tally);
      for (const difference of tally.differences.slice(known)) console.error(described(difference));
      if (tally.worlds % progressEvery === 0)
        console.error(`seed ${seed}: ${tally.statements} statements`);
    }
  } finally {
    await pair.close();
    await db.close();
  }
}

function report(tally: Tally, run: Readonly<Record<string, unknown>>): void {
  const { differences, unsupported, ...counts } = tally;
  const lacking = enough(tally);
  const pass = differences.length === 0 && (lacking.length === 0 || tally.worlds < progressEvery);
  const document = {
    suite: 'differential',
    pass,
    ...run,
    node: process.version,
    ...counts,
    lacking,
    unsupported: Object.fromEntries(unsupported),
    differences,
  };
  process.exitCode = pass ? 0 : 1;
  const text = `${JSON.stringify(document, undefined, 2)}\n`;
  if (values.out === undefined) process.stdout.write(text);
  else {
    writeFileSync(values.out, text);
    const { statements } = counts;
    console.log(
      JSON.stringify({
        suite: 'differential',
        pass,
        statements,
        differences: differences.length,
        out: values.out,
      }),
    );
  }
}
