/** Time stamps on checkpoints (RFC 3161): who is asked for them, how often, and which there are. */
import { type Scheduler, utf8Encode, VerityError } from '../base/index.ts';
import type { TimeStampFile } from '../engine/index.ts';
import { parseNote } from '../proof/index.ts';
import {
  readTrusted,
  requestTimeStamp,
  type TimeStamp,
  verifyTimeStamp,
} from '../witness/index.ts';
import type { AttestedLog } from './attested-log.ts';
import { checkedUrl } from './witness-settings.ts';

const authoritySetting = 'timestamp-authority';
const requestMs = 10_000;
const everySecondsDefault = 3_600;

export interface TimeStampAuthority {
  readonly url: string;
  /** Certificates in PEM that its chain must lead to. */
  readonly ca: string;
  /** Checkpoints are stamped at most this often without being asked. */
  readonly everySeconds: number;
}

export interface TimeStampReport {
  /** Events under the checkpoint that is stamped. */
  readonly size: bigint;
  readonly time: Date;
  /** Subject of the authority's certificate. */
  readonly authority: string;
  readonly serial: string;
}

export interface TimeStampsParts {
  readonly log: AttestedLog;
  readonly file: TimeStampFile;
  readonly scheduler: Scheduler;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly onTrouble: (error: VerityError) => void;
  readonly checkWritable: () => void;
}

/** What `db.timestamps` gives. */
export type DatabaseTimeStamps = Pick<
  TimeStamps,
  'authority' | 'list' | 'removeAuthority' | 'setAuthority' | 'stamp'
>;

/** Has checkpoints of an open database stamped. */
export class TimeStamps {
  readonly #parts: TimeStampsParts;
  readonly #ended = new AbortController();
  #lastMs = 0;
  #running = false;
  #failing = false;

  constructor(parts: TimeStampsParts) {
    this.#parts = parts;
  }

  /** Who is asked for time stamps; undefined: nobody. */
  get authority(): TimeStampAuthority | undefined {
    const stored = this.#parts.log.setting(authoritySetting);
    return stored as TimeStampAuthority | undefined;
  }

  /**
   * Names the authority: RFC 3161 over HTTP at `url`, whose certificates lead to one of those in `ca` (PEM). Throws INVALID_ARGUMENT
   * for a URL that is none, a file without certificates, and a time below a second.
   */
  async setAuthority(
    url: string,
    ca: string,
    options: { readonly everySeconds?: number } = {},
  ): Promise<void> {
    this.#parts.checkWritable();
    const { everySeconds = everySecondsDefault } = options;
    if (!Number.isSafeInteger(everySeconds) || everySeconds < 1) {
      throw new VerityError('INVALID_ARGUMENT', 'everySeconds must be a whole number from 1 on.');
    }
    readTrusted(ca);
    const authority: TimeStampAuthority = { url: checkedUrl(url), ca, everySeconds };
    await this.#parts.log.changeSetting(authoritySetting, authority);
    this.#lastMs = 0;
  }

  /** Asks nobody any more. Time stamps that are there stay. */
  async removeAuthority(): Promise<void> {
    this.#parts.checkWritable();
    await this.#parts.log.changeSetting(authoritySetting, undefined);
  }

  /**
   * Signs a checkpoint of what is committed and has it stamped now. Throws WITNESS_UNAVAILABLE, WITNESS_REFUSED and TIMESTAMP_INVALID
   * when there is no good answer, INVALID_ARGUMENT when no authority is named.
   */
  async stamp(options: { readonly timeoutMs?: number } = {}): Promise<TimeStampReport> {
    this.#parts.checkWritable();
    // The checkpoint that this makes is not stamped twice.
    this.#lastMs = this.#parts.now();
    const signed = await this.#parts.log.checkpoint();
    return this.#stamped(signed, options.timeoutMs ?? requestMs);
  }

  /** The time stamps that hold, the oldest first; checked against `ca` in PEM, or what the setting names. */
  list(options: { readonly ca?: string } = {}): TimeStampReport[] {
    const pem = options.ca ?? this.authority?.ca;
    if (pem === undefined) return [];
    const trusted = readTrusted(pem);
    const { file, log } = this.#parts;
    const stamped = new Set(file.sizes());
    if (stamped.size === 0) return [];
    return Array.from(log.all()).flatMap(({ size, note }) => {
      if (!stamped.has(size)) return [];
      return file.of(size).flatMap((token) => {
        const stamp = heldOrNot(() => verifyTimeStamp(token, stampedBytes(note), trusted));
        return stamp === undefined ? [] : [reportOf(size, stamp)];
      });
    });
  }

  /** Has a new checkpoint stamped in the background, if it is time. */
  send(signed: { readonly note: string; readonly size: number }): void {
    const { now, onTrouble } = this.#parts;
    const { authority } = this;
    if (authority === undefined || this.#running || this.#ended.signal.aborted) return;
    if (now() - this.#lastMs < authority.everySeconds * 1000) return;
    this.#running = true;
    this.#lastMs = now();
    this.#stamped(signed, requestMs).then(
      () => {
        this.#running = false;
        this.#failing = false;
      },
      (error: unknown) => {
        this.#running = false;
        if (this.#ended.signal.aborted || !(error instanceof VerityError)) return;
        // Once, until one succeeds again.
        if (!this.#failing) onTrouble(error);
        this.#failing = true;
      },
    );
  }

  stop(): void {
    this.#ended.abort();
  }

  async #stamped(
    { note, size }: { readonly note: string; readonly size: number },
    timeoutMs: number,
  ): Promise<TimeStampReport> {
    const { authority } = this;
    if (authority === undefined) {
      throw new VerityError(
        'INVALID_ARGUMENT',
        'No time-stamp authority is named. Name one with db.timestamps.setAuthority() or `verity timestamp add`.',
      );
    }
    const asked = { url: authority.url, trusted: readTrusted(authority.ca) };
    const times = { timeoutMs, signal: this.#ended.signal };
    const { token, stamp } = await requestTimeStamp(asked, stampedBytes(note), times);
    this.#parts.checkWritable();
    this.#parts.file.add(size, token);
    return reportOf(size, stamp);
  }
}

/** For an audit: checks tokens against `given` in PEM, or against what the log names. Throws INVALID_ARGUMENT for text without certificates. */
export function timeStampCheck(
  given: string | undefined,
): (token: Uint8Array, message: Uint8Array, ca: string | undefined) => boolean {
  if (given !== undefined) readTrusted(given);
  return (token, message, ca) => {
    const pem = given ?? ca;
    try {
      verifyTimeStamp(token, message, pem === undefined ? [] : readTrusted(pem));
      return true;
    } catch (error) {
      // Nothing is wrong with a stamp of somebody whom we were not told to trust.
      if (error instanceof VerityError && error.details['isUntrusted'] === true) return false;
      throw error;
    }
  };
}

/** What is stamped of a checkpoint: its text, which is what its signatures are over. */
function stampedBytes(note: string): Uint8Array {
  return utf8Encode(parseNote(note).text);
}

function reportOf(size: number, { time, authority, serial }: TimeStamp): TimeStampReport {
  return { size: BigInt(size), time, authority, serial };
}

function heldOrNot<T>(check: () => T): T | undefined {
  try {
    return check();
  } catch (error) {
    if (error instanceof VerityError) return undefined;
    throw error;
  }
}
