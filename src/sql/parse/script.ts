import { loadModule, type ParseResult, parseSync, type RawStmt } from 'libpg-query';
import { assert, limits, sqlError, utf8Length } from '../../base/index.ts';
import type { ParsedStatement } from '../contract.ts';
import { type AsOfClause, findAsOf, parameterNumber } from './as-of.ts';
import { checkComments, checkNesting } from './complexity.ts';
import { type Token, tokenize } from './lexer.ts';
import { normalize } from './normalize.ts';
import { SourceText } from './source.ts';
import { savepointName, statementKind } from './statement-kind.ts';
import { syntaxError } from './syntax-error.ts';

/** What ParsedStatement.tree holds: one statement's tree and the text that its offsets mean. */
export interface StatementTree {
  readonly statement: NonNullable<RawStmt['stmt']>;
  readonly source: SourceText;
}

let loaded = false;

/** Loads the parser (WebAssembly). Once before the first parseScript; further calls cost nothing. */
export async function loadParser(): Promise<void> {
  await loadModule();
  loaded = true;
}

/**
 * The statements of a script, in order; empty for a script of comments. Throws STATEMENT_TOO_LARGE,
 * STATEMENT_TOO_COMPLEX, SYNTAX_ERROR, UNSUPPORTED_SQL or UNDEFINED_PARAMETER with the offset in `text`.
 */
export function parseScript(text: string): ParsedStatement[] {
  assert(loaded, 'loadParser has completed before parseScript');
  checkText(text);
  const tokens = tokenize(text);
  checkComments(text, tokens);
  checkNesting(text, tokens);
  const groups = splitStatements(text, tokens);
  const parameterCounts = groups.map((group) => highestParameter(text, group));
  const clauses = groups.map((group) => findAsOf(text, group));
  const source = new SourceText(blank(text, clauses));
  const statements = runParser(source, tokens).stmts ?? [];
  const kinds = statements.map((raw) => statementKind(raw, source, tokens));
  assert(kinds.length === groups.length, 'the parser and the scanner see the same statements');
  return groups.map((group, index) => {
    const clause = clauses[index];
    const kind = kinds[index] as ParsedStatement['kind'];
    if (clause !== undefined && kind !== 'select') {
      throw sqlError(
        'UNSUPPORTED_SQL',
        'AS OF is for SELECT only; other statements act on the newest state.',
        clause.start,
      );
    }
    const own = clause === undefined ? group : group.filter((token) => token.start < clause.start);
    const parameterCount = parameterCounts[index] as number;
    const start = (own[0] as Token).start;
    const savepoint = savepointName(statements[index] as RawStmt);
    return {
      kind,
      text: text.slice(start, (own[own.length - 1] as Token).end),
      offset: start,
      normalized: normalize(text, own, parameterCount),
      asOf: clause?.asOf,
      parameterCount,
      ...(savepoint !== undefined && { savepoint }),
      tree: { statement: (statements[index] as RawStmt).stmt, source },
    };
  });
}

function checkText(text: string): void {
  // The cheap bound first: a text of more UTF-16 units than the limit has at least as many bytes.
  if (text.length > limits.statementBytesMax || utf8Length(text) > limits.statementBytesMax) {
    throw sqlError(
      'STATEMENT_TOO_LARGE',
      `The SQL text exceeds ${limits.statementBytesMax} bytes; split it, or pass values as parameters.`,
    );
  }
  const zero = text.indexOf('\0');
  if (zero !== -1)
    throw sqlError('SYNTAX_ERROR', 'SQL text cannot hold the character U+0000.', zero);
  // With the u flag a pair is one character, so that this finds only halves of one.
  const half = text.search(/\p{Surrogate}/u);
  if (half !== -1) {
    throw sqlError(
      'SYNTAX_ERROR',
      'SQL text must be well-formed Unicode: it holds half of a surrogate pair.',
      half,
    );
  }
}

/** The tokens between semicolons; empty statements are left out, as the parser does. */
function splitStatements(text: string, tokens: readonly Token[]): Token[][] {
  const groups: Token[][] = [];
  let group: Token[] = [];
  for (const token of tokens) {
    if (token.kind !== 'punctuation' || text.charAt(token.start) !== ';') {
      group.push(token);
    } else if (group.length > 0) {
      groups.push(group);
      group = [];
    }
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

/** The text with spaces in place of the clauses, so that the parser's offsets stay true. */
function blank(text: string, clauses: readonly (AsOfClause | undefined)[]): string {
  const parts: string[] = [];
  let end = 0;
  for (const clause of clauses) {
    if (clause === undefined) continue;
    parts.push(text.slice(end, clause.start), ' '.repeat(clause.end - clause.start));
    end = clause.end;
  }
  return end === 0 ? text : parts.join('') + text.slice(end);
}

function runParser(source: SourceText, tokens: readonly Token[]): ParseResult {
  if (source.text.trim() === '') return {};
  try {
    return parseSync(source.text);
  } catch (error) {
    throw syntaxError(error, source, tokens);
  }
}

function highestParameter(text: string, tokens: readonly Token[]): number {
  let highest = 0;
  for (const token of tokens) {
    if (token.kind === 'parameter') highest = Math.max(highest, parameterNumber(text, token));
  }
  return highest;
}
