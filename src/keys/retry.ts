import { type Entropy, type Scheduler, VerityError } from '../base/index.ts';
import { systemEntropy, systemScheduler } from '../host/index.ts';

/** How long a provider that does not answer is asked again. Times in milliseconds. */
export interface RetrySettings {
  /** How long to go on asking; 0 asks once. Default 30,000. */
  readonly forMs?: number;
  /** The first pause; each one is twice as long as the one before, up to `pauseMsMax`. Default 200. */
  readonly firstPauseMs?: number;
  /** Default 5,000. */
  readonly pauseMsMax?: number;
  /** How long one question may take. Default 5,000. */
  readonly attemptMs?: number;
  /** Called once, when the first question got no answer; `reason` is a short name such as ECONNREFUSED. */
  readonly onWait?: (reason: string) => void;
  /** Timers and chance; the process's own unless a simulator passes others. */
  readonly scheduler?: Pick<Scheduler, 'delay'>;
  readonly entropy?: Entropy;
}

/** What failed without an answer, and may work later. `reason` is a short name, never a provider's own text. */
export class ProviderDown extends Error {
  override readonly name = 'ProviderDown';
  readonly reason: string;

  constructor(reason: string) {
    super(`no answer: ${reason}`);
    this.reason = reason;
  }
}

/** Whom we ask: for the message when there is no answer. */
export interface ProviderNames {
  readonly kind: string;
  /** E.g. 'AWS KMS'. */
  readonly service: string;
  /** The key's id or ARN. */
  readonly source: string;
  /** What an operator looks at first; a whole sentence. */
  readonly check: string;
}

/** Unlike the engine's, these timers keep the process alive: it is waiting for its key. */
const waitingScheduler: Pick<Scheduler, 'delay'> = {
  delay(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};

/**
 * Asks until there is an answer: again after a pause that doubles, with jitter so that many processes do not
 * ask in step, for `forMs` and one attempt at most. Only ProviderDown is tried again; every other error is an
 * answer. Throws KEY_PROVIDER_UNAVAILABLE when the time is over.
 */
export async function askWithRetry<T>(
  names: ProviderNames,
  settings: RetrySettings,
  ask: (signal: AbortSignal) => Promise<T>,
  isBackground = false,
): Promise<T> {
  const { forMs = 30_000, firstPauseMs = 200, pauseMsMax = 5_000, attemptMs = 5_000 } = settings;
  const processTimers = isBackground ? systemScheduler : waitingScheduler;
  const { scheduler = processTimers, entropy = systemEntropy } = settings;
  let isOver = forMs <= 0;
  let wake = (): void => undefined;
  const cancelEnd = isOver
    ? wake
    : scheduler.delay(forMs, () => {
        isOver = true;
        wake();
      });
  try {
    for (let attempt = 1, pauseMs = firstPauseMs; ; attempt++, pauseMs *= 2) {
      try {
        return await askOnce(scheduler, attemptMs, ask);
      } catch (error) {
        if (!(error instanceof ProviderDown)) throw error;
        if (isOver) throw unavailable(names, error.reason, attempt);
        if (attempt === 1) settings.onWait?.(error.reason);
      }
      await new Promise<void>((resolve) => {
        const cancel = scheduler.delay(jittered(Math.min(pauseMs, pauseMsMax), entropy), resolve);
        wake = () => {
          cancel();
          resolve();
        };
      });
    }
  } finally {
    cancelEnd();
  }
}

async function askOnce<T>(
  scheduler: Pick<Scheduler, 'delay'>,
  attemptMs: number,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  let cancel = (): void => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    cancel = scheduler.delay(attemptMs, () => {
      reject(new ProviderDown(`no answer within ${attemptMs} ms`));
      controller.abort();
    });
  });
  try {
    return await Promise.race([ask(controller.signal), late]);
  } finally {
    cancel();
  }
}

/** Between half of `milliseconds` and all of it. */
function jittered(milliseconds: number, entropy: Entropy): number {
  const [byte = 0] = entropy.bytes(1);
  return Math.ceil(milliseconds * (0.5 + byte / 510));
}

function unavailable(names: ProviderNames, reason: string, attempts: number): VerityError {
  const { kind, service, source, check } = names;
  return new VerityError(
    'KEY_PROVIDER_UNAVAILABLE',
    `${service} does not answer for the key ${source} (${attempts} attempts; last: ${reason}). ${check}`,
    { details: { provider: kind, key: source, reason, attempts } },
  );
}
