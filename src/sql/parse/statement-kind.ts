import type { Node, RawStmt } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { ParsedStatement } from '../contract.ts';
import type { Token } from './lexer.ts';
import type { SourceText } from './source.ts';

const kinds: Readonly<Record<string, ParsedStatement['kind']>> = {
  SelectStmt: 'select',
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  CreateStmt: 'createTable',
  IndexStmt: 'createIndex',
  ViewStmt: 'createView',
  AlterTableStmt: 'alterTable',
  RenameStmt: 'alterTable',
  DropStmt: 'drop',
};

const explainable = new Set(['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt']);

const transactionKinds: Readonly<Record<string, ParsedStatement['kind']>> = {
  TRANS_STMT_BEGIN: 'begin',
  TRANS_STMT_START: 'begin',
  TRANS_STMT_COMMIT: 'commit',
  TRANS_STMT_ROLLBACK: 'rollback',
  TRANS_STMT_SAVEPOINT: 'savepoint',
  TRANS_STMT_ROLLBACK_TO: 'rollbackTo',
  TRANS_STMT_RELEASE: 'release',
};

/** Every transaction is serialisable, whatever isolation it asks for. */
function isServed(option: Node): boolean {
  const { defname, arg } = 'DefElem' in option ? option.DefElem : {};
  const isReadWrite = arg !== undefined && 'A_Const' in arg && (arg.A_Const.ival?.ival ?? 0) === 0;
  return (
    defname === 'transaction_isolation' || (defname === 'transaction_read_only' && isReadWrite)
  );
}

/** The name in SAVEPOINT, ROLLBACK TO and RELEASE. */
export function savepointName(raw: RawStmt): string | undefined {
  return raw.stmt !== undefined && 'TransactionStmt' in raw.stmt
    ? raw.stmt.TransactionStmt.savepoint_name
    : undefined;
}

/** The kind of a statement. Throws UNSUPPORTED_SQL at its first token if it is none of ours. */
export function statementKind(
  raw: RawStmt,
  source: SourceText,
  tokens: readonly Token[],
): ParsedStatement['kind'] {
  const name = Object.keys(raw.stmt ?? {})[0] ?? '';
  const kind = kinds[name];
  if (kind !== undefined) return kind;
  if (raw.stmt !== undefined && 'ExplainStmt' in raw.stmt) {
    // Whatever it explains, it only reads.
    const explained = Object.keys(raw.stmt.ExplainStmt.query ?? {})[0] ?? '';
    if (explainable.has(explained)) return 'select';
  }
  if (raw.stmt !== undefined && 'TransactionStmt' in raw.stmt) {
    const { kind: transactionKind = '', options, chain } = raw.stmt.TransactionStmt;
    const known = transactionKinds[transactionKind];
    if (known !== undefined && (options ?? []).every(isServed) && chain === undefined) return known;
  }
  const start = source.indexOfByte(raw.stmt_location ?? 0);
  const first = tokens.find((token) => token.start >= start && token.kind === 'word');
  const offset = first?.start ?? start;
  if (name === 'TransactionStmt') {
    throw sqlError(
      'UNSUPPORTED_SQL',
      'Of transaction control BEGIN, COMMIT, ROLLBACK, SAVEPOINT, ROLLBACK TO and RELEASE are supported, without READ ONLY and AND CHAIN.',
      offset,
    );
  }
  const word =
    first === undefined
      ? 'This statement'
      : source.text.slice(first.start, first.end).toUpperCase();
  throw sqlError(
    'UNSUPPORTED_SQL',
    `${word} is not supported here. Supported are CREATE TABLE, INDEX and VIEW, ALTER TABLE, DROP, INSERT, UPDATE, DELETE, SELECT and transaction control.`,
    offset,
  );
}
