/** What compression saves and costs: the demo's patient records into databases with and without it, in turns. */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import type { TenantHandle, Verity } from 'veritydb';
import { type Line, quantile, round, timed } from './measure.ts';
import { Place } from './place.ts';

const clinic = fileURLToPath(new URL('../examples/clinic', import.meta.url));
const rounds = 7;
const tableNames = ['encounters', 'observations', 'medications', 'claims_transactions'];
const compressions = ['none', 'brotli'] as const;

interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** One way to write the rows of a table. */
interface Way {
  readonly bench: string;
  readonly rowsPerStatement: number;
  readonly inFlight: number;
}

const ways: readonly Way[] = [
  { bench: 'compression-64', rowsPerStatement: 1, inFlight: 64 },
  { bench: 'compression-bulk', rowsPerStatement: 100, inFlight: 4 },
];

/** `compression-64` and `compression-bulk`: bytes of log a row, rows a second, and the ratio of the speeds. */
export async function compression(): Promise<Line[]> {
  const tables = readTables();
  const lines: Line[] = [];
  for (const way of ways) lines.push(await measure(way, tables));
  return lines;
}

function readTables(): Table[] {
  return tableNames.map((name) => {
    const text = readFileSync(join(clinic, `${name}.csv`), 'utf8');
    const [columns = [], ...rows] = parse(text) as string[][];
    return { name, columns: columns.map((column) => `"${column.toLowerCase()}"`), rows };
  });
}

async function measure(way: Way, tables: readonly Table[]): Promise<Line> {
  const speeds: Record<string, number[]> = { none: [], brotli: [] };
  const bytes: Record<string, number> = {};
  const rowCount = tables.reduce((sum, { rows }) => sum + rows.length, 0);
  let seconds = 0;
  for (let run = 0; run <= rounds; run++) {
    for (const name of compressions) {
      const place = new Place();
      const db = await place.open('data', { compression: name });
      const slice = await timed(() => load(db, tables, way));
      await db.close();
      // The first round compiles the code.
      if (run > 0) speeds[name]?.push(rowCount / slice.seconds);
      seconds += slice.seconds;
      bytes[name] = logBytes(join(place.folder, 'data', 'log'));
      place.remove();
    }
  }
  const median = (name: string): number => quantile(speeds[name] ?? [], 0.5);
  const ratios = (speeds['brotli'] ?? []).map((speed, run) => speed / (speeds['none']?.[run] ?? 1));
  return {
    bench: way.bench,
    unit: 'rows',
    perSecond: Math.round(median('brotli')),
    uncompressedPerSecond: Math.round(median('none')),
    seconds: round(seconds),
    ratio: round(quantile(ratios, 0.5)),
    bytesPerRow: Math.round((bytes['brotli'] ?? 0) / rowCount),
    uncompressedBytesPerRow: Math.round((bytes['none'] ?? 0) / rowCount),
  };
}

async function load(db: Verity, tables: readonly Table[], way: Way): Promise<number> {
  const tenant = await db.createTenant('clinic');
  for (const { name, columns, rows } of tables) {
    await tenant.execute(
      `CREATE TABLE ${name} (${columns.map((column) => `${column} text`).join(', ')})`,
    );
    const work = { next: 0 };
    const insert = (): Promise<void> => insertAll(tenant, { name, columns, rows }, way, work);
    await Promise.all(Array.from({ length: way.inFlight }, insert));
  }
  return tables.length;
}

async function insertAll(
  tenant: TenantHandle,
  { name, columns, rows }: Table,
  { rowsPerStatement }: Way,
  work: { next: number },
): Promise<void> {
  while (work.next < rows.length) {
    const some = rows.slice(work.next, work.next + rowsPerStatement);
    work.next += some.length;
    const tuples = some.map(
      (_, row) =>
        `(${columns.map((_column, at) => `$${row * columns.length + at + 1}`).join(', ')})`,
    );
    await tenant.execute(`INSERT INTO ${name} VALUES ${tuples.join(', ')}`, some.flat());
  }
}

function logBytes(directory: string): number {
  return readdirSync(directory).reduce(
    (sum, name) => sum + statSync(join(directory, name)).size,
    0,
  );
}
