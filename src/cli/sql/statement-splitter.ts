import { limits, VerityError } from '../../base/index.ts';

export interface Statement {
  /** The statement's text without the semicolon, from its first character that is not white space. */
  readonly text: string;
  /** Where `text` begins in the whole input: UTF-16 units from 0. */
  readonly offset: number;
  /** The same as line and column, from 1. */
  readonly line: number;
  readonly column: number;
}

type Mode = 'plain' | 'quoted' | 'escaped' | 'identifier' | 'line' | 'block' | 'dollar';

/**
 * Cuts a stream of SQL text at the semicolons that end statements: not those within quotes, quoted
 * identifiers, dollar quotes or comments. It holds one unfinished statement at most.
 *
 * Only the cut is decided here; each piece is parsed by the database. A wrong cut could therefore
 * cause a syntax error, but never another meaning.
 */
export class StatementSplitter {
  #text = '';
  /** Everything before this index is scanned. */
  #scanned = 0;
  #mode: Mode = 'plain';
  #commentDepth = 0;
  #dollarTag = '';
  /** Where the current statement's first character is, or -1 before it. */
  #start = -1;
  /** Whether the statement has anything but white space and comments. */
  #hasContent = false;
  /** Where #text begins in the whole input. */
  #base = 0;
  #line = 1;
  #column = 1;
  #startLine = 1;
  #startColumn = 1;

  /** Whether a statement has begun and not ended. */
  get unfinished(): boolean {
    return this.#hasContent || this.#mode !== 'plain';
  }

  /** Adds text; returns the statements that are now complete. Throws STATEMENT_TOO_LARGE. */
  push(text: string): Statement[] {
    this.#text += text;
    const statements = this.#scan(false);
    if (this.#text.length > limits.statementBytesMax) {
      throw new VerityError(
        'STATEMENT_TOO_LARGE',
        `A statement is longer than ${limits.statementBytesMax} bytes. Split it into several.`,
      );
    }
    return statements;
  }

  /** The end of the input: returns what remains; the last statement needs no semicolon. */
  end(): Statement[] {
    const statements = this.#scan(true);
    const last = this.#take(this.#text.length);
    this.reset();
    return last === undefined ? statements : [...statements, last];
  }

  /** Forgets an unfinished statement. */
  reset(): void {
    this.#base += this.#text.length;
    this.#text = '';
    this.#scanned = 0;
    this.#mode = 'plain';
    this.#commentDepth = 0;
    this.#start = -1;
    this.#hasContent = false;
  }

