import { type Options, SingleBar } from 'cli-progress';
import type { Terminal } from './terminal.ts';

/** Something that takes a while and tells how far it is. */
export interface ProgressLine {
  /** `done` of the total; smaller values than before are ignored. */
  update(done: number): void;
  /** The end; shows the final figures. */
  end(): void;
}

export interface ProgressOptions {
  readonly terminal: Terminal;
  /** What is under way, e.g. a file's name. */
  readonly label: string;
  readonly total: number;
  /** What is counted, e.g. 'rows'. */
  readonly unit: string;
  /** Shows nothing, as with --json. */
  readonly quiet: boolean;
}

const lineEveryMilliseconds = 2_000;
const labelWidth = 26;

/** A bar on a terminal, plain lines (at most one in two seconds, and a last one) elsewhere; on standard error. */
export function startProgress(options: ProgressOptions): ProgressLine {
  if (options.quiet) return { update: () => undefined, end: () => undefined };
  return options.terminal.stderr.isTTY === true ? new Bar(options) : new Lines(options);
}

class Lines implements ProgressLine {
  readonly #options: ProgressOptions;
  readonly #started: number;
  #done = 0;
  #shown: number;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#started = options.terminal.now();
    this.#shown = this.#started;
  }

  update(done: number): void {
    this.#done = Math.max(this.#done, done);
    const now = this.#options.terminal.now();
    if (now - this.#shown < lineEveryMilliseconds) return;
    this.#shown = now;
    this.#line(now);
  }

  end(): void {
    this.#line(this.#options.terminal.now());
  }

  #line(now: number): void {
    const { label, total, unit, terminal } = this.#options;
    const rate = ratePerSecond(this.#done, now - this.#started);
    terminal.stderr.write(
      `${label}: ${count(this.#done)} of ${count(total)} ${unit}, ${count(rate)} ${unit}/s\n`,
    );
  }
}

class Bar implements ProgressLine {
  readonly #options: ProgressOptions;
  readonly #bar: SingleBar;
  readonly #started: number;
  #done = 0;

  constructor(options: ProgressOptions) {
    this.#options = options;
    this.#started = options.terminal.now();
    const { label, unit, terminal } = options;
    const name =
      label.length > labelWidth ? `…${label.slice(1 - labelWidth)}` : label.padEnd(labelWidth);
    const settings: Options = {
      format: `${name} {bar} {shown} ${unit}, {rate} ${unit}/s`,
      stream: terminal.stderr,
      barCompleteChar: '█',
      barIncompleteChar: '░',
      barsize: 24,
      fps: 12,
      // Nothing of the terminal to restore, so that Ctrl-C may end the process at once.
      hideCursor: false,
      linewrap: true,
      gracefulExit: false,
    };
    this.#bar = new SingleBar(settings);
    this.#bar.start(Math.max(1, options.total), 0, this.#figures());
  }

  update(done: number): void {
    this.#done = Math.max(this.#done, done);
    this.#bar.update(this.#done, this.#figures());
  }

  end(): void {
    const isEmpty = this.#options.total === 0;
    this.#bar.update(isEmpty ? 1 : this.#done, this.#figures());
    this.#bar.stop();
  }

  #figures(): { shown: string; rate: string } {
    const { total, terminal } = this.#options;
    const rate = ratePerSecond(this.#done, terminal.now() - this.#started);
    return { shown: `${count(Math.floor(this.#done))}/${count(total)}`, rate: count(rate) };
  }
}

/** A rate, or 0 while there is no time to speak of. */
function ratePerSecond(done: number, milliseconds: number): number {
  return milliseconds < 1 ? 0 : Math.round((done * 1_000) / milliseconds);
}

/** A whole number with thousands separators, the same on every machine. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** A number of bytes for people. */
export function byteCount(value: number): string {
  if (value < 10_000) return `${count(value)} bytes`;
  const units = ['kB', 'MB', 'GB', 'TB'];
  let scaled = value / 1_000;
  let unit = 0;
  while (scaled >= 1_000 && unit < units.length - 1) {
    scaled /= 1_000;
    unit++;
  }
  return `${scaled.toFixed(1)} ${units[unit]}`;
}
