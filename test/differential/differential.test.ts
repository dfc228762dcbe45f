/** Random tables, queries and writes on VerityDB and on a real PostgreSQL. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Verity } from '../../src/database/index.ts';
import { newDisk, openOn } from '../sdk/support.ts';
import { PostgresServer, skipsPostgres } from '../support/postgres.ts';
import type { Answer } from './answer.ts';
import { compare } from './compare.ts';
import { described, enough } from './report.ts';
import { newTally, Pair, runWorld } from './run.ts';

const statementsMin = 2_000;
const statementsPerWorld = 24;
const firstSeed = 1;

describe.skipIf(skipsPostgres())('VerityDB and PostgreSQL', () => {
  let server: PostgresServer;
  let db: Verity;
  let pair: Pair;
  beforeAll(async () => {
    server = await PostgresServer.start();
    db = await openOn(newDisk(), { timestamps: 'microseconds' });
    pair = await Pair.open(db, server);
  });
  afterAll(async () => {
    await pair.close();
    await db.close();
    await server.stop();
  });

  test(`agree on ${statementsMin} random statements`, async () => {
    const tally = newTally();
    for (let seed = firstSeed; tally.statements < statementsMin; seed++) {
      await runWorld(pair, seed, statementsPerWorld, tally);
      expect(tally.differences.map(described), `world ${seed}`).toEqual([]);
    }
    expect(enough(tally)).toEqual([]);
  });
});

describe('answers differ', () => {
  const rows = (values: readonly (string | null)[][], types = ['integer']): Answer => ({
    kind: 'rows',
    rowCount: values.length,
    names: types.map(() => 'x'),
    types,
    rows: values,
  });
  const refused = (sqlState: string): Answer => ({ kind: 'refused', sqlState, message: 'no' });
  const query = 'SELECT x FROM t1';

  test.each<[string, Answer, Answer, boolean, string]>([
    ['a value', rows([['1']]), rows([['2']]), false, 'rows'],
    ['NULL and a text', rows([[null]]), rows([['']]), false, 'rows'],
    ['one row less', rows([]), rows([['1']]), false, 'count'],
    ['the order', rows([['1'], ['2']]), rows([['2'], ['1']]), true, 'rows'],
    ['the type', rows([['1']], ['bigint']), rows([['1']]), false, 'types'],
    ['a refusal', refused('42883'), rows([['1']]), false, '42883 for rows'],
    ['no refusal', rows([['1']]), refused('42703'), false, 'rows for 42703'],
    ['the SQLSTATE', refused('42883'), refused('42804'), false, '42883 for 42804'],
  ])('in %s', (_what, ours, theirs, ordered, where) => {
    expect(compare(query, ours, theirs, ordered)).toMatchObject({ kind: 'different', where });
  });

  test('but not in the order of rows that nothing orders', () => {
    const verdict = compare(query, rows([['1'], ['2']]), rows([['2'], ['1']]), false);
    expect(verdict).toEqual({ kind: 'agreed' });
  });
});
