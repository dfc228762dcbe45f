/**
 * Nanoseconds a row takes in the store on pages and in the one in memory, by order of keys.
 *
 *   npx tsx src/store/tree-store.bench.ts [--rows 1000000] [--cache-mib 512]
 *
 * Prints one line of JSON a store and order; times are of the processor, so that other work on the machine
 * counts less. `pauseMillisMax` is the longest halt for collecting garbage.
 */
import { randomBytes } from 'node:crypto';
import { PerformanceObserver } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { LeafIndex, Position, StoreKey, TreeId } from '../base/index.ts';
import { MemoryStore } from './memory-store.ts';
import type { Store } from './store.ts';
import type { Cursor } from './view.ts';
import { MemoryDevice } from './testing/memory-device.ts';
import { TreeStore } from './tree-store.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000000' },
    'cache-mib': { type: 'string', default: '512' },
  },
});
const rows = Number(values.rows);
const cacheBytes = Number(values['cache-mib']) << 20;
const tree = 5 as TreeId;
const row = new Uint8Array(150).fill(7);
const sliceRows = 100_000;

let pauseMillisMax = 0;
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) pauseMillisMax = Math.max(pauseMillisMax, duration);
}).observe({ entryTypes: ['gc'] });

const orders = {
  ascending: (n: number) =>
    `\x01\x80\0\0\0${String.fromCharCode(n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255)}`,
  uuid: () => `\x01${randomBytes(16).toString('latin1')}`,
};
const stores = {
  memory: () => new MemoryStore(),
  tree: () => new TreeStore(new MemoryDevice(), { cacheBytes }),
};

for (const [order, keyAt] of Object.entries(orders)) {
  const keys = Array.from({ length: rows }, (_, n) => keyAt(n) as StoreKey);
  for (const [name, make] of Object.entries(stores)) {
    // The first time, code is still being compiled.
    await measure(make(), keys.slice(0, rows / 10));
    pauseMillisMax = 0;
    const figures = await measure(make(), keys);
    const line = {
      store: name,
      order,
      rows,
      ...figures,
      pauseMillisMax: Math.ceil(pauseMillisMax),
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
}

async function measure(store: Store, keys: readonly StoreKey[]): Promise<Record<string, number>> {
  const put = (n: number): void => {
    const position = (store.appliedPosition + 1) as Position;
    store.apply(position, [{ tree, key: keys[n]!, row, leaf: position as number as LeafIndex }]);
  };
  const count = keys.length;
  let cursor: Cursor | undefined;
  const scattered = (n: number): number => Math.imul(n, 7_919) >>> 0;
  return {
    insert: await nanos(count, put),
    get: await nanos(count, (n) => store.get(tree, keys[n]!)),
    getScattered: await nanos(count, (n) => store.get(tree, keys[scattered(n) % count]!)),
    scan: await nanos(count, () => (cursor ??= store.scan(tree, {})).next()),
    updateScattered: await nanos(count, (n) => put(scattered(n) % count)),
    getAsOf: await nanos(count, (n) => store.getAt(tree, keys[n]!, count as Position)),
  };
}

/** Processor time of one of `count` calls, with turns of the event loop between slices of them. */
async function nanos(count: number, call: (n: number) => unknown): Promise<number> {
  let micros = 0;
  for (let from = 0; from < count; from += sliceRows) {
    const start = process.cpuUsage().user;
    for (let n = from; n < Math.min(from + sliceRows, count); n++) call(n);
    micros += process.cpuUsage().user - start;
    await wait(1);
  }
  return Math.round((micros * 1000) / count);
}
