/** VerityDB and its peers in turns, and what is printed of them. */
import { type Line, lineOf, quantile, ratiosOf, round, slicesInTurns } from '../measure.ts';
import type { Subject } from '../measure.ts';
import type { Skipped } from '../reads.ts';

/** How much is done: 1 is the full run. Smaller ones find out whether everything works. */
export interface Scale {
  /** So much of a full run's `count`, at least 1. */
  of(count: number): number;
  readonly rounds: number;
}

const roundsOfFullRun = 9;
const roundsOfTrial = 3;
const trialBelow = 0.5;

export function scaleBy(factor: number): Scale {
  return {
    of: (count) => Math.max(1, Math.round(count * factor)),
    rounds: factor < trialBelow ? roundsOfTrial : roundsOfFullRun,
  };
}

/** How many times as fast a bench is as another of the same run. */
export interface Beside {
  readonly bench: string;
  /** Median of the ratios of neighbouring slices, and the quarter and three-quarter ratios. */
  readonly ratio: number;
  readonly spread: readonly [number, number];
  readonly aim?: number;
}

export interface ComparedLine extends Line {
  readonly beside?: readonly Beside[];
}

export type Result = ComparedLine | Skipped;

export interface Peer extends Subject {
  /** What the ratio of our speed to this one's should be. */
  readonly aim?: number;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Measures all in turns. The line of `ours` says how many times as fast it is as each of the peers. */
export async function compareInTurns(
  ours: Peer,
  peers: readonly Peer[],
  rounds: number,
): Promise<ComparedLine[]> {
  const all = [ours, ...peers];
  const slices = await slicesInTurns(all, rounds);
  const slicesOf = (index: number) => slices[index] ?? [];
  const lines = all.map((peer, index) => ({
    ...lineOf(peer, slicesOf(index)),
    ...peer.details,
  }));
  const beside = peers.map((peer, index): Beside => {
    const ratios = ratiosOf(slicesOf(0), slicesOf(index + 1));
    return {
      bench: peer.bench,
      ratio: round(quantile(ratios, 0.5)),
      spread: [round(quantile(ratios, 0.25)), round(quantile(ratios, 0.75))],
      ...(peer.aim !== undefined && { aim: peer.aim }),
    };
  });
  const [first, ...rest] = lines;
  return first === undefined ? [] : [{ ...first, beside }, ...rest];
}
