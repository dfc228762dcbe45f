/** What the files are run on: VerityDB through its SDK, and PostgreSQL, which says what is right. */
import { newDisk, openOn } from '../sdk/support.ts';
import type { PostgresSession } from '../support/postgres.ts';
import type { Cell } from './result.ts';
import type { Engine } from './run.ts';

/** VerityDB speaks PostgreSQL's dialect, so the files' directives for it hold. */
const dialect = 'postgresql';

export interface OwnEngine extends Engine {
  close(): Promise<void>;
}

/** A new database in memory, with one tenant. */
export async function verityEngine(): Promise<OwnEngine> {
  const db = await openOn(newDisk());
  const tenant = await db.createTenant('main');
  return {
    name: dialect,
    execute: async (sql) => {
      await tenant.execute(sql);
    },
    query: async (sql) => {
      const { rows } = await tenant.query<unknown[]>(sql, [], { rowMode: 'array' });
      return rows as Cell[][];
    },
    close: () => db.close(),
  };
}

const booleanTypeId = 16;

/** PostgreSQL on this connection. */
export function postgresEngine(session: PostgresSession): Engine {
  const run = async (sql: string): Promise<Cell[][]> => {
    try {
      const { columns, rows } = await session.run(sql);
      return rows.map((row) =>
        row.map((text, index) =>
          text !== null && columns[index]?.typeId === booleanTypeId ? text === 't' : text,
        ),
      );
    } catch (error) {
      const { message, code } = error as Error & { readonly code?: string };
      throw Object.assign(new Error(message, { cause: error }), { sqlState: code });
    }
  };
  return {
    name: dialect,
    execute: async (sql) => {
      await run(sql);
    },
    query: run,
  };
}
