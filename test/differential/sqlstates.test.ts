/** What fails does so with PostgreSQL's SQLSTATE, and changes nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TenantHandle, Verity } from '../../src/database/index.ts';
import { newDisk, openOn } from '../sdk/support.ts';
import { PostgresServer, type PostgresSession, skipsPostgres } from '../support/postgres.ts';
import { askPostgres, askVerity } from './answer.ts';
import { failing, given } from './sqlstates.ts';

describe('VerityDB', () => {
  let db: Verity;
  let tenant: TenantHandle;
  let before: bigint;
  beforeAll(async () => {
    db = await openOn(newDisk());
    tenant = await db.createTenant('main');
    for (const sql of given) await tenant.execute(sql);
    before = db.status().position;
  });
  afterAll(() => db.close());

  test.each(failing)('%s: %s', async (sql, sqlState) => {
    const answer = await askVerity(tenant, sql);
    expect(answer).toMatchObject({ kind: 'refused', sqlState });
    expect(db.status().position).toBe(before);
  });
});

describe.skipIf(skipsPostgres())('PostgreSQL', () => {
  let server: PostgresServer;
  let session: PostgresSession;
  beforeAll(async () => {
    server = await PostgresServer.start();
    session = await server.session('sqlstates');
    for (const sql of given) await session.run(sql);
  });
  afterAll(async () => {
    await session.end();
    await server.stop();
  });

  test('gives the same', async () => {
    const wrong: string[] = [];
    for (const [sql, sqlState] of failing) {
      const answer = await askPostgres(session, sql);
      const found = answer.kind === 'refused' ? answer.sqlState : 'no refusal';
      if (found !== sqlState) wrong.push(`${sql}: ${found}`);
    }
    expect(wrong).toEqual([]);
  });
});
