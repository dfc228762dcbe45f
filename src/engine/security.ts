/**
 * Failures that may mean an attack: something did not open, is not authentic, or is older than it must be. Counted,
 * reported at a bounded rate, and recorded in a stream of the system tenant, one summary an interval.
 */
import {
  type Clock,
  CorruptionError,
  type ErrorCode,
  type Scheduler,
  systemTenant,
  type TimestampMicros,
  utf8Encode,
  VerityError,
} from '../base/index.ts';
import type { Command } from '../kernel/index.ts';
import { pagesPath } from '../store/index.ts';

/** Stream of the system tenant. */
export const securityStream = 'security';

const watchedCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'AUTHENTICATION_FAILED',
  'CHAIN_BROKEN',
  'COMMITMENT_MISMATCH',
  'ENVELOPE_KEY_UNKNOWN',
  'FOREIGN_FILE',
  'KEY_FILE_EXPOSED',
  'KEY_PROVIDER_DENIED',
  'KEY_SLOT_FOREIGN',
  'KEYRING_ROLLED_BACK',
  'LOG_ROLLED_BACK',
  'SUBJECT_KEYS_ROLLED_BACK',
  'WRONG_KEY',
]);

/** Of the store, which only we write, all damage counts: also a page that is gone. */
function isWatched(error: VerityError): boolean {
  const isOfStore = error instanceof CorruptionError && error.file === pagesPath;
  return isOfStore || watchedCodes.has(error.code);
}

const windowMicros = 60_000_000;
const reportsPerWindowMax = 10;
const recordEveryMs = 60_000;

/** One failure, as it is reported. */
export interface SecurityFailure {
  readonly code: ErrorCode;
  /** Relative to the database's directory, where a file is concerned. */
  readonly file: string | undefined;
  readonly offset: number | undefined;
  /** Names no key and no stored value. */
  readonly message: string;
  readonly time: TimestampMicros;
  /** How many failures before this one were counted and not reported, since the last report. */
  readonly suppressed: number;
}

export interface SecurityFigures {
  readonly failures: number;
  readonly byCode: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Counted, but over the rate at which failures are reported. */
  readonly suppressed: number;
  readonly lastFailure: TimestampMicros | undefined;
}

/** What one record of the stream says of the time since the one before. */
export interface SecuritySummary {
  /** Microseconds since 1970. */
  readonly from: number;
  readonly to: number;
  readonly failures: number;
  readonly byCode: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Where the first of them was. */
  readonly file?: string;
  readonly offset?: number;
}

type Counts = Partial<Record<ErrorCode, number>>;

/** Counts failures and reports at most ten a minute. */
export class SecurityMonitor {
  readonly #clock: Clock | undefined;
  readonly #onFailure: ((failure: SecurityFailure) => void) | undefined;
  readonly #seen = new WeakSet<VerityError>();
  readonly #byCode: Counts = {};
  #failures = 0;
  #suppressed = 0;
  #suppressedSinceReport = 0;
  #lastFailure: TimestampMicros | undefined;
  #windowStart: number | undefined;
  #reportsInWindow = 0;
  #unrecorded: SecuritySummary | undefined;
  /** Called when there is something to record. */
  onUnrecorded: (() => void) | undefined;

  constructor(options: { clock?: Clock; onFailure?: (failure: SecurityFailure) => void } = {}) {
    this.#clock = options.clock;
    this.#onFailure = options.onFailure;
  }

