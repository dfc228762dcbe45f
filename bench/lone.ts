/**
 * A lone writer against the least that a durable write can cost: one write and one fdatasync of as many bytes as its
 * frame has, in a file that was filled with zeros before the clock started.
 */
import { randomFillSync } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { type Line, quantile, round } from './measure.ts';
import { makeTenants, Place } from './place.ts';
import { insertRow, makeRows, Numbers } from './rows.ts';

const blocks = 1_000;
const warmUpBlocks = 1_500;
const rowsPerBlock = 10;
const zeros = Buffer.alloc(1 << 20);

/**
 * `lone` and `write-and-flush`, in turns of ten. A median of each turn is compared with its neighbour's, so that a
 * flush which waits for somebody else's does not count.
 */
export async function loneWriter(): Promise<Line[]> {
  const place = new Place();
  try {
    const frameBytes = await meanFrameBytes(place);
    const db = await place.open('lone');
    const raw = new RawFile(join(place.folder, 'raw'), frameBytes);
    const micros = { lone: [] as number[], raw: [] as number[] };
    try {
      const [tenant] = await makeTenants(db, 1);
      const numbers = new Numbers(7);
      for (let block = -warmUpBlocks; block < blocks; block++) {
        const rows = makeRows(numbers, rowsPerBlock);
        const lone = await medianMicros(rows, (row) => tenant?.execute(insertRow, row));
        raw.fill(rowsPerBlock);
        const bare = await medianMicros(rows, () => raw.write());
        if (block < 0) continue;
        micros.lone.push(lone);
        micros.raw.push(bare);
      }
    } finally {
      raw.close();
      await db.close();
    }
    return linesOf(micros, frameBytes);
  } finally {
    place.remove();
  }
}

/** The median time of `work`, each awaited before the next. */
async function medianMicros<T>(
  items: readonly T[],
  work: (item: T) => Promise<unknown> | undefined | void,
): Promise<number> {
  const micros: number[] = [];
  for (const item of items) {
    const start = process.hrtime.bigint();
    const done = work(item);
    if (done !== undefined) await done;
    micros.push(Number(process.hrtime.bigint() - start) / 1e3);
  }
  return quantile(micros, 0.5);
}

function linesOf(
  micros: { readonly lone: readonly number[]; readonly raw: readonly number[] },
  frameBytes: number,
): Line[] {
  const line = (bench: string, unit: string, all: readonly number[]): Line => ({
    bench,
    perSecond: Math.round(1e6 / quantile(all, 0.5)),
    unit,
    seconds: round((all.reduce((sum, each) => sum + each, 0) * rowsPerBlock) / 1e6),
    medianMicros: round(quantile(all, 0.5)),
    frameBytes,
  });
  const ratios = micros.raw.map((bare, block) => bare / (micros.lone[block] as number));
  const against = {
    against: 'write-and-flush',
    ratio: round(quantile(ratios, 0.5)),
    spread: [round(quantile(ratios, 0.25)), round(quantile(ratios, 0.75))] as const,
  };
  return [
    { ...line('lone', 'rows', micros.lone), ...against },
    line('write-and-flush', 'writes', micros.raw),
  ];
}

/** How long the frame of one row is: a closed log holds nothing but its frames. */
async function meanFrameBytes(place: Place): Promise<number> {
  const lengthWith = async (rows: number): Promise<number> => {
    const name = `frames-${rows}`;
    const db = await place.open(name);
    const [tenant] = await makeTenants(db, 1);
    for (const row of makeRows(new Numbers(7), rows)) await tenant?.execute(insertRow, row);
    await db.close();
    const log = join(place.folder, name, 'log');
    return readdirSync(log).reduce((sum, file) => sum + statSync(join(log, file)).size, 0);
  };
  return Math.round(((await lengthWith(120)) - (await lengthWith(20))) / 100);
}

class RawFile {
  readonly #descriptor: number;
  readonly #bytes: Buffer;
  #tail = 0;
  #filled = 0;

  constructor(path: string, frameBytes: number) {
    this.#descriptor = openSync(path, 'w');
    this.#bytes = randomFillSync(Buffer.alloc(frameBytes));
  }

  /** Makes room for so many writes, durably. */
  fill(count: number): void {
    if (this.#filled >= this.#tail + count * this.#bytes.length) return;
    this.#filled += writeSync(this.#descriptor, zeros, 0, zeros.length, this.#filled);
    fdatasyncSync(this.#descriptor);
  }

  write(): void {
    this.#tail += writeSync(this.#descriptor, this.#bytes, 0, this.#bytes.length, this.#tail);
    fdatasyncSync(this.#descriptor);
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
