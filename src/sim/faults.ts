import { assert, VerityError } from '../base/index.ts';

/** The methods of Disk and DiskFile. */
export const callKinds = [
  'list',
  'exists',
  'makeDirectory',
  'open',
  'rename',
  'remove',
  'flushDirectory',
  'sizeBytes',
  'read',
  'write',
  'flush',
  'flushInBackground',
  'truncate',
  'close',
] as const;
export type CallKind = (typeof callKinds)[number];
export type CallCounts = Readonly<Record<CallKind, number>>;

/** A call that fails. */
interface Fault {
  /** Which call, from 1: of all calls, or of those of `kind`. */
  readonly call: number;
  readonly kind?: CallKind;
  /** DISK_FULL only strikes calls that may take space, and is IO_ERROR from a flush; another call passes. */
  readonly code: 'IO_ERROR' | 'DISK_FULL';
  /** Also every later call that this fault counts. Default false: only the one. */
  readonly forGood?: boolean;
}

/** A write that the disk acknowledges and makes nowhere, or elsewhere. */
interface FalseWrite {
  /** Which write, from 1, of all writes. */
  readonly write: number;
  /** Chooses the place where the bytes go instead; absent: nowhere. */
  readonly strayTo?: number;
}

export interface SimFaults {
  /** The call, from 1, in the middle of which the machine stops. */
  readonly crashAtCall?: number;
  readonly fail?: readonly Fault[];
  /** The most bytes that all files together may have. */
  readonly capacityBytes?: number;
  readonly falseWrites?: readonly FalseWrite[];
  /** Which write, from 1, of those that make their file grow, is refused with DISK_FULL before it starts. */
  readonly refuseGrowth?: number;
  /** The longest that a background flush takes, in simulated microseconds. Default 2,100. */
  readonly flushMicrosMax?: number;
}

/** The simulated machine has stopped. No code under test may catch it and go on as if it were an error of the disk. */
export class SimulatedCrash extends Error {
  override readonly name = 'SimulatedCrash';

  constructor() {
    super('The simulated machine has stopped; nothing on it runs any more.');
  }
}

const defaultFlushMicrosMax = 2_100;

/** An `open` takes space only if it creates. */
const spaceTaking: ReadonlySet<CallKind> = new Set<CallKind>([
  'makeDirectory',
  'rename',
  'flushDirectory',
  'write',
  'flush',
  'flushInBackground',
  'truncate',
]);

/** For lack of room they fail as for any other reason: what they leave is in doubt. */
const flushes: ReadonlySet<CallKind> = new Set<CallKind>([
  'flushDirectory',
  'flush',
  'flushInBackground',
]);

/** What is to happen to a call. */
export type Verdict = 'pass' | 'crash' | VerityError;

/** Counts the calls of a disk and says which of them fail. */
export class FaultPlan {
  #faults: SimFaults = {};
  readonly #calls = Object.fromEntries(callKinds.map((kind) => [kind, 0])) as Record<
    CallKind,
    number
  >;
  #callCount = 0;
  #growthCount = 0;

  constructor(faults: SimFaults) {
    this.replace(faults);
  }

  /** Takes other faults from the next call on; the counts stay. */
  replace(faults: SimFaults): void {
    for (const { call } of faults.fail ?? []) assert(call >= 1, 'calls are counted from 1');
    this.#faults = faults;
  }

  /** Stops the machine at call `call`; the other faults stay. */
  crashAt(call: number): void {
    this.#faults = { ...this.#faults, crashAtCall: call };
  }

  get flushMicrosMax(): number {
    return this.#faults.flushMicrosMax ?? defaultFlushMicrosMax;
  }

  /** What is wrong with the write that was counted last; undefined if nothing. */
  get falseWrite(): FalseWrite | undefined {
    return this.#faults.falseWrites?.find(({ write }) => write === this.#calls.write);
  }

  /** Counts a write that makes its file grow; true if it is to be refused. */
  refusesGrowth(): boolean {
    this.#growthCount += 1;
    return this.#growthCount === this.#faults.refuseGrowth;
  }

  get growthCount(): number {
    return this.#growthCount;
  }

  get capacityBytes(): number {
    return this.#faults.capacityBytes ?? Number.POSITIVE_INFINITY;
  }

  get calls(): CallCounts {
    return this.#calls;
  }

  get callCount(): number {
    return this.#callCount;
  }

  /** Counts a call and returns what is to happen to it. */
  next(kind: CallKind, path: string, takesSpace = spaceTaking.has(kind)): Verdict {
    const count = ++this.#callCount;
    const countOfKind = ++this.#calls[kind];
    if (count === this.#faults.crashAtCall) return 'crash';
    for (const fault of this.#faults.fail ?? []) {
      if (fault.kind !== undefined && fault.kind !== kind) continue;
      if (fault.code === 'DISK_FULL' && !takesSpace) continue;
      const reached = fault.kind === undefined ? count : countOfKind;
      if (reached === fault.call || (fault.forGood === true && reached > fault.call)) {
        return simulatedFailure(flushes.has(kind) ? 'IO_ERROR' : fault.code, kind, path);
      }
    }
    return 'pass';
  }
}

export function simulatedFailure(
  code: 'IO_ERROR' | 'DISK_FULL' | 'READ_ONLY',
  what: string,
  path: string,
): VerityError {
  return new VerityError(code, `Simulated disk: ${what} of ${JSON.stringify(path)} failed.`, {
    details: { path },
  });
}
