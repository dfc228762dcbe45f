import type { FoundRun, RunsReport, SimulationResult } from '../../sim/index.ts';
import type { ExitCode } from '../failure.ts';
import { usageError } from '../failure.ts';
import { jsonDocument } from '../output/json.ts';
import { count, startProgress } from '../progress.ts';
import { runInProcesses } from '../sim/processes.ts';
import type { Output, Terminal } from '../terminal.ts';

/** Violations that are shrunk; the others are listed with their seeds. */
const shrunkMax = 3;

export interface SimRequest {
  /** The first seed. */
  readonly seed: number;
  readonly runs: number;
  /** Processes that share the runs. */
  readonly jobs: number;
  /** Only these events of the one seed. */
  readonly keep?: readonly number[];
  /** Print everything that happens in the one run. */
  readonly trace?: boolean;
  readonly json?: boolean;
}

export interface SimInvocation {
  readonly terminal: Terminal;
  readonly output: Output;
}

/** One violation, made small. */
interface Failure {
  readonly seed: number;
  readonly checker: string;
  readonly message: string;
  /** What is left of the seed's events, in words. */
  readonly events: readonly string[];
  /** Runs exactly these events again. */
  readonly command: string;
}

/**
 * `verity sim`: runs the database under seeded faults; an interruption ends it with a report of what was run. Exit code 1 if anything that must hold did not, or if the
 * runs had too little load, faults or commits to prove anything.
 */
export async function runSim(invocation: SimInvocation, request: SimRequest): Promise<ExitCode> {
  const { terminal, output } = invocation;
  checkRequest(request);
  const started = terminal.now();
  const { report, failures } = await simulate(invocation, request);
  const seconds = (terminal.now() - started) / 1_000;
  const figures = { seconds, seedsPerSecond: report.runs / Math.max(seconds, 0.001) };
  const interrupted = report.runs < request.runs;
  const document = { ...report, ...figures, interrupted, failures };
  await output.write(request.json === true ? jsonDocument(document) : textOf(document));
  return report.ok ? 0 : 1;
}

function checkRequest({ runs, keep, trace, json }: SimRequest): void {
  if (runs > 1 && (keep !== undefined || trace === true)) {
    throw usageError('--keep and --trace are for one seed: leave --runs out.');
  }
  if (trace === true && json === true) throw usageError('Give --trace or --json, not both.');
}

async function simulate(
  { terminal, output }: SimInvocation,
  request: SimRequest,
): Promise<{ report: RunsReport; failures: Failure[] }> {
  // Loaded here: no other verb needs it.
  const { embeddedDatabase } = await import('../sim/world.ts');
  const { RunsSummary, shrink, runSeed } = await import('../../sim/index.ts');
  const kind = embeddedDatabase();
  await kind.prepare();
  const { seed, runs, jobs, keep, trace } = request;
  const summary = new RunsSummary(kind.least);
  if (runs === 1) {
    const lines: string[] = [];
    const result = await runSeed(kind, seed, {
      ...(keep !== undefined && { keep }),
      ...(trace === true && { onTrace: (line: string) => void lines.push(line) }),
    });
    if (trace === true) await output.write(`${lines.join('\n')}\n`);
    summary.add(result);
  } else {
    const quiet = request.json === true;
    const progress = startProgress({ terminal, label: 'seeds', total: runs, unit: 'seeds', quiet });
    const add = (result: SimulationResult): void => {
      summary.add(result);
      const { violation } = result;
      // At once: a long run may be ended before its report.
      if (violation !== undefined && !quiet) {
        terminal.stderr.write(`seed ${result.seed}: VIOLATION of ${violation.checker}\n`);
      }
      progress.update(summary.runs);
    };
    const interruption = new AbortController();
    const { signal: stop } = interruption;
    const forget = terminal.onInterrupt(() => interruption.abort());
    if (jobs > 1) await runInProcesses({ seed, runs, jobs, stop }, add);
    else
      for (let next = seed; next < seed + runs && !stop.aborted; next++) {
        add(await runSeed(kind, next));
        // A signal is heard between two turns of the event loop.
        await new Promise((resolve) => setImmediate(resolve));
      }
    forget();
    progress.end();
  }
  const report = summary.report({ isPart: keep !== undefined });
  const failures: Failure[] = [];
  for (const found of report.violations.slice(0, shrunkMax)) {
    failures.push(failureOf(await shrink(kind, found, keep === undefined ? {} : { keep })));
  }
  return { report, failures };
}

function failureOf({ seed, checker, message, keep, events }: FoundRun): Failure {
  const command = `verity sim --seed ${seed} --keep ${keep.join(',')}`;
  return { seed, checker, message, events, command };
}

type Document = RunsReport & {
  readonly seconds: number;
  readonly seedsPerSecond: number;
  /** Not all seeds that were asked for were run. */
  readonly interrupted: boolean;
  readonly failures: readonly Failure[];
};

function textOf(document: Document): string {
  const { ok, runs, firstSeed, seedsPerSecond, simulatedHours, events } = document;
  const many = document.interrupted
    ? `interrupted after ${count(runs)} seeds, the first of them ${firstSeed}`
    : `seeds ${firstSeed} to ${firstSeed + runs - 1}`;
  const seeds = runs === 1 ? `seed ${firstSeed}` : many;
  return [
    `${seeds}: ${count(events)} events, ${simulatedHours.toFixed(1)} simulated hours, ` +
      `${seedsPerSecond.toFixed(1)} seeds/s`,
    tally('load', document.load),
    tally('faults that hit', document.faults),
    tally('checks', document.checks),
    tally('rare paths', document.rarePaths),
    `trace ${document.traceHash}`,
    ...document.failures.map(failureText),
    ...document.violations
      .slice(document.failures.length)
      .map(
        ({ seed, checker, message }) =>
          `seed ${seed} [${checker}]: ${message.slice(0, 200)}\n  again: verity sim --seed ${seed}`,
      ),
    ...document.invalid.map((lack) => `invalid: ${lack}`),
    ok
      ? 'no violation.'
      : `NOT OK: ${document.violations.length} violations, ${document.invalid.length} lacks.`,
    '',
  ].join('\n');
}

function tally(name: string, counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([what, times]) => `${what} ${count(times)}`);
  return `${name}: ${parts.length === 0 ? 'none' : parts.join(', ')}`;
}

function failureText({ seed, checker, message, events, command }: Failure): string {
  const list = events.map((event) => `    ${event}`).join('\n');
  return `VIOLATION of ${checker}, seed ${seed}: ${message}\n  ${events.length} events:\n${list}\n  again: ${command}`;
}
