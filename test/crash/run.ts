/** One crash run: processes come and go on one machine, the machine stops, and nothing told is lost. */
import { Prng } from '../../src/base/index.ts';
import type { Verity } from '../../src/database/index.ts';
import { SimDisk, type SimFaults } from '../../src/sim/index.ts';
import { checkRecovered, type Checked, nothingChecked, Violation } from './checker.ts';
import { Client, codeOf } from './client.ts';
import { sameFiles } from './image.ts';
import { type Process, type ProcessOptions, startProcess } from './machine.ts';
import { Workload } from './workload.ts';

/** What a run went through; added up, it shows whether the runs had any load. */
export interface RunCounts extends Checked {
  crashesHit: number;
  killsHit: number;
  crashesWhileOpening: number;
  faultsHit: number;
  tornTails: number;
  uncleanOpens: number;
  abandonedSegments: number;
  rolls: number;
  cleanReopens: number;
  checks: number;
  verified: number;
}

export function noCounts(): RunCounts {
  return {
    ...nothingChecked(),
    crashesHit: 0,
    killsHit: 0,
    crashesWhileOpening: 0,
    faultsHit: 0,
    tornTails: 0,
    uncleanOpens: 0,
    abandonedSegments: 0,
    rolls: 0,
    cleanReopens: 0,
    checks: 0,
    verified: 0,
  };
}

interface Plan extends ProcessOptions {
  readonly faults: SimFaults;
  readonly steps: number;
  /** How the process ends if nothing has ended it by then. */
  readonly end: 'crash' | 'kill' | 'close';
  /** Whether to verify after opening, too. */
  readonly verify: boolean;
}

function planPhase(prng: Prng, disk: SimDisk): Plan {
  const soon = prng.chance(0.3);
  const call = 1 + prng.below(soon ? 45 : 420);
  const ends = ['crash', 'kill', 'close'] as const;
  const base = {
    steps: soon ? 4 : 5 + prng.below(20),
    end: ends[prng.below(3)] ?? 'crash',
    verify: prng.chance(0.2),
  };
  const at = disk.callCount + call;
  switch (prng.below(9)) {
    case 0:
    case 1:
      return { ...base, faults: { crashAtCall: at } };
    case 2:
    case 8:
      return { ...base, faults: {}, crashAtFlush: 1 + prng.below(soon ? 4 : 25) };
    case 3:
      return { ...base, faults: {}, killAtCall: call };
    case 4: {
      const flush = disk.calls.flush + 1 + prng.below(25);
      return { ...base, faults: { fail: [{ call: flush, kind: 'flush', code: 'IO_ERROR' }] } };
    }
    case 5: {
      const code = prng.chance(0.5) ? 'IO_ERROR' : 'DISK_FULL';
      return { ...base, faults: { fail: [{ call: at, code, forGood: prng.chance(0.3) }] } };
    }
    case 6:
      return { ...base, faults: { capacityBytes: 2_000 + prng.below(30_000) } };
    default:
      return { ...base, faults: {} };
  }
}

export interface RunOptions {
  readonly flushesLie?: boolean;
}

export interface Ran {
  readonly counts: RunCounts;
  /** Of the last frame: the same seed gives the same. */
  readonly chainHash: string;
}

/** Runs `seed` and returns what happened. Throws Violation if anything that was told is not so. */
export async function crashRun(seed: number, options: RunOptions = {}): Promise<Ran> {
  const run = new Run(seed, options);
  await run.run();
  return { counts: run.counts, chainHash: run.chainHash };
}

const imagesMax = 4;

/**
 * Stops the machine. Of a few images that this may leave it takes one that is neither all that was
 * flushed nor all that was written, if there is one: those are the likeliest, and teach the least.
 */
function powerFailure(disk: SimDisk): SimDisk {
  const plain = [disk.durableImage(), disk.image()];
  let after = disk.crash();
  for (let tries = 1; tries < imagesMax; tries++) {
    const image = after.image();
    if (!plain.some((other) => sameFiles(image, other))) break;
    after = disk.crash();
  }
  return after;
}

