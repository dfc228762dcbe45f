/** The files of sqllogictest on VerityDB, and what the list of refusals says on PostgreSQL. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PostgresServer, skipsPostgres } from '../support/postgres.ts';
import { postgresEngine, verityEngine } from './engines.ts';
import { fileNames, readScript } from './files.ts';
import { refusals } from './refusals.ts';
import { type Outcome, runScript } from './run.ts';

const recordsOf = ({
  statements,
  queries,
  leftOut,
  skipped,
  refused,
}: Outcome): Pick<Outcome, 'statements' | 'queries' | 'skipped' | 'refused'> => ({
  statements,
  queries: queries + leftOut,
  skipped,
  refused,
});

/** Of files with more queries than this each third is run here; `npm run evidence:sqllogictest` runs all. */
const queriesOfSmallFile = 5_000;
const share = 3;

/** What each file holds; a run that reads less of it fails. */
const contents: Readonly<Record<string, ReturnType<typeof recordsOf>>> = {
  evidence_in1: { statements: 27, queries: 105, skipped: 86, refused: 4 },
  evidence_update: { statements: 18, queries: 9, skipped: 0, refused: 1 },
  index_between_10_1: { statements: 29, queries: 10_000, skipped: 0, refused: 0 },
  index_delete_10_3: { statements: 6_204, queries: 3_861, skipped: 0, refused: 0 },
  index_in_10_3: { statements: 32, queries: 10_005, skipped: 0, refused: 0 },
  index_orderby_10_17: { statements: 34, queries: 10_020, skipped: 0, refused: 0 },
};

test('the folder holds the files that are listed', () => {
  expect(fileNames()).toEqual(Object.keys(contents));
});

test.each(Object.keys(contents))('%s passes', async (name) => {
  const engine = await verityEngine();
  try {
    const queries = contents[name]?.queries ?? 0;
    const queryEvery = queries > queriesOfSmallFile ? share : 1;
    const outcome = await runScript(readScript(name), engine, { queryEvery });
    expect(outcome.failures.slice(0, 5)).toEqual([]);
    expect(outcome.queries).toBe(Math.floor(queries / queryEvery));
    expect(recordsOf(outcome)).toEqual(contents[name]);
  } finally {
    await engine.close();
  }
});

describe.skipIf(skipsPostgres())('on PostgreSQL', () => {
  let server: PostgresServer;
  beforeAll(async () => {
    server = await PostgresServer.start();
  });
  afterAll(() => server.stop());

  test.each(['evidence_in1', 'evidence_update'])('%s passes with the same list', async (name) => {
    const session = await server.session('files');
    try {
      const outcome = await runScript(readScript(name), postgresEngine(session));
      expect(outcome.failures).toEqual([]);
      expect(recordsOf(outcome)).toEqual(contents[name]);
    } finally {
      await session.end();
    }
  });

  test('each kind of statement on the list is refused as it says', async () => {
    const session = await server.session('kinds');
    const engine = postgresEngine(session);
    try {
      const kinds = refusals.flatMap(({ sql, sqlState }) =>
        typeof sql === 'string' ? [] : [{ ...sql, sqlState }],
      );
      expect(kinds.length).toBeGreaterThan(0);
      for (const { pattern, example, sqlState } of kinds) {
        expect(example).toMatch(pattern);
        await expect(engine.execute(example)).rejects.toMatchObject({ sqlState });
      }
    } finally {
      await session.end();
    }
  });
});
