import { sqlError, VerityError } from '../base/index.ts';
import { loadParser, type ParsedStatement, parseScript } from '../sql/index.ts';

const cachedTextsMax = 2_000;
/** Of all cached texts together, in UTF-16 units: a parsed statement takes about fifty times its text. */
const cachedLengthMax = 1 << 20;
/** An INSERT of a thousand rows fits; longer texts are rarely sent twice. */
const cachedTextLengthMax = 1 << 17;

/** Parses each text once. Bounded in number and memory; the oldest text goes first. */
export class StatementCache {
  readonly #single = new Map<string, ParsedStatement>();
  #length = 0;

  /** The one statement of `text`. Throws SYNTAX_ERROR for an empty text, INVALID_ARGUMENT for several statements. */
  parse(text: string): ParsedStatement {
    const known = this.#single.get(text);
    if (known !== undefined) return known;
    if (typeof text !== 'string')
      throw new VerityError('INVALID_ARGUMENT', 'The SQL statement must be a string.');
    const statements = parseScript(text);
    const statement = statements[0];
    if (statement === undefined) throw sqlError('SYNTAX_ERROR', 'The text holds no statement.', 0);
    if (statements.length > 1) {
      throw new VerityError(
        'INVALID_ARGUMENT',
        'The text holds several statements; pass one at a time, or use a transaction.',
        {
          details: { offset: (statements[1] as ParsedStatement).offset },
        },
      );
    }
    if (text.length <= cachedTextLengthMax) this.#keep(text, statement);
    return statement;
  }

  #keep(text: string, statement: ParsedStatement): void {
    this.#single.set(text, statement);
    this.#length += text.length;
    for (const oldest of this.#single.keys()) {
      if (this.#single.size <= cachedTextsMax && this.#length <= cachedLengthMax) return;
      this.#single.delete(oldest);
      this.#length -= oldest.length;
    }
  }
}

/** The statements of a script, each as its own text, in order. `await ready()` first. */
export function splitStatements(script: string): string[] {
  const starts = parseScript(script).map((statement) => statement.offset);
  return starts.map((start, index) => script.slice(start, starts[index + 1] ?? script.length));
}

/** What kind of statement a text is, without running it. */
export function inspectStatement(text: string): {
  readonly kind: ParsedStatement['kind'];
  readonly hasAsOf: boolean;
} {
  const statement = new StatementCache().parse(text);
  return { kind: statement.kind, hasAsOf: statement.asOf !== undefined };
}

/** Loads the SQL parser; needed once before splitStatements and inspectStatement. */
export function ready(): Promise<void> {
  return loadParser();
}
