import { VerityError } from '../../base/index.ts';

export interface Failure {
  readonly code: string;
  readonly sqlState: string;
  /** The text from the error's offset on, cut at eight characters; undefined without an offset. */
  readonly at: string | undefined;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** Runs `action`, which must throw a VerityError, and returns it with its place in `text`. */
export function failureOf(text: string, action: () => unknown): Failure {
  try {
    action();
  } catch (error) {
    if (!(error instanceof VerityError)) throw error;
    const { code, sqlState, message, details } = error;
    const offset = details['offset'] as number | undefined;
    return {
      code,
      sqlState,
      message,
      details,
      at: offset === undefined ? undefined : text.slice(offset, offset + 8),
    };
  }
  throw new Error(`no error: ${text}`);
}
