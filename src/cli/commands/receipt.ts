import { VerityError } from '../../base/index.ts';
import type { TenantHandle } from '../../database/index.ts';
import type { ExitCode } from '../failure.ts';
import { readIdentifier } from '../import/identifier.ts';
import { type Invocation, openDatabase, tenantOf } from '../invocation.ts';
import { keyValues, tableOf } from './history.ts';

export type ReceiptRequest = {
  readonly tenant: string;
  readonly columns?: readonly string[];
} & (
  | { readonly from: bigint; readonly to: bigint; readonly isSingle: boolean }
  | { readonly table: string; readonly key: readonly string[]; readonly commands: boolean }
);

/** `verity receipt DIR --tenant T …`: the receipt as it is, without a line end. */
export async function runReceipt(
  invocation: Invocation,
  request: ReceiptRequest,
): Promise<ExitCode> {
  const receipt = await receiptFrom(invocation, request, 'readOnly').catch(
    (error: unknown): Promise<string> => {
      // No signed checkpoint covers it: one is made, by the owner of the database only.
      if (error instanceof VerityError && error.code === 'READ_ONLY')
        return receiptFrom(invocation, request, 'write');
      throw error;
    },
  );
  await invocation.output.write(receipt);
  return 0;
}

async function receiptFrom(
  invocation: Invocation,
  request: ReceiptRequest,
  mode: 'readOnly' | 'write',
): Promise<string> {
  await using database = await openDatabase(invocation, mode);
  // The database stays open until the receipt is there.
  return await makeReceipt(tenantOf(invocation, database, request.tenant), request);
}

async function makeReceipt(tenant: TenantHandle, request: ReceiptRequest): Promise<string> {
  const { columns } = request;
  const shown = columns === undefined ? {} : { columns: columns.map(readIdentifier) };
  if ('table' in request) {
    const { key, commands } = request;
    const table = await tableOf(tenant, readIdentifier(request.table));
    return tenant.rowReceipt(table.name, keyValues(table, key), { ...shown, commands });
  }
  const { from, to, isSingle } = request;
  return tenant.receipt(isSingle ? from : { from, to }, shown);
}
