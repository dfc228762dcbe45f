import { VerityError } from '../base/index.ts';
import { SimClock } from './clock.ts';
import { SimScheduler, StandStill } from './scheduler.ts';
import { Tally } from './tally.ts';
import { Trace } from './trace.ts';
import { Violation } from './violation.ts';
import type { World, WorldContext, WorldKind } from './world.ts';

/** What one run of one seed went through. */
export interface SimulationResult {
  readonly seed: number;
  /** SHA-256 over all that happened, in hex. */
  readonly traceHash: string;
  readonly eventCount: number;
  readonly simulatedMicros: number;
  readonly load: Readonly<Record<string, number>>;
  readonly checks: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly marks: Readonly<Record<string, number>>;
  readonly violation: FoundViolation | undefined;
}

export interface FoundViolation {
  readonly checker: string;
  readonly message: string;
  readonly stack: string;
}

export interface SeedOptions {
  /** Only the events with these numbers, from 0. Default: all. */
  readonly keep?: readonly number[];
  /** Told of each line of the trace. */
  readonly onTrace?: (line: string) => void;
}

/** Runs one seed in a world of this kind. Never throws: what did not hold is in `violation`. */
export async function runSeed<Event>(
  kind: WorldKind<Event>,
  seed: number,
  options: SeedOptions = {},
): Promise<SimulationResult> {
  const events = kind.generate(seed);
  const kept = options.keep ?? events.map((_event, index) => index);
  const clock = new SimClock();
  const scheduler = new SimScheduler(clock);
  const context: WorldContext = {
    seed,
    clock,
    scheduler,
    trace: new Trace(options.onTrace),
    checks: new Tally(),
    faults: new Tally(),
    marks: new Tally(),
    load: new Tally(),
  };
  let violation: FoundViolation | undefined;
  try {
    const world = kind.start(context);
    const chosen = kept.flatMap((index) => (index < events.length ? [events[index] as Event] : []));
    await scheduler.settle(live(kind, world, { events: chosen, trace: context.trace }), 'inside');
  } catch (error) {
    violation = violationOf(error);
    context.trace.add(`violation of ${violation.checker}`);
  }
  return {
    seed,
    traceHash: context.trace.hash(),
    eventCount: kept.length,
    simulatedMicros: scheduler.elapsedMicros,
    load: context.load.record(),
    checks: context.checks.record(),
    faults: context.faults.record(),
    marks: context.marks.record(),
    violation,
  };
}

async function live<Event>(
  kind: WorldKind<Event>,
  world: World<Event>,
  script: { readonly events: readonly Event[]; readonly trace: Trace },
): Promise<void> {
  for (const event of script.events) {
    script.trace.add(`· ${kind.describe(event)}`);
    await world.perform(event);
  }
  script.trace.add('· finish');
  await world.finish();
}

function violationOf(error: unknown): FoundViolation {
  if (error instanceof Violation) {
    return { checker: error.checker, message: error.message, stack: error.stack ?? '' };
  }
  if (error instanceof StandStill) {
    return { checker: 'answers', message: error.message, stack: error.stack ?? '' };
  }
  const name = error instanceof Error ? error.name : 'Error';
  const code = error instanceof VerityError ? ` [${error.code}]` : '';
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  return { checker: 'unexpected', message: `${name}: ${message}${code}`, stack };
}
