/**
 * What sealing costs: the same mixed load on a sealed and on a plain database, in one process, in slices of one
 * second taken in turns (A B, B A, …), and the memory of either in processes of their own.
 */
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import type { OpenOptions, TenantHandle, Verity } from 'veritydb';
import { collectYoung, type Line, quantile, round } from './measure.ts';
import { makeTenants, Place } from './place.ts';
import { insertRow, makeRow, Numbers, selectRow } from './rows.ts';

const pairs = 31;
const sliceSeconds = 1;
const writers = 64;
const scanRow =
  'SELECT id, patient, cost FROM visits WHERE id >= $1 AND duration < 15000 ORDER BY id LIMIT 20';
const updateRow = 'UPDATE visits SET duration = $2, cost = $3 WHERE id = $1';
const memoryRuns = 3;
const memoryOperations = 150_000;
const memoryArgument = '--memory-of=';

/** 'sealed' is the default suite; the others are measured against plain mode in the same way. */
export type SuiteName = 'sealed' | 'chacha20-poly1305' | 'brotli' | 'plain';
const suites: Readonly<Record<SuiteName, OpenOptions>> = {
  sealed: {},
  'chacha20-poly1305': { algorithm: 'chacha20-poly1305' },
  brotli: { compression: 'brotli' },
  plain: { encryption: 'none', onWarning: () => undefined },
};

/** `encryption-overhead`: medians and upper bounds over pairs of slices; targets are 5 %, 8 % and 50 MB. */
export async function encryptionOverhead(suite: SuiteName = 'sealed'): Promise<Line[]> {
  const place = new Place();
  const sealed = await Load.start(await place.open('sealed', suites[suite]));
  const plain = await Load.start(await place.open('plain', suites.plain));
  const time: number[] = [];
  const cpu: number[] = [];
  const seen = { sealed: new Totals(), plain: new Totals() };
  try {
    // The first slices compile the code and are not measured.
    for (const load of [sealed, plain, plain, sealed]) await load.slice();
    for (let pair = 0; pair < pairs; pair++) {
      const first = pair % 2 === 0 ? sealed : plain;
      const earlier = await first.slice();
      const later = await (first === sealed ? plain : sealed).slice();
      const [ours, theirs] = first === sealed ? [earlier, later] : [later, earlier];
      time.push(ours.secondsPerOperation / theirs.secondsPerOperation - 1);
      cpu.push(ours.cpuSecondsPerOperation / theirs.cpuSecondsPerOperation - 1);
      seen.sealed.add(ours);
      seen.plain.add(theirs);
    }
  } finally {
    await sealed.db.close();
    await plain.db.close();
    place.remove();
  }
  const name = suite === 'sealed' ? 'encryption-overhead' : `encryption-overhead-${suite}`;
  return [
    {
      bench: name,
      perSecond: seen.sealed.perSecond,
      plainPerSecond: seen.plain.perSecond,
      unit: 'operations',
      seconds: round(seen.sealed.seconds + seen.plain.seconds),
      pairs,
      ...percentages('overhead', time),
      ...percentages('cpuOverhead', cpu),
      cpuMicrosPerRecord: seen.sealed.cpuMicrosPerRecord,
      plainCpuMicrosPerRecord: seen.plain.cpuMicrosPerRecord,
      memoryMegabytes: memoryOver(suite),
    },
  ];
}

/** Median of the overheads and the upper end of its 95 % confidence interval (by order statistics), in percent. */
function percentages(name: string, overheads: readonly number[]): Record<string, number> {
  const sorted = overheads.toSorted((left, right) => left - right);
  const upper = Math.ceil((sorted.length + 1) / 2 + 0.98 * Math.sqrt(sorted.length));
  return {
    [`${name}Percent`]: round(100 * quantile(sorted, 0.5)),
    [`${name}PercentUpper95`]: round(100 * (sorted[upper - 1] as number)),
  };
}

interface Measured {
  readonly operations: number;
  readonly records: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly secondsPerOperation: number;
  readonly cpuSecondsPerOperation: number;
}

class Totals {
  #operations = 0;
  #records = 0;
  #cpuSeconds = 0;
  seconds = 0;

