/**
 * Many versions in a store on a disk, with a small memory, through checkpoints and restarts from them: each version must
 * be there, at its position.
 *
 *   npx tsx test/store/versions.long.ts [--versions 10000000] [--keys 20000] [--cache-mib 64]
 *
 * Prints one line of JSON. Exits with 1 at the first version that is another or missing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import {
  assert,
  type LeafIndex,
  type LogId,
  type Position,
  Prng,
  type StoreKey,
  type TreeId,
} from '../../src/base/index.ts';
import { nodeDisk } from '../../src/host/index.ts';
import { PageFile, StoreKeys, TreeStore } from '../../src/store/index.ts';

const { values } = parseArgs({
  options: {
    versions: { type: 'string', default: '10000000' },
    keys: { type: 'string', default: '20000' },
    'cache-mib': { type: 'string', default: '64' },
  },
});
const versionCount = Number(values.versions);
const keyCount = Number(values.keys);
const cacheBytes = Number(values['cache-mib']) << 20;
const versionsBetweenCheckpoints = 500_000;
const checkpointsBetweenRestarts = 4;
const reads = 500_000;

const logId = new Uint8Array(16).fill(7) as Uint8Array as LogId;
const tree = 7 as TreeId;
const folder = mkdtempSync(join(process.env['TMPDIR'] ?? '/var/tmp', 'veritydb-versions-'));
try {
  main();
} finally {
  rmSync(folder, { recursive: true });
}

function main(): void {
  const keys = StoreKeys.draw({ logId, algorithm: 'aes-256-gcm' }, new Prng(1));
  let pages = filePages(1);
  let store = new TreeStore(pages, { cacheBytes });
  const started = performance.now();
  let checkpoints = 0;
  for (let n = 1; n <= versionCount; n++) {
    const row = n % 97 === 0 ? undefined : rowOf(n);
    store.apply(n as Position, [{ tree, key: keyOf(n % keyCount), row, leaf: n as LeafIndex }]);
    if (n % versionsBetweenCheckpoints !== 0 && n !== versionCount) continue;
    store.freeze();
    store.writeSlice(Number.POSITIVE_INFINITY);
    pages.flush();
    pages.settled();
    if (++checkpoints % checkpointsBetweenRestarts !== 0) continue;
    const roots = store.frozenRoots();
    const { pageCount } = pages;
    pages.close();
    pages = filePages(checkpoints);
    // All that is there is taken: what is free after a restart is not what this is about.
    pages.beginMarking(pageCount);
    store = new TreeStore(pages, { cacheBytes }, roots);
  }
  const written = performance.now();
  checkAll(store);
  const walked = performance.now();
  checkSome(store);
  const seconds = (from: number, to: number): number => Math.round((to - from) / 100) / 10;
  const figures = {
    versions: versionCount,
    keys: keyCount,
    checkpoints,
    writeSeconds: seconds(started, written),
    walkSeconds: seconds(written, walked),
    readsPerSecond: Math.round(reads / ((performance.now() - walked) / 1000)),
    fileMiB: Math.round((pages.pageCount * 4096) / 2 ** 20),
    residentMiBMax: Math.round(process.resourceUsage().maxRSS / 1024),
  };
  pages.close();
  process.stdout.write(`${JSON.stringify(figures)}\n`);

  function filePages(epoch: number): PageFile {
    return new PageFile({ disk: nodeDisk(folder), logId, keys, epoch, mode: 'readwrite' });
  }
}

/** Every version of every key, newest first. */
function checkAll(store: TreeStore): void {
  let seen = 0;
  for (const { key, versions } of store.history(tree)) {
    let expected = newestOf(key);
    for (const { from, leaf, row } of versions) {
      assert(from === expected && (leaf as number) === expected, 'no version is missing');
      assert((row === undefined) === (expected % 97 === 0), 'a deletion is one');
      assert(row === undefined || numberIn(row) === expected, 'a version has its row');
      expected -= keyCount;
      seen += 1;
    }
    assert(expected <= 0, 'the oldest version is the last');
  }
  assert(seen === versionCount, 'all versions are there');
}

/** Random keys at random positions. */
function checkSome(store: TreeStore): void {
  const prng = new Prng(3);
  for (let read = 0; read < reads; read++) {
    const position = 1 + prng.below(versionCount);
    const number = prng.below(keyCount);
    const expected = position - ((position - number + keyCount) % keyCount);
    const found = store.getAt(tree, keyOf(number), position as Position);
    const isThere = expected > 0 && expected % 97 !== 0;
    assert((found !== undefined) === isThere, 'a row is there when it was');
    assert(found === undefined || found.from === expected, 'a row is of its position');
    assert(found === undefined || numberIn(found.row) === expected, 'a row is as it was');
  }
}

function newestOf(key: StoreKey): number {
  const number =
    (key.charCodeAt(0) << 24) |
    (key.charCodeAt(1) << 16) |
    (key.charCodeAt(2) << 8) |
    key.charCodeAt(3);
  return versionCount - ((versionCount - number + keyCount) % keyCount);
}

function keyOf(number: number): StoreKey {
  const bytes = [number >>> 24, (number >>> 16) & 0xff, (number >>> 8) & 0xff, number & 0xff];
  return String.fromCharCode(...bytes) as StoreKey;
}

function rowOf(number: number): Uint8Array {
  const row = new Uint8Array(40);
  new DataView(row.buffer).setFloat64(16, number);
  return row;
}

function numberIn(row: Uint8Array): number {
  return new DataView(row.buffer, row.byteOffset, row.length).getFloat64(16);
}
