import type { Token } from './lexer.ts';

/** Words after which + or - is a sign, not an operation. After any other word it is taken for one. */
const beforeSign = new Set([
  'select',
  'where',
  'and',
  'or',
  'not',
  'then',
  'else',
  'when',
  'case',
  'in',
  'between',
  'like',
  'ilike',
  'limit',
  'offset',
  'values',
  'set',
  'default',
  'returning',
  'is',
  'from',
  'by',
  'distinct',
  'on',
  'having',
  'check',
  'using',
  'all',
  'escape',
  'for',
]);

/**
 * The tokens' text with every literal replaced by $n, numbered on from `parameterCount`; comments are
 * dropped and white space is one space. Strings of every form, numbers with their sign, TRUE, FALSE
 * and NULL as values count as literals; names in quotes are names. The result is safe to log.
 */
export function normalize(text: string, tokens: readonly Token[], parameterCount: number): string {
  let result = '';
  let number = parameterCount;
  let end = tokens[0]?.start ?? 0;
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index] as Token;
    if (token.start > end && result !== '') result += ' ';
    if (isSign(text, tokens, index)) {
      end = (tokens[index + 1] as Token).start;
      continue;
    }
    result += isLiteral(text, tokens, index) ? `$${++number}` : text.slice(token.start, token.end);
    end = token.end;
  }
  return result;
}

function isLiteral(text: string, tokens: readonly Token[], index: number): boolean {
  const token = tokens[index] as Token;
  if (token.kind === 'string' || token.kind === 'number') return true;
  const word = wordAt(text, tokens, index);
  if (word !== 'true' && word !== 'false' && word !== 'null') return false;
  const previous = wordAt(text, tokens, index - 1);
  if (previous === 'is') return false;
  if (previous === 'not') return word !== 'null' && wordAt(text, tokens, index - 2) !== 'is';
  return true;
}

function isSign(text: string, tokens: readonly Token[], index: number): boolean {
  const token = tokens[index] as Token;
  if (token.kind !== 'operator' || tokens[index + 1]?.kind !== 'number') return false;
  const sign = text.slice(token.start, token.end);
  if (sign !== '-' && sign !== '+') return false;
  const previous = tokens[index - 1];
  if (previous === undefined || previous.kind === 'operator') return true;
  if (previous.kind === 'word') return beforeSign.has(wordAt(text, tokens, index - 1));
  return previous.kind === 'punctuation' && '(,['.includes(text.charAt(previous.start));
}

function wordAt(text: string, tokens: readonly Token[], index: number): string {
  const token = tokens[index];
  return token?.kind === 'word' ? text.slice(token.start, token.end).toLowerCase() : '';
}