class Run {
  readonly counts = noCounts();
  chainHash = '';
  readonly #prng: Prng;
  readonly #client = new Client();
  readonly #workload: Workload;
  readonly #options: RunOptions;
  #disk: SimDisk;

  constructor(seed: number, options: RunOptions) {
    this.#prng = new Prng(seed);
    this.#workload = new Workload(this.#prng);
    this.#disk = new SimDisk({ seed });
    this.#options = options;
  }

  async run(): Promise<void> {
    const phases = 2 + this.#prng.below(3);
    for (let phase = 0; phase < phases; phase++)
      await this.#phase(planPhase(this.#prng, this.#disk));
    // The last words: no more faults, everything is looked at, and once more after a clean close.
    await this.#phase({ faults: {}, steps: 3, end: 'close', verify: true });
    await this.#phase({ faults: {}, steps: 0, end: 'close', verify: true });
  }

  async #phase(plan: Plan): Promise<void> {
    const lies = this.#options.flushesLie === true ? { flushesLie: true } : {};
    const process = startProcess(this.#disk, {
      ...plan,
      ...lies,
      seed: this.#prng.nextUint32(),
    });
    const { disk, scheduler } = process;
    await scheduler.settle(this.#session(plan, process));
    this.#disk.setFaults({});
    if (disk.isKilled) this.counts.killsHit += 1;
    if (this.#disk.isDead) this.counts.crashesHit += 1;
    if (disk.failures.length > 0) this.counts.faultsHit += 1;
    // What a failed flush of a directory should have covered stays in doubt until the machine restarts.
    const inDoubt = disk.failures.some(({ method }) => method === 'flushDirectory');
    disk.kill();
    if (this.#disk.isDead || inDoubt || plan.end === 'crash') {
      this.#disk = powerFailure(this.#disk);
    }
  }

  async #session(plan: Plan, process: Process): Promise<void> {
    const { disk, scheduler } = process;
    const segmentsBefore = this.#segmentCount();
    const db = await this.#open(process);
    if (db === undefined) return;
    this.#client.connect({ db, disk, scheduler });
    const failuresBefore = disk.failures.length;
    try {
      const { recovery, segments, chainHash } = db.status();
      this.chainHash = chainHash;
      this.counts.tornTails += recovery.cut.length;
      if (recovery.cleanShutdown) this.counts.cleanReopens += 1;
      else this.counts.uncleanOpens += 1;
      if (segments < segmentsBefore) this.counts.abandonedSegments += 1;
      if (plan.verify) {
        const report = await db.verify();
        if (!report.ok) throw new Violation(`verify: ${report.findings[0]?.message ?? 'not ok'}`);
        this.counts.verified += 1;
      }
      await checkRecovered(db, this.#client, this.counts);
      this.counts.checks += 1;
      await this.#workload.run(this.#client, plan.steps);
      if (!disk.isGone) this.counts.rolls += db.status().segments - segments;
    } catch (error) {
      // A fault, or the end, may strike while we look.
      if (error instanceof Violation && !disk.isGone) throw error;
      if (!disk.isGone && disk.failures.length === failuresBefore) throw error;
    }
    if (plan.end !== 'close' || disk.isGone) return;
    await this.#close();
  }

  /** Undefined if a crash or a fault prevented it. */
  async #open({ disk, open }: Process): Promise<Verity | undefined> {
    try {
      return await open();
    } catch (error) {
      if (disk.isGone) {
        this.counts.crashesWhileOpening += 1;
        return undefined;
      }
      const code = codeOf(error);
      if (disk.failures.some((failure) => failure.code === code)) return undefined;
      throw new Violation(`the database does not open: ${String(error)}`);
    }
  }

  async #close(): Promise<void> {
    const { db, disk } = this.#client.session;
    try {
      await db.close();
    } catch (error) {
      if (disk.isGone) return;
      if (!disk.failures.some(({ code }) => code === codeOf(error))) throw error;
    }
    await this.#client.settled();
  }

  #segmentCount(): number {
    return [...this.#disk.image().keys()].filter((path) => path.endsWith('.vlog')).length;
  }
}
