/** Delta debugging: the fewest events of a failing seed that still fail the same way. */
import { runSeed } from './run.ts';
import type { WorldKind } from './world.ts';

export interface FoundRun {
  readonly seed: number;
  readonly checker: string;
  readonly message: string;
  /** Numbers of the events that are left, ascending: with the seed they say everything. */
  readonly keep: readonly number[];
  /** The same in words. */
  readonly events: readonly string[];
  /** Runs that it took. */
  readonly runCount: number;
}

export interface ShrinkOptions {
  /** Starts from these events. Default: all of the seed. */
  readonly keep?: readonly number[];
  /** Default 600. */
  readonly runsMax?: number;
}

/**
 * Leaves out events of a failing run as long as the same checker fires. The result is minimal (each event left
 * is needed) unless `runsMax` ends the search.
 */
export async function shrink<Event>(
  kind: WorldKind<Event>,
  failed: { readonly seed: number; readonly checker: string; readonly message: string },
  options: ShrinkOptions = {},
): Promise<FoundRun> {
  const { seed, checker } = failed;
  const { runsMax = 600 } = options;
  const events = kind.generate(seed);
  let keep = options.keep ?? events.map((_event, index) => index);
  let { message } = failed;
  let runCount = 0;
  const stillFails = async (rest: readonly number[]): Promise<boolean> => {
    runCount += 1;
    const { violation } = await runSeed(kind, seed, { keep: rest });
    if (violation?.checker !== checker) return false;
    keep = rest;
    message = violation.message;
    return true;
  };
  let parts = 2;
  while (keep.length > 0 && runCount < runsMax) {
    const length = Math.ceil(keep.length / parts);
    let isSmaller = false;
    // From the end: what came after the cause goes first, and the numbers before it stay what they were.
    for (let start = keep.length - length; start > -length && runCount < runsMax; start -= length) {
      const from = Math.max(0, start);
      const to = start + length;
      const rest = keep.filter((_event, index) => index < from || index >= to);
      isSmaller = (await stillFails(rest)) || isSmaller;
    }
    if (isSmaller) parts = Math.max(2, parts - 1);
    else if (length === 1) break;
    else parts = Math.min(keep.length, parts * 2);
  }
  const words = keep.map((index) => kind.describe(events[index] as Event));
  return { seed, checker, message, keep, events: words, runCount };
}
