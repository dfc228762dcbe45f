/** tenant.transaction: all or nothing, its own writes, nobody's half-done ones, and serialisable. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TenantHandle, Transaction, Verity } from '../../src/database/index.ts';
import { collect, newDisk, openOn, refused } from './support.ts';

let db: Verity;
let tenant: TenantHandle;

beforeEach(async () => {
  db = await openOn(newDisk());
  tenant = await db.createTenant('clinic');
  await tenant.execute(
    'CREATE TABLE account (id integer PRIMARY KEY, owner text UNIQUE, balance integer NOT NULL CHECK (balance >= 0))',
  );
  await tenant.execute("INSERT INTO account VALUES (1, 'ada', 100), (2, 'ben', 100)");
});

afterEach(() => db.close());

const ascending = (left: unknown, right: unknown): number => Number(left) - Number(right);
const balances = async (): Promise<unknown[]> =>
  (await tenant.query('SELECT balance FROM account ORDER BY id')).rows.map((row) => row['balance']);

async function balance(tx: Transaction, id: number): Promise<number> {
  const { rows } = await tx.query('SELECT balance FROM account WHERE id = $1', [id]);
  return rows[0]?.['balance'] as number;
}

/** A point that several parties wait for. */
class Gate {
  open: () => void = () => undefined;
  readonly passed = new Promise<void>((resolve) => {
    this.open = resolve;
  });
}