  get figures(): SecurityFigures {
    return {
      failures: this.#failures,
      byCode: { ...this.#byCode },
      suppressed: this.#suppressed,
      lastFailure: this.#lastFailure,
    };
  }

  /** Counts an error if it is one of these failures; the same error object once. */
  observe(error: unknown): void {
    if (!(error instanceof VerityError) || !isWatched(error)) return;
    if (this.#seen.has(error)) return;
    this.#seen.add(error);
    const time = this.#clock?.now() ?? (0 as TimestampMicros);
    const { code } = error;
    const place =
      error instanceof CorruptionError ? { file: error.file, offset: error.offset } : undefined;
    this.#failures += 1;
    this.#byCode[code] = (this.#byCode[code] ?? 0) + 1;
    this.#lastFailure = time;
    this.#report({ code, file: place?.file, offset: place?.offset, message: error.message, time });
    const before: SecuritySummary = this.#unrecorded ?? {
      from: time,
      to: time,
      failures: 0,
      byCode: {},
      ...place,
    };
    const byCode = { ...before.byCode, [code]: (before.byCode[code] ?? 0) + 1 };
    this.#unrecorded = { ...before, to: time, failures: before.failures + 1, byCode };
    this.onUnrecorded?.();
  }

  /** As `observe`, around an action that may throw. */
  watch<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      this.observe(error);
      throw error;
    }
  }

  /** What happened since this was last asked; undefined if nothing did. */
  takeUnrecorded(): SecuritySummary | undefined {
    const summary = this.#unrecorded;
    this.#unrecorded = undefined;
    return summary;
  }

  #report(failure: Omit<SecurityFailure, 'suppressed'>): void {
    const { time } = failure;
    const start = this.#windowStart;
    // A clock that was set back starts a new window, too.
    if (start === undefined || time < start || time - start >= windowMicros) {
      this.#windowStart = time;
      this.#reportsInWindow = 0;
    }
    if (this.#reportsInWindow >= reportsPerWindowMax) {
      this.#suppressed += 1;
      this.#suppressedSinceReport += 1;
      return;
    }
    this.#reportsInWindow += 1;
    const suppressed = this.#suppressedSinceReport;
    this.#suppressedSinceReport = 0;
    this.#onFailure?.({ ...failure, suppressed });
  }
}

export interface SecurityRecorderParts {
  readonly monitor: SecurityMonitor;
  readonly scheduler: Scheduler;
  readonly submit: (command: Command) => Promise<unknown>;
}

/** Records what the monitor counted: at once, but then at most once a minute, so that failures cannot fill the disk. */
export class SecurityRecorder {
  readonly #parts: SecurityRecorderParts;
  #cancel: (() => void) | undefined;
  #isWaiting = false;

  constructor(parts: SecurityRecorderParts) {
    this.#parts = parts;
    parts.monitor.onUnrecorded = () => this.#soon();
  }

  /** Records what was counted before, e.g. while opening. */
  start(): void {
    this.#record();
  }

  /** Records what is left; nothing is recorded afterwards. */
  finish(): void {
    this.#parts.monitor.onUnrecorded = undefined;
    this.#cancel?.();
    this.#submit();
  }

  /** On another turn: a failure may be met in the middle of deciding a command. */
  #soon(): void {
    if (this.#isWaiting) return;
    this.#isWaiting = true;
    this.#parts.scheduler.defer(() => {
      this.#isWaiting = false;
      this.#record();
    });
  }

  #record(): void {
    // Deciding the record may fail and be counted, too: that waits for the next one.
    this.#isWaiting = true;
    if (!this.#submit()) {
      this.#isWaiting = false;
      return;
    }
    this.#cancel = this.#parts.scheduler.delay(recordEveryMs, () => {
      this.#isWaiting = false;
      this.#record();
    });
  }

  /** Whether there was something to record. A record that cannot be written is given up: it is counted all the same. */
  #submit(): boolean {
    const { monitor, submit } = this.#parts;
    const summary = monitor.takeUnrecorded();
    if (summary === undefined) return false;
    const command: Command = {
      kind: 'append',
      tenant: systemTenant,
      stream: securityStream,
      events: [utf8Encode(JSON.stringify(summary))],
      expectedVersion: undefined,
      origin: {},
    };
    try {
      submit(command).catch(() => undefined);
    } catch {
      return true;
    }
    return true;
  }
}
