/** Everything that can be read from a database through the SDK, as JSON. */
import type { SqlParameter, TenantHandle, Verity } from '../../src/database/index.ts';
import type { GoldenWorld } from './golden-load.ts';

/** Values that JSON lacks, as `{ "type": "text" }`. */
function inJson(value: unknown): unknown {
  if (typeof value === 'bigint') return { bigint: String(value) };
  if (value instanceof Date) return { date: value.toISOString() };
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString('hex') };
  if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) };
  if (Array.isArray(value)) return value.map(inJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]) => (one === undefined ? [] : [[key, inJson(one)]])),
  );
}

async function collect<T>(world: GoldenWorld, items: AsyncIterableIterator<T>): Promise<T[]> {
  const all: T[] = [];
  for (;;) {
    const { done, value } = await world.settle(items.next());
    if (done === true) return all;
    all.push(value);
  }
}

/** Tables with their columns and rows, now and as they were, streams, changes and the history of rows. */
export async function contentsOf(world: GoldenWorld, db: Verity): Promise<unknown> {
  const tenants: Record<string, unknown> = {};
  for (const name of db.tenants()) tenants[name] = await tenantContents(world, db.tenant(name));
  const { position, events, formatRevision } = db.status();
  return inJson({ formatRevision, position, events, tenants });
}

async function tenantContents(world: GoldenWorld, tenant: TenantHandle): Promise<unknown> {
  const tables: Record<string, unknown> = {};
  for (const table of await world.settle(tenant.tables())) {
    const order = table.primaryKey.length === 0 ? '' : ` ORDER BY ${table.primaryKey.join(', ')}`;
    const sql = `SELECT * FROM ${table.name}${order}`;
    const { rows } = await world.settle(tenant.query(sql));
    const first = rows[0] ?? {};
    const key = table.primaryKey.map((column) => first[column] as SqlParameter);
    tables[table.name] = {
      columns: table.columns,
      primaryKey: table.primaryKey,
      rows,
      history: key.length === 0 ? undefined : await world.settle(tenant.history(table.name, key)),
    };
  }
  const changes = await collect(world, tenant.changes());
  const streams = changes.filter(({ kind }) => kind === 'append').map(({ table }) => table);
  const read: Record<string, unknown> = {};
  for (const stream of new Set(streams)) read[stream] = await collect(world, tenant.read(stream));
  const middle = changes[Math.floor(changes.length / 2)]?.position ?? 1n;
  const asOf: Record<string, unknown> = {};
  for (const table of await world.settle(tenant.tables())) {
    const sql = `SELECT count(*) AS rows FROM ${table.name} AS OF POSITION ${middle}`;
    asOf[table.name] = await world.settle(
      tenant.query(sql).then(
        ({ rows }) => rows,
        (error: { code: string }) => error.code,
      ),
    );
  }
  return { tables, streams: read, asOf: { position: middle, tables: asOf }, changes };
}