describe('a transaction', () => {
  test('commits everything at one position and returns what its body returns', async () => {
    const before = db.status().position;
    const result = await tenant.transaction(async (tx) => {
      await tx.execute('UPDATE account SET balance = balance - 30 WHERE id = 1');
      const { rowCount, rows } = await tx.execute(
        'UPDATE account SET balance = balance + 30 WHERE id = 2 RETURNING balance',
      );
      return { rowCount, rows };
    });
    expect(result).toEqual({ rowCount: 1, rows: [{ balance: 130 }] });
    expect(await balances()).toEqual([70, 130]);
    const changes = await collect(tenant.changes({ from: before + 1n }));
    expect(new Set(changes.map((change) => change.position)).size).toBe(1);
    expect(changes.map((change) => change.kind)).toEqual(['update', 'update']);
    const [between] = changes.map((change) => change.position - 1n);
    const rows = await tenant.queryAt(
      'SELECT balance FROM account ORDER BY id',
      [],
      between as bigint,
    );
    expect(rows.rows).toEqual([{ balance: 100 }, { balance: 100 }]);
  });

  test('leaves nothing when its body throws, and throws what the body threw', async () => {
    const { position } = db.status();
    class Mine extends Error {}
    await expect(
      tenant.transaction(async (tx) => {
        await tx.execute("INSERT INTO account VALUES (3, 'cy', 1)");
        await tx.execute('DELETE FROM account WHERE id = 1');
        throw new Mine('no');
      }),
    ).rejects.toBeInstanceOf(Mine);
    expect(await balances()).toEqual([100, 100]);
    expect(db.status().position).toBe(position);
  });

  test('goes on after a refused statement, of which nothing stays', async () => {
    await tenant.transaction(async (tx) => {
      await tx.execute("INSERT INTO account VALUES (3, 'cy', 1)");
      await refused('UNIQUE_VIOLATION', () =>
        tx.execute("INSERT INTO account VALUES (4, 'di', 1), (1, 'eve', 1)"),
      );
      await refused('CHECK_VIOLATION', () =>
        tx.execute('UPDATE account SET balance = balance - 1'.concat('00')),
      );
      await refused('UNIQUE_VIOLATION', () =>
        tx.execute("INSERT INTO account VALUES (5, 'cy', 1)"),
      );
      await tx.execute("INSERT INTO account VALUES (6, 'flo', 6)");
    });
    expect(
      (await tenant.query('SELECT id FROM account ORDER BY id')).rows.map((row) => row['id']),
    ).toEqual([1, 2, 3, 6]);
  });

  test('that changes nothing takes no position', async () => {
    const { position } = db.status();
    await tenant.transaction((tx) => tx.query('SELECT * FROM account'));
    await tenant.transaction(async () => undefined);
    await tenant.transaction((tx) => tx.execute('DELETE FROM account WHERE id = 99'));
    expect(db.status().position).toBe(position);
  });

  test('that undoes its own work leaves the rows as they were', async () => {
    await tenant.transaction(async (tx) => {
      await tx.execute('DELETE FROM account WHERE id = 1');
      await tx.execute("INSERT INTO account VALUES (3, 'ada', 5)");
      await tx.execute('DELETE FROM account WHERE id = 3');
      await tx.execute("INSERT INTO account VALUES (1, 'ada', 100)");
    });
    expect(await balances()).toEqual([100, 100]);
    await refused('UNIQUE_VIOLATION', () =>
      tenant.execute("INSERT INTO account VALUES (9, 'ada', 5)"),
    );
    expect((await db.verify()).findings).toEqual([]);
  });

  test('reads its own writes, by key, by unique index, by scan and by count', async () => {
    await tenant.transaction(async (tx) => {
      await tx.execute("UPDATE account SET owner = 'zoe', balance = 7 WHERE id = 1");
      await tx.execute("INSERT INTO account VALUES (0, 'nil', 0)");
      await tx.execute('DELETE FROM account WHERE id = 2');
      expect(await balance(tx, 1)).toBe(7);
      expect((await tx.query("SELECT id FROM account WHERE owner = 'zoe'")).rows).toEqual([
        { id: 1 },
      ]);
      expect((await tx.query("SELECT id FROM account WHERE owner IN ('ada', 'ben')")).rows).toEqual(
        [],
      );
      expect((await tx.query("SELECT id FROM account WHERE owner = 'ada'")).rows).toEqual([]);
      expect((await tx.query('SELECT id FROM account ORDER BY id DESC')).rows).toEqual([
        { id: 1 },
        { id: 0 },
      ]);
      expect((await tx.query('SELECT count(*) FROM account')).rows).toEqual([{ count: 2n }]);
    });
  });

  test('shows nobody else what it has not committed', async () => {
    const written = new Gate();
    const looked = new Gate();
    const work = tenant.transaction(async (tx) => {
      await tx.execute('UPDATE account SET balance = 1');
      await tx.execute("INSERT INTO account VALUES (3, 'cy', 1)");
      written.open();
      await looked.passed;
    });
    await written.passed;
    expect(await balances()).toEqual([100, 100]);
    expect(await tenant.transaction((tx) => balance(tx, 1))).toBe(100);
    expect(await collect(tenant.stream('SELECT id FROM account'))).toHaveLength(2);
    looked.open();
    await work;
    expect(await balances()).toEqual([1, 1, 1]);
  });

  test('sees one state, whatever others commit meanwhile', async () => {
    const seen: unknown[] = [];
    let attempts = 0;
    await tenant.transaction(async (tx) => {
      attempts += 1;
      seen.push(await balance(tx, 1));
      if (attempts === 1) await tenant.execute('UPDATE account SET balance = 50');
      seen.push(await balance(tx, 2));
    });
    expect(seen.slice(0, 2)).toEqual([100, 100]);
  });

  test('cannot create tables, read the past or nest BEGIN', async () => {
    await tenant.transaction(async (tx) => {
      await refused('UNSUPPORTED_SQL', () => tx.execute('CREATE TABLE x (n integer)'));
      await refused('UNSUPPORTED_SQL', () => tx.query('SELECT * FROM account AS OF POSITION 1'));
      await refused('UNSUPPORTED_SQL', () => tx.execute('BEGIN'));
      await refused('INVALID_ARGUMENT', () => tx.query('DELETE FROM account'));
    });
    for (const sql of ['BEGIN', 'COMMIT', 'ROLLBACK', 'START TRANSACTION']) {
      await refused('UNSUPPORTED_SQL', () => tenant.execute(sql));
    }
    expect(await balances()).toEqual([100, 100]);
  });

  test('that has ended takes no more statements', async () => {
    let kept: Transaction | undefined;
    await tenant.transaction(async (tx) => {
      kept = tx;
    });
    const ended = kept as Transaction;
    await refused('TRANSACTION_ENDED', () => ended.execute('DELETE FROM account'));
    await refused('TRANSACTION_ENDED', () => ended.query('SELECT 1'));
    await expect(
      tenant.transaction((tx) => {
        kept = tx;
        throw new Error('at once');
      }),
    ).rejects.toThrow('at once');
    await refused('TRANSACTION_ENDED', () => (kept as Transaction).query('SELECT 1'));
  });

  test('without a function is refused', async () => {
    for (const body of [undefined, null, 5, 'SELECT 1', {}]) {
      await refused('INVALID_ARGUMENT', () => tenant.transaction(body as never));
    }
  });
});

