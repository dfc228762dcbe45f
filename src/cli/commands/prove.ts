import { VerityError } from '../../base/index.ts';
import type { TenantHandle } from '../../database/index.ts';
import type { ExitCode } from '../failure.ts';
import { readIdentifier } from '../import/identifier.ts';
import { type Invocation, openDatabase, tenantOf } from '../invocation.ts';
import { keyValues, tableOf } from './history.ts';

export interface ProveRequest {
  readonly tenant: string;
  /** What is asked for: a row by its key, or all that a query by primary key names. */
  readonly of:
    | { readonly table: string; readonly key: readonly string[] }
    | { readonly sql: string };
}

/** `verity prove DIR --tenant T`: prints the receipt that shows what the rows of some keys are, or that there are none. */
export async function runProve(invocation: Invocation, request: ProveRequest): Promise<ExitCode> {
  const { output } = invocation;
  let receipt: string;
  try {
    receipt = await proofFrom(invocation, request, 'readOnly');
  } catch (error) {
    // No checkpoint is of this state yet: only who writes can sign one.
    if (!(error instanceof VerityError) || error.code !== 'READ_ONLY') throw error;
    receipt = await proofFrom(invocation, request, 'write');
  }
  await output.write(receipt);
  return 0;
}

async function proofFrom(
  invocation: Invocation,
  { tenant: name, of }: ProveRequest,
  mode: 'readOnly' | 'write',
): Promise<string> {
  await using database = await openDatabase(invocation, mode);
  const tenant = tenantOf(invocation, database, name);
  const { sql, parameters } =
    'sql' in of ? { sql: of.sql, parameters: [] } : await lookup(tenant, of);
  const { proof } = await tenant.query(sql, parameters, { prove: true });
  return proof;
}

async function lookup(
  tenant: TenantHandle,
  { table: name, key }: { readonly table: string; readonly key: readonly string[] },
): Promise<{ readonly sql: string; readonly parameters: ReturnType<typeof keyValues> }> {
  const table = await tableOf(tenant, readIdentifier(name));
  const parameters = keyValues(table, key);
  const conditions = table.primaryKey.map((column, index) => `${quoted(column)} = $${index + 1}`);
  return {
    sql: `SELECT * FROM ${quoted(table.name)} WHERE ${conditions.join(' AND ')}`,
    parameters,
  };
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
