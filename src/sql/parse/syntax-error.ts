import { hasSqlDetails } from 'libpg-query';
import { limits, sqlError, utf8Length, type VerityError } from '../../base/index.ts';
import type { Token } from './lexer.ts';
import type { SourceText } from './source.ts';

/**
 * The parser's failure as an error of ours, with the offset in the text. Its message quotes the text
 * it stumbled over, which may be a value; ours names a word or sign, and only the kind of a literal.
 */
export function syntaxError(
  error: unknown,
  source: SourceText,
  tokens: readonly Token[],
): VerityError {
  if (error instanceof RangeError) return tooComplex();
  if (!hasSqlDetails(error) || error.sqlDetails === undefined) throw error;
  const offset = source.indexOfCodePoint(error.sqlDetails.cursorPosition);
  if (error.message.startsWith('memory exhausted')) return tooComplex(offset);
  const reason = (error.message.split(' at or near "')[0] as string).replace(
    / at end of input$/,
    '',
  );
  const atEnd = offset >= source.text.trimEnd().length;
  const where = atEnd ? 'at the end of the text' : `at ${describe(source.text, tokens, offset)}`;
  return sqlError('SYNTAX_ERROR', `The SQL text cannot be parsed: ${reason} ${where}.`, offset);
}

const tooComplex = (offset?: number): VerityError =>
  sqlError(
    'STATEMENT_TOO_COMPLEX',
    `The statement nests deeper than ${limits.statementDepthMax} levels; split it, or use fewer nested expressions.`,
    offset,
  );

function describe(text: string, tokens: readonly Token[], offset: number): string {
  const token = tokens.find((candidate) => candidate.end > offset);
  if (token === undefined) return 'the end of the text';
  if (token.kind === 'string') return 'a string';
  if (token.kind === 'number') return 'a number';
  if (token.kind === 'quotedName') return 'a quoted name';
  const word = text.slice(token.start, token.end);
  return utf8Length(word) > limits.nameBytesMax ? 'a long name' : `"${word}"`;
}
