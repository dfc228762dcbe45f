/** How long the event loop stands still while rows are loaded: by 64 writers row by row, and in statements of 500. */
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { round } from '../measure.ts';
import { Place } from '../place.ts';
import { insertRow, insertRows, makeRow, Numbers } from '../rows.ts';
import type { TenantHandle } from '../veritydb.ts';
import { checkOurs, createIndex, Expected, ourTable } from './ours.ts';
import type { Result, Scale } from './turns.ts';

const writers = 64;
const rowsAtLeast = 1_000_000;
const secondsAtLeast = 30;
const rowsPerStatement = 500;
/** Loads the parser and compiles the code before anything is measured. */
const rowsOfWarmUp = 20_000;
const idleMs = 2_000;
const aimMs = { p999: 10, max: 50 };

/** `stall`. Percentiles are of the time between timers of 1 ms, in milliseconds, that millisecond included. */
export async function stall(scale: Scale): Promise<Result[]> {
  const place = new Place();
  const db = await place.open('stall');
  try {
    const tenant = await ourTable(db, { indexed: true });
    const load = new Load(tenant);
    await load.run(() => load.expected.rows < scale.of(rowsOfWarmUp));
    const idle = await delaysDuring(() => pause(idleMs));
    const before = load.expected.rows;
    const rows = scale.of(rowsAtLeast);
    const nanoseconds = scale.of(secondsAtLeast) * 1e9;
    const collections = new Collections();
    const start = process.hrtime.bigint();
    const elapsed = () => Number(process.hrtime.bigint() - start);
    const delays = await delaysDuring(() =>
      load.run(() => load.expected.rows < before + rows || elapsed() < nanoseconds),
    );
    const seconds = elapsed() / 1e9;
    const longestCollectionMs = await collections.longest();
    await checkOurs(tenant, load.expected);
    const loaded = load.expected.rows - before;
    const { p50, p99, p999, max } = delays;
    return [
      {
        bench: 'stall',
        perSecond: Math.round(loaded / seconds),
        unit: 'rows',
        seconds: round(seconds),
        rows: loaded,
        index: createIndex,
        delayMs: delays,
        idleDelayMs: idle,
        longestCollectionMs,
        aimMs,
        summary: `p50 ${p50}, p99 ${p99}, p99.9 ${p999}, max ${max} ms over ${round(seconds)} s and ${loaded.toLocaleString('en-US')} rows; asked: p99.9 under ${aimMs.p999}, max under ${aimMs.max}`,
      },
    ];
  } finally {
    await db.close();
    place.remove();
  }
}

async function delaysDuring(work: () => Promise<unknown>) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  await work();
  delay.disable();
  const milliseconds = (share: number) => round(delay.percentile(share) / 1e6);
  return {
    p50: milliseconds(50),
    p99: milliseconds(99),
    p999: milliseconds(99.9),
    max: round(delay.max / 1e6),
  };
}

/** The longest pause of the garbage collector, which the event loop waits for too. */
class Collections {
  #longestMs = 0;
  readonly #observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries())
      this.#longestMs = Math.max(this.#longestMs, duration);
  });

  constructor() {
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  async longest(): Promise<number> {
    // Entries come on a later turn.
    await pause(1);
    this.#observer.disconnect();
    return round(this.#longestMs);
  }
}

class Load {
  readonly expected = new Expected();
  readonly #tenant: TenantHandle;
  readonly #numbers = new Numbers(8);
  readonly #sql = insertRows(rowsPerStatement);

  constructor(tenant: TenantHandle) {
    this.#tenant = tenant;
  }

  /** 64 writers, and one that imports, for as long as `goesOn`. */
  async run(goesOn: () => boolean): Promise<void> {
    const all = Array.from({ length: writers }, () => this.#write(goesOn));
    await Promise.all([...all, this.#import(goesOn)]);
  }

  async #write(goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      const row = makeRow(this.#numbers);
      this.expected.add([row]);
      await this.#tenant.execute(insertRow, row);
    }
  }

  async #import(goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      const rows = Array.from({ length: rowsPerStatement }, () => makeRow(this.#numbers));
      this.expected.add(rows);
      await this.#tenant.execute(this.#sql, rows.flat());
    }
  }
}