  add(slice: Measured): void {
    this.#operations += slice.operations;
    this.#records += slice.records;
    this.seconds += slice.seconds;
    this.#cpuSeconds += slice.cpuSeconds;
  }
  get perSecond(): number {
    return Math.round(this.#operations / this.seconds);
  }
  get cpuMicrosPerRecord(): number {
    return round((1e6 * this.#cpuSeconds) / this.#records);
  }
}

/**
 * 64 writers on one tenant. Of a hundred operations 50 insert a row, 20 update one, 28 read one by its key and 2
 * read 20 rows in key order. All choices come from a seed, so that both databases get the same load.
 */
class Load {
  readonly db: Verity;
  readonly #tenant: TenantHandle;
  readonly #numbers = new Numbers(20_261_122);
  readonly #keys: string[] = [];
  #records = 0;

  private constructor(db: Verity, tenant: TenantHandle) {
    this.db = db;
    this.#tenant = tenant;
  }

  static async start(db: Verity): Promise<Load> {
    const [tenant] = await makeTenants(db, 1);
    return new Load(db, tenant as TenantHandle);
  }

  /** One second of load. */
  async slice(): Promise<Measured> {
    const until = sliceSeconds * 1e9;
    collectYoung({ type: 'minor' });
    const start = process.hrtime.bigint();
    return this.#measure(() => Number(process.hrtime.bigint() - start) < until);
  }

  /** A given number of operations. */
  async run(operations: number): Promise<Measured> {
    let left = operations;
    return this.#measure(() => left-- > 0);
  }

  async #measure(goesOn: () => boolean): Promise<Measured> {
    this.#records = 0;
    let operations = 0;
    const cpuBefore = process.cpuUsage();
    const start = process.hrtime.bigint();
    const write = async (): Promise<void> => {
      while (goesOn()) {
        operations += 1;
        await this.#operation();
      }
    };
    await Promise.all(Array.from({ length: writers }, write));
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const used = process.cpuUsage(cpuBefore);
    const cpuSeconds = (used.user + used.system) / 1e6;
    return {
      operations,
      records: this.#records,
      seconds,
      cpuSeconds,
      secondsPerOperation: seconds / operations,
      cpuSecondsPerOperation: cpuSeconds / operations,
    };
  }

  async #operation(): Promise<unknown> {
    const numbers = this.#numbers;
    const choice = numbers.below(100);
    if (choice < 50 || this.#keys.length === 0) {
      const row = makeRow(numbers);
      this.#records += 1;
      await this.#tenant.execute(insertRow, row);
      return this.#keys.push(row[0]);
    }
    const key = this.#keys[numbers.below(this.#keys.length)] as string;
    if (choice < 70) {
      this.#records += 1;
      const cost = `${numbers.below(100_000)}.50`;
      return this.#tenant.execute(updateRow, [key, numbers.below(20_000), cost]);
    }
    return this.#tenant.query(choice < 98 ? selectRow : scanRow, [key]);
  }
}

/** Megabytes of memory (the process's peak) that a sealed database takes over a plain one: medians of three runs each. */
function memoryOver(suite: SuiteName): number {
  const peaks = (name: SuiteName): number =>
    quantile(
      Array.from({ length: memoryRuns }, () => peakOf(name)),
      0.5,
    );
  return round(peaks(suite) - peaks('plain'));
}

function peakOf(suite: SuiteName): number {
  const child = [...process.execArgv, fileURLToPath(import.meta.url), `${memoryArgument}${suite}`];
  const { stdout } = spawnSync(process.execPath, child, { encoding: 'utf8', stdio: 'pipe' });
  return Number(stdout);
}

async function printPeak(suite: SuiteName): Promise<void> {
  const place = new Place();
  const load = await Load.start(await place.open('memory', suites[suite]));
  await load.run(memoryOperations);
  await load.db.close();
  place.remove();
  process.stdout.write(String(process.resourceUsage().maxRSS / 1024));
}

const asked = process.argv.find((argument) => argument.startsWith(memoryArgument));
if (asked !== undefined) await printPeak(asked.slice(memoryArgument.length) as SuiteName);
