/** Threads that do the pieces of an audit beside this one. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { AuditJob, AuditResult, AuditWorkers } from '../audit/index.ts';
import { VerityError } from '../base/index.ts';
import type { KeyHierarchy } from '../engine/index.ts';
import { errorOf, type ThreadAnswer, type ThreadMessage } from './audit-messages.ts';

/** More share one disk, and each takes memory for a segment. */
const threadsMax = 8;
/** To start threads takes longer than to read less than this. */
const logBytesMin = 16 << 20;
const youngMegabytes = 16;
const script = fileURLToPath(new URL('audit-thread.js', import.meta.url));

/** How many threads an audit of so many bytes of log gets; 0: the calling one does it all. */
export function threadsFor(logBytes: number, wanted: number | undefined): number {
  if (!existsSync(script)) return 0;
  const count = wanted ?? (logBytes < logBytesMin ? 1 : availableParallelism());
  return count < 2 ? 0 : Math.min(count, threadsMax);
}

/** Starts threads, each with a copy of the root key, which is moved to it and is never in its arguments or environment. */
export function startThreads(
  count: number,
  directory: string,
  hierarchy: KeyHierarchy | undefined,
): AuditWorkers {
  const threads = Array.from({ length: count }, () => new Thread(directory, hierarchy));
  const idle = [...threads];
  return {
    count,
    run: async <Job extends AuditJob>(job: Job): Promise<AuditResult<Job>> => {
      const thread = idle.pop();
      if (thread === undefined)
        throw new Error('no more pieces are given out than there are threads');
      try {
        return (await thread.run(job)) as AuditResult<Job>;
      } finally {
        idle.push(thread);
      }
    },
    close: async () => {
      await Promise.all(threads.map((thread) => thread.end()));
    },
  };
}

interface Waiting {
  readonly resolve: (result: AuditResult<AuditJob>) => void;
  readonly reject: (error: Error) => void;
}

class Thread {
  readonly #worker: Worker;
  #waiting: Waiting | undefined;
  #failure: Error | undefined;
  #ended = false;

  constructor(directory: string, hierarchy: KeyHierarchy | undefined) {
    // Neither arguments nor environment of this process, which may hold a key.
    this.#worker = new Worker(script, {
      argv: [],
      env: {},
      execArgv: [],
      // What a piece leaves behind is garbage soon: memory of two such generations is wasted.
      resourceLimits: { maxYoungGenerationSizeMb: youngMegabytes },
    });
    this.#worker.on('message', (answer: ThreadAnswer) => this.#take(answer));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', () => this.#fail(ended()));
    const rootKey = hierarchy?.root.expose().slice().buffer as ArrayBuffer | undefined;
    const begin: ThreadMessage = { kind: 'begin', directory, rootKey };
    this.#worker.postMessage(begin, rootKey === undefined ? [] : [rootKey]);
  }

  run(job: AuditJob): Promise<AuditResult<AuditJob>> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      const message: ThreadMessage = { kind: 'job', job };
      this.#worker.postMessage(message);
    });
  }

  /** Ends the thread when its keys are wiped; one that is at work is ended as it is. */
  async end(): Promise<void> {
    if (this.#ended || this.#failure !== undefined) return;
    this.#ended = true;
    const isAtWork = this.#waiting !== undefined;
    const exit = new Promise((resolve) => this.#worker.once('exit', resolve));
    if (isAtWork) await this.#worker.terminate();
    else this.#worker.postMessage('end');
    await exit;
  }

  #take(answer: ThreadAnswer): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (answer.kind === 'done') waiting?.resolve(answer.result);
    else if (waiting !== undefined) waiting.reject(errorOf(answer.failure));
    // What stands against the key comes before any piece.
    else this.#failure = errorOf(answer.failure);
  }

  #fail(error: Error): void {
    if (this.#ended && this.#waiting === undefined) return;
    this.#failure ??= error;
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}

const ended = (): VerityError =>
  new VerityError(
    'IO_ERROR',
    'A thread of the audit ended early. Is there enough memory? Try with fewer: threads: 1.',
  );
