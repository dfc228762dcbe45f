/** Queries by primary key with a proof of their rows: docs/proofs.md says what it proves. */
import { type TenantId, VerityError } from '../base/index.ts';
import type { Engine } from '../engine/index.ts';
import { bytesOfKey, type ParsedStatement } from '../sql/index.ts';
import { withDeadline } from './deadline.ts';
import type { Reading } from './reading.ts';
import { stateReceipt } from './receipts.ts';
import type { ProvedQueryResult, ProveOptions, Row, SqlParameter } from './types.ts';

export interface ProvedScope {
  readonly engine: Engine;
  readonly tenant: TenantId;
  readonly reading: Reading;
}

export interface ProvedQuery {
  readonly statement: ParsedStatement;
  readonly parameters: readonly SqlParameter[];
  readonly options: ProveOptions;
}

/**
 * The rows at the state of a checkpoint that is signed now, or was for the same log, and the receipt of kind `state` that
 * proves them. Rejects with UNSUPPORTED_SQL for what is no lookup, before anything is signed.
 */
export async function provedQuery<R extends Row | unknown[]>(
  { engine, tenant, reading }: ProvedScope,
  { statement, parameters, options }: ProvedQuery,
): Promise<ProvedQueryResult<R>> {
  engine.checkReadable();
  engine.catchUp();
  const { rows: asked } = reading.lookup(statement, parameters, engine.committedPosition);
  if (asked.length === 0)
    throw new VerityError(
      'INVALID_ARGUMENT',
      'No row can have such a key (NULL, or beyond the type of its column), so there is nothing to prove. Ask for another key.',
    );
  const proving = engine.proofs.captureAtState(({ position }) => {
    // Of the very state whose tries are read here, whatever was committed since the query was begun.
    const { table, columns, rows } = reading.lookup(statement, parameters, position);
    const result = reading.read<R>(statement, parameters, position, options.rowMode);
    const proofs = rows.map(({ key }) =>
      engine.proveRow({ tenant, table: table.id, key: bytesOfKey(key) }),
    );
    const leaves = rows.map(({ leaf }) => leaf).filter((leaf) => leaf !== undefined);
    return { table, columns, result, proofs, leaves };
  });
  const { captured, checkpoint } = await withDeadline(proving, options, late);
  const { table, columns, result, proofs, leaves } = captured;
  const proof = stateReceipt(engine, {
    tenant,
    leaves,
    state: proofs,
    tables: [table.id],
    shown: { table, columns },
    checkpoint,
  });
  // The rows of the proof's state are the same at the position where it was taken first.
  const { state } = checkpoint.record;
  return { ...result, position: BigInt(state?.position ?? result.position), proof };
}

const late = (why: 'aborted' | 'timeout'): VerityError =>
  new VerityError(
    'ABORTED',
    `The ${why === 'aborted' ? 'caller cancelled' : 'time limit passed'} before the proof was made. A checkpoint may have been signed.`,
  );