  #scan(ended: boolean): Statement[] {
    const statements: Statement[] = [];
    while (this.#scanned < this.#text.length) {
      const character = this.#text[this.#scanned] as string;
      const length =
        this.#mode === 'plain' ? this.#plain(character, ended) : this.#inside(character, ended);
      if (length === 0) break; // A token that the next chunk continues.
      const isEnd = this.#mode === 'plain' && length === 1 && character === ';';
      if (isEnd) {
        const statement = this.#take(this.#scanned);
        if (statement !== undefined) statements.push(statement);
      }
      this.#advance(length);
      if (isEnd) {
        this.#text = this.#text.slice(this.#scanned);
        this.#base += this.#scanned;
        this.#scanned = 0;
      }
    }
    return statements;
  }

  /** Handles a character outside quotes and comments; returns how many it took, 0 to wait for more text. */
  #plain(character: string, ended: boolean): number {
    const next = this.#text[this.#scanned + 1];
    const waits = next === undefined && !ended;
    if (character === '-' || character === '/') {
      if (waits) return 0;
      if (character === '-' && next === '-') return this.#enter('line', 2);
      if (character === '/' && next === '*') {
        this.#commentDepth = 1;
        return this.#enter('block', 2);
      }
    }
    if (character === ';' || isSpace(character)) return 1;
    this.#begin();
    if (character === "'") return this.#enter(this.#escapePrefixed() ? 'escaped' : 'quoted', 1);
    if (character === '"') return this.#enter('identifier', 1);
    if (character === '$' && !this.#afterIdentifier()) return this.#dollar(ended);
    return 1;
  }

  /** Handles a character within quotes or a comment. */
  #inside(character: string, ended: boolean): number {
    const next = this.#text[this.#scanned + 1];
    const waits = next === undefined && !ended;
    switch (this.#mode) {
      case 'quoted':
        // A doubled quote leaves and enters again, which comes to the same.
        return character === "'" ? this.#enter('plain', 1) : 1;
      case 'identifier':
        return character === '"' ? this.#enter('plain', 1) : 1;
      case 'line':
        return character === '\n' ? this.#enter('plain', 1) : 1;
      case 'escaped':
        if ((character === '\\' || character === "'") && waits) return 0;
        if (character === '\\') return Math.min(2, this.#text.length - this.#scanned);
        if (character === "'" && next === "'") return 2;
        return character === "'" ? this.#enter('plain', 1) : 1;
      case 'block':
        return this.#block(character, next, waits);
      default: {
        if (character !== '$') return 1;
        const tag = this.#dollarTag;
        const rest = this.#text.slice(this.#scanned, this.#scanned + tag.length);
        if (rest === tag) return this.#enter('plain', tag.length);
        return tag.startsWith(rest) && !ended ? 0 : 1;
      }
    }
  }

  #block(character: string, next: string | undefined, waits: boolean): number {
    if (character !== '*' && character !== '/') return 1;
    if (waits) return 0;
    if (character === '/' && next === '*') {
      this.#commentDepth++;
      return 2;
    }
    if (character === '*' && next === '/') {
      this.#commentDepth--;
      return this.#commentDepth === 0 ? this.#enter('plain', 2) : 2;
    }
    return 1;
  }

  /** At a `$` that may open a dollar quote. */
  #dollar(ended: boolean): number {
    const tagPattern = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?(\$?)/uy;
    tagPattern.lastIndex = this.#scanned;
    const match = tagPattern.exec(this.#text);
    if (match === null) return 1;
    const reachesEnd = tagPattern.lastIndex === this.#text.length;
    if (match[1] !== '$') return reachesEnd && !ended ? 0 : 1;
    this.#dollarTag = match[0];
    return this.#enter('dollar', match[0].length);
  }

  #enter(mode: Mode, length: number): number {
    this.#mode = mode;
    return length;
  }

  #begin(): void {
    if (this.#hasContent) return;
    this.#hasContent = true;
    this.#start = this.#scanned;
    this.#startLine = this.#line;
    this.#startColumn = this.#column;
  }

  #advance(length: number): void {
    for (let index = 0; index < length; index++) {
      if (this.#text[this.#scanned] === '\n') {
        this.#line++;
        this.#column = 1;
      } else {
        this.#column++;
      }
      this.#scanned++;
    }
  }

  #take(end: number): Statement | undefined {
    if (!this.#hasContent) return undefined;
    const text = this.#text.slice(this.#start, end);
    const offset = this.#base + this.#start;
    this.#hasContent = false;
    this.#start = -1;
    return { text, offset, line: this.#startLine, column: this.#startColumn };
  }

  /** Whether the quote at the scan position belongs to `E'…'`, where a backslash escapes. */
  #escapePrefixed(): boolean {
    const prefix = this.#text[this.#scanned - 1];
    const before = this.#text[this.#scanned - 2];
    return (
      (prefix === 'E' || prefix === 'e') && (before === undefined || !isIdentifierPart(before))
    );
  }

  #afterIdentifier(): boolean {
    const before = this.#text[this.#scanned - 1];
    return before !== undefined && isIdentifierPart(before);
  }
}

function isSpace(character: string): boolean {
  return (
    character === ' ' ||
    character === '\n' ||
    character === '\t' ||
    character === '\r' ||
    character === '\f'
  );
}

function isIdentifierPart(character: string): boolean {
  return /[\p{L}\p{N}_$]/u.test(character);
}

/** Where index `index` of a statement's text lies in the whole input. */
export function placeInInput(
  statement: Statement,
  index: number,
): { readonly offset: number; readonly line: number; readonly column: number } {
  const before = statement.text.slice(0, index).split('\n');
  const last = before.at(-1) ?? '';
  const offset = statement.offset + index;
  return before.length === 1
    ? { offset, line: statement.line, column: statement.column + last.length }
    : { offset, line: statement.line + before.length - 1, column: last.length + 1 };
}
