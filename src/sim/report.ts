/** What many runs add up to, and whether they were worth anything. */
import { toHex, utf8Encode } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import type { SimulationResult } from './run.ts';
import { Tally } from './tally.ts';
import type { LeastLoad } from './world.ts';

/** Below this many runs chance decides what is reached: only what every run must reach is asked. */
const runsForAverages = 100;

export interface RunsReport {
  readonly ok: boolean;
  readonly firstSeed: number;
  readonly runs: number;
  /** What the runs lack: with too little load, faults or commits they prove nothing. */
  readonly invalid: readonly string[];
  readonly violations: readonly {
    readonly seed: number;
    readonly checker: string;
    readonly message: string;
  }[];
  readonly events: number;
  readonly load: Readonly<Record<string, number>>;
  /** How often each checker looked. */
  readonly checks: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  /** How often each rare path was taken. */
  readonly rarePaths: Readonly<Record<string, number>>;
  readonly simulatedHours: number;
  /** Of one run: over all that happened in it. Of several: over theirs, in the order of the seeds. */
  readonly traceHash: string;
}

export class RunsSummary {
  readonly #least: LeastLoad;
  readonly #results = new Map<number, SimulationResult>();

  constructor(least: LeastLoad) {
    this.#least = least;
  }

  add(result: SimulationResult): void {
    this.#results.set(result.seed, result);
  }

  get runs(): number {
    return this.#results.size;
  }

  /**
   * The report of all runs so far, the same in whatever order they came. `isPart`: only some events of a seed were
   * kept, so it need not have had any load.
   */
  report({ isPart = false }: { readonly isPart?: boolean } = {}): RunsReport {
    const results = [...this.#results.values()].toSorted((left, right) => left.seed - right.seed);
    const sums = {
      load: new Tally(),
      checks: new Tally(),
      faults: new Tally(),
      marks: new Tally(),
    };
    let events = 0;
    let micros = 0;
    for (const result of results) {
      for (const name of ['load', 'checks', 'faults', 'marks'] as const) {
        sums[name].addAll(result[name]);
      }
      events += result.eventCount;
      micros += result.simulatedMicros;
    }
    const violations = results.flatMap(({ seed, violation }) =>
      violation === undefined
        ? []
        : [{ seed, checker: violation.checker, message: violation.message }],
    );
    const invalid = isPart
      ? []
      : [...this.#lacksOfRuns(results), ...this.#lacksOfAll(results.length, sums)];
    return {
      ok: violations.length === 0 && invalid.length === 0,
      firstSeed: results[0]?.seed ?? 0,
      runs: results.length,
      invalid,
      violations,
      events,
      load: sums.load.record(),
      checks: sums.checks.record(),
      faults: sums.faults.record(),
      rarePaths: sums.marks.record(),
      simulatedHours: micros / 3_600_000_000,
      traceHash: hashOfAll(results.map(({ traceHash }) => traceHash)),
    };
  }

  /** A run that ended with a violation may well have had too little. */
  #lacksOfRuns(results: readonly SimulationResult[]): string[] {
    return results.flatMap(({ seed, load, violation }) =>
      violation !== undefined
        ? []
        : lacks(this.#least.perRun, load).map((lack) => `seed ${seed}: ${lack}`),
    );
  }

  #lacksOfAll(
    runs: number,
    sums: Readonly<Record<'load' | 'checks' | 'faults' | 'marks', Tally>>,
  ): string[] {
    if (runs < runsForAverages) return runs === 0 ? ['no run'] : [];
    const { average, faults, faultKinds, checkers, marks } = this.#least;
    const total = (least: Readonly<Record<string, number>>): Record<string, number> =>
      Object.fromEntries(Object.entries(least).map(([name, count]) => [name, count * runs]));
    const once = (names: readonly string[]): Record<string, number> =>
      Object.fromEntries(names.map((name) => [name, 1]));
    return [
      ...lacks(total(average), sums.load.record()),
      ...lacks({ faults: faults * runs }, { faults: sums.faults.total }),
      ...lacks(once(faultKinds), sums.faults.record()).map((lack) => `fault ${lack}`),
      ...lacks(once(checkers), sums.checks.record()).map((lack) => `checker ${lack}`),
      ...lacks(once(marks), sums.marks.record()).map((lack) => `rare path ${lack}`),
    ];
  }
}

function lacks(
  least: Readonly<Record<string, number>>,
  counts: Readonly<Record<string, number>>,
): string[] {
  return Object.entries(least)
    .filter(([name, count]) => (counts[name] ?? 0) < count)
    .map(([name, count]) => `${name}: ${counts[name] ?? 0}, not ${count}`);
}

function hashOfAll(hashes: readonly string[]): string {
  const [only, ...more] = hashes;
  if (more.length === 0) return only ?? '';
  return toHex(sha256(utf8Encode(hashes.join('\n'))));
}
