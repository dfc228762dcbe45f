/** State proofs as they stand in a receipt (docs/format/state-proof.md): their JSON, and what they show. */
import { equalBytes, limits } from '../base/index.ts';
import {
  hashBytes,
  provedState,
  type Sha256,
  type StateBranch,
  stateBranchesMax,
  stateBucketEntriesMax,
  stateEntryLength,
  type StateProof,
  type StateWay,
  toBase64,
} from '../proof/index.ts';
import type { CanonicalReader } from './canonical-reader.ts';

export type { StateProof };

const besideMax = 4;

/** What a state proof that holds shows. */
export interface StateFacts {
  readonly tenant: number;
  readonly table: number;
  readonly key: Uint8Array;
  /** Of the event that wrote the row; absent: there is no row of this key. */
  readonly commitment?: Uint8Array;
}

/** Reads the object. Throws CheckFailure 'format'. */
export function readStateProof(reader: CanonicalReader): StateProof {
  reader.take('{"key":');
  const key = reader.base64({ max: limits.keyBytesMax });
  const rows = reader.takeIf(',"rows":') ? readRows(reader) : undefined;
  reader.take(',"table":');
  const table = reader.number();
  reader.take(',"tables":');
  const tables = readWay(reader);
  reader.take(',"tenant":');
  const tenant = reader.number();
  reader.take('}');
  return { tenant, table, key, tables, ...(rows !== undefined && { rows }) };
}

function readRows(reader: CanonicalReader): NonNullable<StateProof['rows']> {
  const way = readWay(reader);
  reader.take(',"salt":');
  return { way, salt: reader.base64(hashBytes) };
}

function readWay(reader: CanonicalReader): StateWay {
  reader.take('{"branches":');
  const branches = reader.array(() => readBranch(reader), stateBranchesMax);
  const bucket = reader.takeIf(',"bucket":')
    ? reader.base64({ max: stateBucketEntriesMax * stateEntryLength })
    : undefined;
  reader.take(',"count":');
  const count = reader.number();
  reader.take('}');
  return { branches, count, ...(bucket !== undefined && { bucket }) };
}

function readBranch(reader: CanonicalReader): StateBranch {
  reader.take('{"beside":');
  const beside = reader.array(() => reader.base64(hashBytes), besideMax);
  reader.take(',"children":');
  const children = reader.number();
  reader.take('}');
  return { children, beside };
}

/** Its canonical JSON. */
export function formatStateProof({ key, rows, table, tables, tenant }: StateProof): string {
  const ofRows =
    rows === undefined ? '' : `"rows":${formatWay(rows.way)},"salt":${base64(rows.salt)},`;
  return `{"key":${base64(key)},${ofRows}"table":${table},"tables":${formatWay(tables)},"tenant":${tenant}}`;
}

function formatWay({ branches, bucket, count }: StateWay): string {
  const all = branches.map(
    ({ beside, children }) => `{"beside":[${beside.map(base64).join(',')}],"children":${children}}`,
  );
  const end = bucket === undefined ? '' : `"bucket":${base64(bucket)},`;
  return `{"branches":[${all.join(',')}],${end}"count":${count}}`;
}

const base64 = (bytes: Uint8Array): string => `"${toBase64(bytes)}"`;

/** What the proof shows under this state hash, or a sentence that says why it does not hold. */
export function checkStateProof(
  sha256: Sha256,
  proof: StateProof,
  stateHash: Uint8Array,
): StateFacts | string {
  const proved = provedState(sha256, proof);
  if (typeof proved === 'string') return `A state proof does not hold: it ${proved}.`;
  if (!equalBytes(proved.stateHash, stateHash))
    return 'A state proof does not lead to the state hash of the checkpoint.';
  const { tenant, table, key } = proof;
  const { commitment } = proved;
  return { tenant, table, key, ...(commitment !== undefined && { commitment }) };
}
