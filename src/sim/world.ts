/**
 * The frame of every simulation. A kind of world turns a seed into a list of events, and does them one after the
 * other on simulated machines. The frame runs them, hashes what happens, counts what was checked, and shrinks what
 * fails. docs/simulator.md tells how a world is written.
 */
import type { SimClock } from './clock.ts';
import type { SimScheduler } from './scheduler.ts';
import type { Tally } from './tally.ts';
import type { Trace } from './trace.ts';

/** What a world gets from the frame. */
export interface WorldContext {
  readonly seed: number;
  readonly clock: SimClock;
  /** One event loop for everything in the world. Simulated time is its. */
  readonly scheduler: SimScheduler;
  /** Takes a line for everything that happens: calls, answers, faults. */
  readonly trace: Trace;
  /** How often each checker looked at something. One that looked at nothing proves nothing. */
  readonly checks: Tally;
  /** How often each kind of fault hit. One that was only planned does not count. */
  readonly faults: Tally;
  /** How often each rare path was taken. */
  readonly marks: Tally;
  /** Commands sent, acknowledged and so on: the load. */
  readonly load: Tally;
}

/** One world, while one seed runs. Its methods throw Violation when something does not hold. */
export interface World<Event> {
  /** Does one event. What it cannot do in the world's present state (a crash of what is down) it leaves out. */
  perform(event: Event): Promise<void>;
  /** Ends all faults; then the world must recover, work, and be as everybody was told. */
  finish(): Promise<void>;
}

/**
 * A process that acts in a world beside others: an owner of the database, a reader of its log; later a replica. It
 * comes and goes with the machine that it runs on.
 */
export interface Actor<Event> {
  /** Does one event of its kind. What it cannot do in its present state it leaves out. */
  perform(event: Event): Promise<void>;
  /** Ends its process, at once and without a word. */
  kill(): void;
}

/** What goes wrong, as an event: it arms the fault, which strikes at its place in the calls that follow. */
export interface FaultEvent<Fault> {
  readonly kind: 'fault';
  readonly fault: Fault;
}

export interface WorldKind<Event> {
  readonly name: string;
  /** The events of a seed; the same for the same seed, whatever happens when they are done. */
  generate(seed: number): readonly Event[];
  start(context: WorldContext): World<Event>;
  /** An event in a few words. */
  describe(event: Event): string;
  /** Done once in a process before the first world starts: loads what loads late. */
  prepare(): Promise<void>;
  /** What every run must reach at least; several runs that many times as much, less the chance in it. */
  readonly least: LeastLoad;
}

/** The least that makes a run worth anything, by name. */
export interface LeastLoad {
  /** In every single run. */
  readonly perRun: Readonly<Record<string, number>>;
  /** On the average of many runs: counts of the load. */
  readonly average: Readonly<Record<string, number>>;
  /** Faults that hit, of all kinds, on the average. */
  readonly faults: number;
  /** Kinds of faults, checkers and rare paths that many runs must all have reached. */
  readonly faultKinds: readonly string[];
  readonly checkers: readonly string[];
  readonly marks: readonly string[];
}
