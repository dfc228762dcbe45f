/** What a database answers to a statement, in a form in which two of them compare. */
import { VerityError } from '../../src/base/index.ts';
import type { TenantHandle } from '../../src/database/index.ts';
import type { PostgresSession } from '../support/postgres.ts';

export interface Rows {
  readonly kind: 'rows';
  readonly rowCount: number;
  readonly names: readonly string[];
  readonly types: readonly string[];
  readonly rows: readonly (readonly (string | null)[])[];
}

export interface Refused {
  readonly kind: 'refused';
  readonly sqlState: string;
  readonly message: string;
  /** Ours: met while the statement was prepared, in a literal. */
  readonly early?: boolean;
}

export type Answer = Rows | Refused;

const typeNames: ReadonlyMap<number, string> = new Map([
  [16, 'boolean'],
  [17, 'bytea'],
  [20, 'bigint'],
  [21, 'smallint'],
  [23, 'integer'],
  [25, 'text'],
  [700, 'real'],
  [701, 'double precision'],
  [1043, 'varchar'],
  [1082, 'date'],
  [1114, 'timestamp'],
  [1184, 'timestamptz'],
  [1186, 'interval'],
  [1700, 'numeric'],
  [2950, 'uuid'],
  [3802, 'jsonb'],
]);

export async function askPostgres(session: PostgresSession, sql: string): Promise<Answer> {
  try {
    const { columns, rows, rowCount } = await session.run(sql);
    const types = columns.map(({ typeId }) => typeNames.get(typeId) ?? `type ${typeId}`);
    return {
      kind: 'rows',
      rowCount,
      names: columns.map(({ name }) => name),
      types,
      rows: rows.map((row) =>
        row.map((text, index) => (text === null ? null : ofPostgres(types[index] as string, text))),
      ),
    };
  } catch (error) {
    const { code, message } = error as { readonly code?: string; readonly message: string };
    if (code === undefined) throw error;
    return { kind: 'refused', sqlState: code, message };
  }
}

/** `tenant` must be of a database opened with `timestamps: 'microseconds'`. */
export async function askVerity(tenant: TenantHandle, sql: string): Promise<Answer> {
  try {
    const { columns, rows, rowCount } = /^\s*(SELECT|EXPLAIN)\b/i.test(sql)
      ? await selected(tenant, sql)
      : await written(tenant, sql);
    const types = columns.map(({ type }) => type.replace(/\(.*\)$/, ''));
    return {
      kind: 'rows',
      rowCount,
      names: columns.map(({ name }) => name),
      types,
      rows: rows.map((row) => row.map((value, index) => ofVerity(types[index] as string, value))),
    };
  } catch (error) {
    if (error instanceof VerityError) {
      const { sqlState, message, details } = error;
      return { kind: 'refused', sqlState, message, early: details['offset'] !== undefined };
    }
    // What is no VerityError is a bug of ours whatever PostgreSQL says.
    const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { kind: 'refused', sqlState: 'crash', message: what };
  }
}

interface Read {
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly rows: readonly (readonly unknown[])[];
  readonly rowCount: number;
}

async function selected(tenant: TenantHandle, sql: string): Promise<Read> {
  const { columns, rows } = await tenant.query<unknown[]>(sql, [], { rowMode: 'array' });
  return { columns, rows, rowCount: rows.length };
}

async function written(tenant: TenantHandle, sql: string): Promise<Read> {
  return await tenant.execute<unknown[]>(sql, [], { rowMode: 'array' });
}

/** PostgreSQL's text; where ours is another form of the same value, that form's text. */
function ofPostgres(type: string, text: string): string | null {
  switch (type) {
    case 'real':
    case 'double precision':
      return floatText(Number(text));
    case 'jsonb':
      return jsonText(JSON.parse(text));
    case 'boolean':
      return text === 't' ? 'true' : 'false';
    default:
      return text;
  }
}

function ofVerity(type: string, value: unknown): string | null {
  if (type === 'jsonb') return jsonText(value);
  if (value === null) return null;
  if (typeof value === 'number') return floatText(value);
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (typeof value === 'bigint' && (type === 'timestamp' || type === 'timestamptz'))
    return timestampText(value, type === 'timestamptz' ? '+00' : '');
  return String(value as string | bigint | boolean);
}

const floatText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value));

/** The null of JSON and that of SQL are one value in JavaScript. */
const jsonText = (value: unknown): string | null => (value === null ? null : JSON.stringify(value));

const infinity = 2n ** 63n - 1n;

/** As PostgreSQL prints a timestamp in UTC. */
function timestampText(micros: bigint, zone: string): string {
  if (micros === infinity) return 'infinity';
  if (micros === -infinity - 1n) return '-infinity';
  const second = 1_000_000n;
  const fraction = ((micros % second) + second) % second;
  const date = new Date(Number((micros - fraction) / second) * 1000);
  const year = date.getUTCFullYear();
  const two = (number: number): string => String(number).padStart(2, '0');
  const shown = String(year > 0 ? year : 1 - year).padStart(4, '0');
  const day = `${shown}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
  const time = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())}`;
  const digits = String(fraction).padStart(6, '0').replace(/0+$/, '');
  return `${day} ${time}${digits === '' ? '' : `.${digits}`}${zone}${year > 0 ? '' : ' BC'}`;
}
