/** Random definitions and writes: every position shows the columns and rows of then, before and after a reopening. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Row, TenantHandle } from '../../src/database/index.ts';
import { newDisk, openOn } from '../sdk/support.ts';

interface ModelColumn {
  readonly name: string;
  readonly fallback: number | null;
}

/** The table as it should be: a row has a value for each column. */
interface Model {
  columns: ModelColumn[];
  rows: Map<number, (number | null)[]>;
}

const small = fc.integer({ min: 0, max: 5 });
const value = fc.option(small, { nil: null });
const name = fc.constantFrom('a', 'b', 'c', 'd', 'e f', 'ü');
const operation = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('insert' as const),
      id: small,
      value,
      left: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('update' as const), id: small, column: small, value }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), id: small }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('add' as const), name, value }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('drop' as const), column: small }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('rename' as const), column: small, name }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('default' as const), column: small, value }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('index' as const),
      column: small,
      descending: fc.boolean(),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('upsert' as const), id: small, column: small, value }),
  },
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

const quoted = (text: string): string => `"${text}"`;
const literal = (each: number | null): string => (each === null ? 'NULL' : String(each));

/** The statement of an operation and what it makes of the model; undefined where it does not apply. */
function apply(model: Model, op: Operation): string | undefined {
  const { columns, rows } = model;
  const place = 'column' in op ? op.column % Math.max(columns.length, 1) : 0;
  const column = columns[place];
  switch (op.do) {
    case 'insert': {
      if (rows.has(op.id)) return undefined;
      const given = op.left ? [] : columns.slice(0, 1);
      rows.set(
        op.id,
        columns.map((each, index) => (index < given.length ? op.value : each.fallback)),
      );
      const names = ['id', ...given.map((each) => quoted(each.name))].join(', ');
      const values = [String(op.id), ...given.map(() => literal(op.value))].join(', ');
      return `INSERT INTO t (${names}) VALUES (${values})`;
    }
    case 'update':
    case 'upsert': {
      if (column === undefined) return undefined;
      const row = rows.get(op.id);
      if (op.do === 'update' && row === undefined) return undefined;
      if (row === undefined)
        rows.set(
          op.id,
          columns.map((each) => each.fallback),
        );
      else row[place] = op.value;
      const set = `SET ${quoted(column.name)} = ${literal(op.value)}`;
      return op.do === 'update'
        ? `UPDATE t ${set} WHERE id = ${op.id}`
        : `INSERT INTO t (id) VALUES (${op.id}) ON CONFLICT (id) DO UPDATE ${set}`;
    }
    case 'delete':
      return rows.delete(op.id) ? `DELETE FROM t WHERE id = ${op.id}` : undefined;
    case 'add': {
      if (columns.some((each) => each.name === op.name)) return undefined;
      columns.push({ name: op.name, fallback: op.value });
      for (const row of rows.values()) row.push(op.value);
      const fallback = op.value === null ? '' : ` DEFAULT ${op.value}`;
      return `ALTER TABLE t ADD COLUMN ${quoted(op.name)} integer${fallback}`;
    }
    case 'drop':
      if (column === undefined) return undefined;
      columns.splice(place, 1);
      for (const row of rows.values()) row.splice(place, 1);
      return `ALTER TABLE t DROP COLUMN ${quoted(column.name)}`;
    case 'rename':
      if (column === undefined || columns.some((each) => each.name === op.name)) return undefined;
      columns[place] = { ...column, name: op.name };
      return `ALTER TABLE t RENAME COLUMN ${quoted(column.name)} TO ${quoted(op.name)}`;
    case 'default':
      if (column === undefined) return undefined;
      columns[place] = { ...column, fallback: op.value };
      return `ALTER TABLE t ALTER COLUMN ${quoted(column.name)} SET DEFAULT ${literal(op.value)}`;
    case 'index':
      if (column === undefined) return undefined;
      return `CREATE INDEX ON t (${quoted(column.name)}${op.descending ? ' DESC' : ''})`;
  }
}

const rowsOf = ({ columns, rows }: Model): Row[] =>
  [...rows]
    .toSorted(([left], [right]) => left - right)
    .map(([id, row]) =>
      Object.fromEntries([['id', id], ...columns.map((each, place) => [each.name, row[place]])]),
    );

/** By the whole table and by each column, for which there may be an index. */
async function check(
  tenant: TenantHandle,
  model: Row[],
  columns: string[],
  at: bigint,
): Promise<void> {
  expect((await tenant.queryAt('SELECT * FROM t ORDER BY id', [], at)).rows).toEqual(model);
  for (const column of columns) {
    const found = await tenant.queryAt(
      `SELECT id FROM t WHERE ${quoted(column)} = 3 ORDER BY id`,
      [],
      at,
    );
    const ids = model.filter((row) => row[column] === 3).map((row) => ({ id: row['id'] }));
    expect(found.rows).toEqual(ids);
  }
}

test('random definitions and writes leave every position as it was', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 5, maxLength: 30 }), async (operations) => {
      const disk = newDisk();
      let db = await openOn(disk, { timers: false });
      const tenant = await db.createTenant('one');
      const model: Model = { columns: [], rows: new Map() };
      const states: { position: bigint; rows: Row[]; columns: string[] }[] = [];
      let { position } = await tenant.execute('CREATE TABLE t (id integer PRIMARY KEY)');
      for (const op of operations) {
        const sql = apply(model, op);
        if (sql !== undefined) ({ position } = await tenant.execute(sql));
        const columns = model.columns.map((each) => each.name);
        states.push({ position, rows: rowsOf(model), columns });
      }
      for (const state of states) await check(tenant, state.rows, state.columns, state.position);
      await db.close();
      db = await openOn(disk, { timers: false });
      const again = db.tenant('one');
      for (const state of states) await check(again, state.rows, state.columns, state.position);
      await db.close();
    }),
    { numRuns: 25 },
  );
});
