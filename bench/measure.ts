/** Timing. What is compared runs in turns (A B A B …), so that a machine's moods meet both alike. */
import { statfsSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import process from 'node:process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** One measured stretch of work. */
export interface Slice {
  readonly count: number;
  readonly seconds: number;
  /** How late timers fire while the work runs: the 99th percentile and the worst, in milliseconds. */
  readonly timerLateMs?: { readonly p99: number; readonly max: number };
}

/** Something that can be measured again and again. */
export interface Subject {
  readonly bench: string;
  readonly unit: string;
  slice(): Promise<Slice>;
}

/** What is printed, one JSON line each. */
export interface Line {
  readonly bench: string;
  readonly perSecond: number;
  readonly unit: string;
  readonly seconds: number;
  /** Median of the ratios of neighbouring slices, and the quarter and three-quarter ratios. */
  readonly against?: string;
  readonly ratio?: number;
  readonly spread?: readonly [number, number];
  readonly timerLateMs?: { readonly p99: number; readonly max: number };
  readonly [detail: string]: unknown;
}

setFlagsFromString('--expose-gc');
/** Twice: what was made for a slice is then old and out of its way. */
export const collectYoung = runInNewContext('gc') as (options: { readonly type: 'minor' }) => void;

/** Runs `work` on the clock. `work` returns how much it did. */
export async function timed(work: () => Promise<number> | number): Promise<Slice> {
  collectYoung({ type: 'minor' });
  collectYoung({ type: 'minor' });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = process.hrtime.bigint();
  const count = await work();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  delay.disable();
  // Work that never yields leaves no sample.
  if (delay.count === 0) return { count, seconds };
  const lateMs = (nanoseconds: number): number => round(Math.max(0, nanoseconds / 1e6 - 1));
  return {
    count,
    seconds,
    timerLateMs: { p99: lateMs(delay.percentile(99)), max: lateMs(delay.max) },
  };
}

/** The slices of `subjects`, measured in turns after one unmeasured round. */
export async function slicesInTurns(
  subjects: readonly Subject[],
  rounds: number,
): Promise<Slice[][]> {
  for (const subject of subjects) await subject.slice();
  const slices: Slice[][] = subjects.map(() => []);
  for (let round = 0; round < rounds; round++) {
    for (const [index, subject] of subjects.entries()) {
      (slices[index] as Slice[]).push(await subject.slice());
    }
  }
  return slices;
}

/** Measures `subjects` in turns; each but the last is compared with the last. */
export async function measureInTurns(
  subjects: readonly Subject[],
  rounds: number,
): Promise<Line[]> {
  const slices = await slicesInTurns(subjects, rounds);
  const reference = subjects.length > 1 ? subjects.length - 1 : undefined;
  return subjects.map((subject, index) => {
    const line = lineOf(subject, slices[index] as Slice[]);
    if (reference === undefined || index === reference) return line;
    const ratios = ratiosOf(slices[index] as Slice[], slices[reference] as Slice[]);
    return {
      ...line,
      against: (subjects[reference] as Subject).bench,
      ratio: round(quantile(ratios, 0.5)),
      spread: [round(quantile(ratios, 0.25)), round(quantile(ratios, 0.75))] as const,
    };
  });
}

/** `found` when it is all that was expected: a bench that reads wrong rows measures nothing. */
export function checked(found: number, expected: number): number {
  if (found !== expected)
    throw new Error(`${expected - found} of ${expected} rows were not found.`);
  return found;
}

/** What is printed of all slices of a subject: the median of their speeds. */
export function lineOf(subject: Pick<Subject, 'bench' | 'unit'>, slices: readonly Slice[]): Line {
  const late = slices.flatMap((slice) => slice.timerLateMs ?? []);
  const line = {
    bench: subject.bench,
    perSecond: Math.round(quantile(slices.map(speed), 0.5)),
    unit: subject.unit,
    seconds: round(slices.reduce((sum, slice) => sum + slice.seconds, 0)),
  };
  if (late.length === 0) return line;
  const p99 = quantile(
    late.map((each) => each.p99),
    0.5,
  );
  return { ...line, timerLateMs: { p99, max: Math.max(...late.map((each) => each.max)) } };
}

/** Speeds of slices over those of their neighbours. */
export function ratiosOf(slices: readonly Slice[], reference: readonly Slice[]): number[] {
  return slices.map((slice, index) => speed(slice) / speed(reference[index] as Slice));
}

function speed(slice: Slice): number {
  return slice.count / slice.seconds;
}

export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] as number;
  const high = sorted[Math.ceil(at)] as number;
  return low + (high - low) * (at - Math.floor(at));
}

export function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}

const fileSystems: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x5846_5342: 'xfs',
  0x9123_683e: 'btrfs',
  0x0102_1994: 'tmpfs',
  0x794c_7630: 'overlay',
  0x2fc1_2fc1: 'zfs',
};

/** What the numbers were measured on. */
export function machineAt(directory: string): Record<string, unknown> {
  const processors = cpus();
  const kind = statfsSync(directory).type;
  return {
    node: process.version,
    machine: `${processors.length} × ${processors[0]?.model.trim() ?? process.arch}, ${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${type()} ${release()}`,
    fileSystem: fileSystems[kind] ?? kind.toString(16),
  };
}
