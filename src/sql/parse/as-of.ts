import { parseSync } from 'libpg-query';
import { limits, sqlError, VerityError } from '../../base/index.ts';
import type { AsOf } from '../contract.ts';
import { parseText } from '../types/index.ts';
import type { Token } from './lexer.ts';

export interface AsOfClause {
  readonly asOf: AsOf;
  /** Where the clause begins and ends in the script. */
  readonly start: number;
  readonly end: number;
}

const clauseLength = 4;
/** How 'infinity' is held; '-infinity' is the number below its negative. */
const infinity = 2n ** 63n - 1n;

/**
 * The `AS OF …` clause that ends a statement's tokens, or undefined. Throws SYNTAX_ERROR for one in
 * another place: the four tokens together are never PostgreSQL's own syntax.
 */
export function findAsOf(text: string, tokens: readonly Token[]): AsOfClause | undefined {
  for (let index = 0; index + clauseLength <= tokens.length; index++) {
    const kind = clauseKind(text, tokens, index);
    if (kind === undefined) continue;
    const start = (tokens[index] as Token).start;
    const operand = tokens[index + clauseLength - 1] as Token;
    const asOf = asOfValue(text, kind, operand);
    if (index + clauseLength !== tokens.length) {
      throw sqlError(
        'SYNTAX_ERROR',
        'AS OF must be the last clause of the statement, once.',
        start,
      );
    }
    return { asOf, start, end: operand.end };
  }
  return undefined;
}

function clauseKind(
  text: string,
  tokens: readonly Token[],
  index: number,
): 'position' | 'timestamp' | undefined {
  if (wordAt(text, tokens, index) !== 'as' || wordAt(text, tokens, index + 1) !== 'of')
    return undefined;
  const kind = wordAt(text, tokens, index + 2);
  if (kind !== 'position' && kind !== 'timestamp') return undefined;
  // "AS of" can be an alias; it is one if a bracket or a comma follows POSITION or TIMESTAMP.
  return tokens[index + 3]?.kind === 'punctuation' ? undefined : kind;
}

function asOfValue(text: string, kind: 'position' | 'timestamp', operand: Token): AsOf {
  const operandText = text.slice(operand.start, operand.end);
  if (operand.kind === 'parameter') {
    return {
      kind: kind === 'position' ? 'positionParameter' : 'timestampParameter',
      number: parameterNumber(text, operand),
    };
  }
  if (kind === 'position') {
    if (operand.kind !== 'number' || !/^[0-9][0-9_]*$/.test(operandText)) {
      throw sqlError(
        'SYNTAX_ERROR',
        'AS OF POSITION takes a whole number from 0 or a parameter.',
        operand.start,
      );
    }
    return { kind: 'position', value: BigInt(operandText.replaceAll('_', '')) };
  }
  if (operand.kind !== 'string') {
    throw sqlError(
      'SYNTAX_ERROR',
      "AS OF TIMESTAMP takes a time such as '2026-01-31T12:00:00Z' or a parameter.",
      operand.start,
    );
  }
  return { kind: 'timestamp', value: timestampValue(operandText, operand.start) };
}

function timestampValue(literal: string, offset: number): bigint {
  try {
    const value = parseText({ name: 'timestamptz' }, stringValue(literal));
    if (typeof value === 'bigint' && value !== infinity && value !== -infinity - 1n) return value;
  } catch (error) {
    if (!(error instanceof VerityError)) throw error;
    throw sqlError(error.code, `AS OF TIMESTAMP: ${error.message}`, offset);
  }
  throw sqlError('INVALID_DATETIME', 'AS OF TIMESTAMP takes a finite time.', offset);
}

/** The text a string token stands for, by the parser's own rules. */
function stringValue(literal: string): string {
  const statement = parseSync(`SELECT ${literal}`).stmts?.[0]?.stmt;
  const target =
    statement !== undefined && 'SelectStmt' in statement
      ? statement.SelectStmt.targetList?.[0]
      : undefined;
  const value = target !== undefined && 'ResTarget' in target ? target.ResTarget.val : undefined;
  if (value === undefined || !('A_Const' in value)) return '';
  const constant = value.A_Const as { readonly sval?: { readonly sval?: string } };
  return constant.sval?.sval ?? '';
}

/** The n of a $n token. Throws UNDEFINED_PARAMETER outside 1 … parametersMax. */
export function parameterNumber(text: string, token: Token): number {
  const number = Number(text.slice(token.start + 1, token.end));
  if (number >= 1 && number <= limits.parametersMax) return number;
  throw sqlError(
    'UNDEFINED_PARAMETER',
    `Parameters are numbered from $1 to $${limits.parametersMax}.`,
    token.start,
  );
}

function wordAt(text: string, tokens: readonly Token[], index: number): string {
  const token = tokens[index];
  return token?.kind === 'word' ? text.slice(token.start, token.end).toLowerCase() : '';
}
