import { utf8Length, VerityError } from '../base/index.ts';
import type { Command } from '../kernel/index.ts';

/** What of a pace bounds the queue. */
export interface QueueSettings {
  readonly commandsWaitingMax: number;
  readonly bytesWaitingMax: number;
}

interface Waiting {
  readonly bytes: number;
  readonly decide: () => void;
  readonly reject: (error: VerityError) => void;
}

/**
 * Commands that were submitted while there was no room: not decided yet, first come, first decided. Bounded
 * in number and bytes: who submits faster than the disk takes it, without waiting for answers, is refused with OVERLOADED.
 */
export class CommitQueue {
  readonly #settings: QueueSettings;
  #waiting: Waiting[] = [];
  #first = 0;
  #bytes = 0;

  constructor(settings: QueueSettings) {
    this.#settings = settings;
  }

  get isEmpty(): boolean {
    return this.#first === this.#waiting.length;
  }

  /**
   * Calls `decide` when there is room; answers when that calls `resolve`: a promise more in between, and the answer
   * would come after those of later commands in the same frame. Rejects as `decide` does, with OVERLOADED, or with
   * what `fail` is given. `bytes`: of the command, see `sizeOf`.
   */
  wait<T>(bytes: number, decide: (resolve: (answer: T) => void) => Promise<unknown>): Promise<T> {
    const count = this.#waiting.length - this.#first;
    const { commandsWaitingMax, bytesWaitingMax } = this.#settings;
    // One that is too large alone is still taken: commands are bounded by themselves.
    const isFull = count > 0 && this.#bytes + bytes > bytesWaitingMax;
    if (count >= commandsWaitingMax || isFull)
      return Promise.reject(overloaded(count, this.#bytes));
    return new Promise<T>((resolve, reject) => {
      this.#bytes += bytes;
      this.#waiting.push({
        bytes,
        decide: () => {
          try {
            decide(resolve).catch(reject);
          } catch (error) {
            reject(error as Error);
          }
        },
        reject,
      });
    });
  }

  /** Has the one decided that came first. */
  decideNext(): void {
    const next = this.#waiting[this.#first++];
    this.#bytes -= next?.bytes ?? 0;
    if (this.isEmpty) {
      this.#waiting = [];
      this.#first = 0;
    }
    next?.decide();
  }

  /** None of them will be decided. */
  fail(error: () => VerityError): void {
    const waiting = this.#waiting.slice(this.#first);
    this.#waiting = [];
    this.#first = 0;
    this.#bytes = 0;
    for (const { reject } of waiting) reject(error());
  }
}

function overloaded(count: number, bytes: number): VerityError {
  return new VerityError(
    'OVERLOADED',
    `${count} commands of ${bytes} bytes wait for the log already; this one was not begun. Wait for answers before sending more.`,
    { details: { count, bytes } },
  );
}

/** A command that keeps what its caller may change while it waits. */
export function detached(command: Command): Command {
  if (command.kind !== 'statement') return command;
  return { ...command, parameters: command.parameters.map(detachedValue) };
}

function detachedValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return value.slice();
  if (value instanceof Date) return new Date(value);
  try {
    return new DetachedJson(JSON.stringify(value));
  } catch {
    // What cannot be written as text is refused when it is decided.
    return value;
  }
}

/** An object, which only a jsonb column takes, as it was when it was sent. */
class DetachedJson {
  readonly text: string | undefined;

  constructor(text: string | undefined) {
    this.text = text;
  }

  toJSON(): unknown {
    return this.text === undefined ? undefined : JSON.parse(this.text);
  }
}

/** What the values of a detached command take, about: texts are counted in UTF-8. */
export function sizeOf(command: Command): number {
  let bytes = 0;
  switch (command.kind) {
    case 'statement':
      for (const value of command.parameters) bytes += sizeOfValue(value);
      return bytes;
    case 'append':
      for (const event of command.events) bytes += event.length;
      return bytes;
    case 'transaction':
      for (const { key, row } of command.changes) bytes += key.length + (row?.length ?? 0);
      return bytes;
    default:
      return 0;
  }
}

function sizeOfValue(value: unknown): number {
  if (typeof value === 'string') return utf8Length(value);
  if (value instanceof DetachedJson) return utf8Length(value.text ?? '');
  return value instanceof Uint8Array ? value.length : 8;
}
