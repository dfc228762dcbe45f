import {
  CorruptionError,
  equalBytes,
  type ObjectId,
  type TenantId,
  treeOf,
} from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import { provedState, type StateProof } from '../proof/index.ts';
import { isOnWay, pagesPath, stateHashBytes, type StatePaths, trieWay } from '../store/index.ts';
import type { RecordTree } from './checkpoint-records.ts';
import { rowNodes, tableNodes } from './state-records.ts';

/** A row that may be there or not. */
export interface StateRow {
  readonly tenant: TenantId;
  readonly table: ObjectId;
  /** As in its events. */
  readonly key: Uint8Array;
}

/**
 * The proof that the row is there, or is not, from tries that are of the state hash `hash`. Throws CorruptionError
 * STATE_MISMATCH when they are not: no proof is given out that nobody would believe.
 */
export function proveRow(
  records: RecordTree,
  paths: StatePaths,
  { row, hash }: { readonly row: StateRow; readonly hash: Uint8Array },
): StateProof {
  const { tenant, table, key } = row;
  const path = new Uint8Array(stateHashBytes);
  paths.tableInto(path, 0, tenant, table);
  const tables = trieWay(tableNodes(records), path);
  const found = { tenant, table, key, tables };
  // Nodes of a table that was dropped are left where they are: its entry says whether it is there.
  const isThere = isOnWay(tables, path);
  const proof = isThere ? { ...found, rows: rowsOf(records, paths, row) } : found;
  const proved = provedState(sha256, proof);
  if (typeof proved !== 'string' && equalBytes(proved.stateHash, hash)) return proof;
  throw new CorruptionError(
    'STATE_MISMATCH',
    pagesPath,
    0,
    'The state hash that is kept is not that of its trie; it lies',
  );
}

function rowsOf(
  records: RecordTree,
  paths: StatePaths,
  { tenant, table, key }: StateRow,
): StateProof['rows'] {
  const path = new Uint8Array(stateHashBytes);
  paths.rowInto(path, 0, key);
  return { way: trieWay(rowNodes(records, treeOf(tenant, table)), path), salt: paths.salt };
}
