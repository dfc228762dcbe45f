import { limits, sqlError } from '../../base/index.ts';
import type { Token } from './lexer.ts';

/**
 * Words and signs that each may deepen the syntax tree by one without a bracket. Those of
 * `growsForGood` go on growing over commas (chains of joins and set operations).
 */
const grows = new Set([
  'not',
  'is',
  'isnull',
  'notnull',
  'collate',
  'at',
  'like',
  'ilike',
  'similar',
  'between',
  'in',
  'operator',
  'any',
  'some',
  'all',
  'overlaps',
]);
const growsForGood = new Set(['union', 'intersect', 'except', 'join']);
/** What stands after one of these begins anew at the same depth: lists, and AND/OR, whose chains are flat. */
const separators = new Set(['and', 'or', 'when', 'then', 'else']);

interface Level {
  readonly bracket: 'bracket' | 'case' | 'statement';
  growth: number;
  lasting: number;
  /** BETWEENs whose AND is still to come; that AND does not separate. */
  betweens: number;
}

/**
 * Throws STATEMENT_TOO_COMPLEX at the first token that nests deeper than the limit. Runs before the
 * parser, whose stack is bounded, and from then on all recursion over the tree is bounded too.
 */
export function checkNesting(text: string, tokens: readonly Token[]): void {
  const depthMax = limits.statementDepthMax;
  let levels: Level[] = [newLevel('statement')];
  let depth = 1;
  for (const token of tokens) {
    const level = levels[levels.length - 1] as Level;
    const word = significantWord(text, token);
    if (word === '(' || word === '[' || word === 'case') {
      levels.push(newLevel(word === 'case' ? 'case' : 'bracket'));
      depth++;
    } else if (word === ';') {
      levels = [newLevel('statement')];
      depth = 1;
    } else if (closes(word, level)) {
      levels.pop();
      depth -= 1 + level.growth + level.lasting;
    } else if (word === 'and' && level.betweens > 0) {
      level.betweens--;
    } else if (word === ',' || separators.has(word)) {
      depth -= level.growth;
      level.growth = 0;
      level.betweens = 0;
    } else if (growsForGood.has(word)) {
      level.lasting++;
      depth++;
    } else if (token.kind === 'operator' || word === '::' || grows.has(word)) {
      if (word === 'between') level.betweens++;
      level.growth++;
      depth++;
    }
    if (depth > depthMax) {
      throw sqlError(
        'STATEMENT_TOO_COMPLEX',
        `The statement nests deeper than ${depthMax} levels; split it, or use fewer nested expressions.`,
        token.start,
      );
    }
  }
}

/** Steps that the parser's scanner may spend on comments: a fraction of a second. */
const commentStepsMax = 1 << 24;
const operatorSigns = '~!@#^&|`?+-*/%<>=';

/**
 * Throws STATEMENT_TOO_COMPLEX for comments that the parser's scanner would take quadratic time over: at
 * every slash-star it reads all operator signs that follow without a gap, other comments' too, and then
 * goes back to read them again.
 */
export function checkComments(text: string, tokens: readonly Token[]): void {
  let steps = 0;
  let runEnd = 0;
  let index = 0;
  let from = 0;
  for (let at = text.indexOf('/*'); at !== -1; at = text.indexOf('/*', from)) {
    while ((tokens[index]?.end ?? Infinity) <= at) index++;
    const token = tokens[index];
    if (token !== undefined && token.start <= at) {
      // Within a string or a quoted name.
      from = token.end;
      continue;
    }
    if (at >= runEnd) runEnd = operatorsEnd(text, at);
    steps += runEnd - at;
    if (steps > commentStepsMax) {
      throw sqlError(
        'STATEMENT_TOO_COMPLEX',
        'Comments nest or follow each other too densely; leave some out, or put spaces between them.',
        at,
      );
    }
    from = at + 2;
  }
}

function operatorsEnd(text: string, start: number): number {
  let end = start;
  while (end < text.length && operatorSigns.includes(text.charAt(end))) end++;
  return end;
}

const newLevel = (bracket: Level['bracket']): Level => ({
  bracket,
  growth: 0,
  lasting: 0,
  betweens: 0,
});

const closes = (word: string, level: Level): boolean =>
  word === 'end'
    ? level.bracket === 'case'
    : (word === ')' || word === ']') && level.bracket === 'bracket';

const longestWord = 9;

function significantWord(text: string, token: Token): string {
  if (token.kind === 'punctuation') return text.slice(token.start, token.end);
  if (token.kind !== 'word' || token.end - token.start > longestWord) return '';
  return text.slice(token.start, token.end).toLowerCase();
}
