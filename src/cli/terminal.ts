import type { Readable, Writable } from 'node:stream';
import { VerityError } from '../base/index.ts';

/** What a command sees of the process that runs it. Tests pass their own. */
export interface Terminal {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds on a clock that never steps back; for rates and durations only. */
  now(): number;
  /** Has `listener` called at the first SIGINT or SIGTERM, which then does not end the process. Returns what undoes it. */
  onInterrupt(listener: () => void): () => void;
}

/** The reader of standard output went away (`verity … | head`): not an error, the command just ends. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/**
 * Standard output with back-pressure. After the reader has gone, `write` rejects with OutputClosed,
 * so that a long listing stops instead of running on unseen.
 */
export class Output {
  readonly #stream: Terminal['stdout'];
  #failure: NodeJS.ErrnoException | undefined;

  constructor(stream: Terminal['stdout']) {
    this.#stream = stream;
    stream.on('error', (error: NodeJS.ErrnoException) => (this.#failure ??= error));
  }

  /**
   * Writes `text` and waits until the stream took it. Throws OutputClosed when nobody reads any more, and
   * IO_ERROR when it cannot be written.
   */
  async write(text: string): Promise<void> {
    if (this.#failure === undefined && text.length > 0) {
      await new Promise<void>((resolve) => {
        this.#stream.write(text, (error) => {
          if (error instanceof Error) this.#failure ??= error;
          resolve();
        });
      });
    }
    if (this.#failure === undefined) return;
    const { code } = this.#failure;
    if (code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED')
      throw new OutputClosed('standard output was closed');
    throw new VerityError(
      'IO_ERROR',
      `Cannot write the results: ${code}. Check where standard output goes.`,
      {
        cause: this.#failure,
      },
    );
  }

  async line(text: string): Promise<void> {
    await this.write(`${text}\n`);
  }
}