describe('transactions that conflict', () => {
  test('are run again until what they read stands', async () => {
    const add = (): Promise<void> =>
      tenant.transaction(async (tx) => {
        const before = await balance(tx, 1);
        await new Promise((resolve) => setImmediate(resolve));
        await tx.execute('UPDATE account SET balance = $1 WHERE id = 1', [before + 1]);
      });
    await Promise.all([add(), add(), add(), add(), add()]);
    expect(await balances()).toEqual([105, 100]);
  });

  test('end with TRANSACTION_CONFLICT, retryable, when they never succeed', async () => {
    let attempts = 0;
    const error = await refused('TRANSACTION_CONFLICT', () =>
      tenant.transaction(async (tx) => {
        attempts += 1;
        await balance(tx, 1);
        await tenant.execute('UPDATE account SET balance = $1 WHERE id = 1', [attempts]);
        await tx.execute('UPDATE account SET balance = 0 WHERE id = 2');
      }),
    );
    expect(error.retryable).toBe(true);
    expect(attempts).toBe(10);
    expect(await balances()).toEqual([10, 100]);
  });

  /** Two transactions that both read before either commits; returns how often each body ran. */
  async function bothAtOnce(
    first: (tx: Transaction) => Promise<unknown>,
    second: (tx: Transaction) => Promise<unknown>,
  ): Promise<number[]> {
    const runs = [0, 0];
    const ready = [new Gate(), new Gate()];
    const run = (index: number, body: (tx: Transaction) => Promise<unknown>): Promise<unknown> =>
      tenant.transaction(async (tx) => {
        runs[index] = (runs[index] ?? 0) + 1;
        const result = await body(tx);
        ready[index]?.open();
        await Promise.all(ready.map((gate) => gate.passed));
        return result;
      });
    await Promise.all([run(0, first), run(1, second)]);
    return runs;
  }

  test('by write skew: each reads what the other writes, and one runs again', async () => {
    const withdraw = (from: number, other: number) => async (tx: Transaction) => {
      const total = (await balance(tx, from)) + (await balance(tx, other));
      if (total >= 150)
        await tx.execute('UPDATE account SET balance = balance - 100 WHERE id = $1', [from]);
    };
    const runs = await bothAtOnce(withdraw(1, 2), withdraw(2, 1));
    expect(runs.toSorted(ascending)).toEqual([1, 2]);
    expect((await balances()).toSorted(ascending)).toEqual([0, 100]);
  });

  test('over a range: a row that appears in what was counted', async () => {
    const addIfFew = (id: number) => async (tx: Transaction) => {
      const { rows } = await tx.query('SELECT count(*) FROM account WHERE id > 10');
      if (rows[0]?.['count'] === 0n)
        await tx.execute('INSERT INTO account VALUES ($1, NULL, 0)', [id]);
    };
    const runs = await bothAtOnce(addIfFew(11), addIfFew(12));
    expect(runs.toSorted(ascending)).toEqual([1, 2]);
    expect((await tenant.query('SELECT id FROM account WHERE id > 10')).rows).toHaveLength(1);
  });

  test('over an absent key, and over an absent value of a unique column', async () => {
    const insert = (id: number, owner: string) => (tx: Transaction) =>
      tx.execute('INSERT INTO account VALUES ($1, $2, 0)', [id, owner]).catch(() => undefined);
    expect((await bothAtOnce(insert(3, 'x'), insert(3, 'y'))).toSorted(ascending)).toEqual([1, 2]);
    expect((await bothAtOnce(insert(4, 'same'), insert(5, 'same'))).toSorted(ascending)).toEqual([
      1, 2,
    ]);
    expect((await tenant.query('SELECT count(*) FROM account')).rows).toEqual([{ count: 4n }]);
  });

  test('over a row that was deleted', async () => {
    const runs = await bothAtOnce(
      (tx) => tx.execute('DELETE FROM account WHERE id = 1'),
      async (tx) => {
        const isThere = (await balance(tx, 1)) !== undefined;
        await tx.execute('UPDATE account SET balance = $1 WHERE id = 2', [isThere ? 1 : 0]);
      },
    );
    expect(runs[0]).toBe(1);
    expect([1, 2]).toContain(runs[1]);
    // Either order of the two is right; a mix is not.
    expect(await balances()).toEqual(runs[1] === 1 ? [1] : [0]);
  });

  test('not at all when they touch different rows by key', async () => {
    const set = (id: number) => (tx: Transaction) =>
      tx.execute('UPDATE account SET balance = $1 WHERE id = $1', [id]);
    expect(await bothAtOnce(set(1), set(2))).toEqual([1, 1]);
    expect(await balances()).toEqual([1, 2]);
  });

  test('with a plain statement that came between', async () => {
    let attempts = 0;
    await tenant.transaction(async (tx) => {
      attempts += 1;
      const before = await balance(tx, 1);
      // Not awaited: it is decided, though not durable, when the transaction commits.
      const other =
        attempts === 1 ? tenant.execute('UPDATE account SET balance = 40 WHERE id = 1') : undefined;
      await tx.execute('UPDATE account SET balance = $1 WHERE id = 1', [before + 1]);
      void other;
    });
    expect(attempts).toBe(2);
    expect(await balances()).toEqual([41, 100]);
  });
});
