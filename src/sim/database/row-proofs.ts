/** Rows with their proofs: what the database says of a few keys, checked as whoever is given the receipt does. */
import { verifyReceipt } from '../../receipt/index.ts';
import { Violation } from '../violation.ts';
import type { SimDatabase, SimTenant } from './contract.ts';
import { accountsQuery } from './contents.ts';

const checker = 'row proof';
const provedQuery = 'SELECT * FROM accounts WHERE id IN ($1, $2, $3) ORDER BY id';
const absentId = -7;

/** Throws Violation of 'row proof'; whether there was a table to prove rows of. */
export async function checkRowProofs(db: SimDatabase): Promise<boolean> {
  const { vkey } = db.keys.exportPublic();
  let isProved = false;
  for (const name of db.tenants()) {
    const tenant = db.tenant(name);
    const tables = await tenant.tables();
    if (!tables.some((table) => table.name === 'accounts')) continue;
    await checkTenant(tenant, vkey);
    isProved = true;
  }
  return isProved;
}

async function checkTenant(tenant: SimTenant, vkey: string): Promise<void> {
  const { rows: all } = await tenant.query(accountsQuery);
  const ids = [all[0], all.at(-1)].map((row) => (row === undefined ? 1 : Number(row['id'])));
  const { rows, proof = '' } = await tenant.query(provedQuery, [...ids, absentId], { prove: true });
  const result = verifyReceipt(proof, { keys: [vkey] });
  if (!result.ok)
    throw new Violation(
      checker,
      `${tenant.name}: a proof does not hold (${result.check}): ${result.message}`,
    );
  const { state = [] } = result.receipt;
  const shown = state
    .map(({ row }) => row)
    .filter((row) => row !== undefined)
    .toSorted((left, right) => Number(left['id']) - Number(right['id']));
  const [left, right] = [textOf(shown), textOf(rows)];
  if (left !== right)
    throw new Violation(checker, `${tenant.name}: ${left} is proved, and ${right} answered`);
  const keys = state.map(({ key }) => Number(key['id'])).toSorted((a, b) => a - b);
  const asked = [...new Set([...ids, absentId])].toSorted((a, b) => a - b);
  if (keys.join() === asked.join()) return;
  throw new Violation(
    checker,
    `${tenant.name}: ${keys.join()} is proved, and ${asked.join()} asked`,
  );
}

function textOf(rows: readonly Readonly<Record<string, unknown>>[]): string {
  return JSON.stringify(rows, (_, value: unknown) =>
    typeof value === 'bigint' ? value.toString() : value,
  );
}
