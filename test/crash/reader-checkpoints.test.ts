/** Handles that only read, beside an owner who writes checkpoints and uses pages again. */
import { beforeEach, expect, test } from 'vitest';
import { type Disk, type DiskFile, type Position, Prng } from '../../src/base/index.ts';
import { SecretKey } from '../../src/crypto/index.ts';
import { type TenantHandle, Verity } from '../../src/database/index.ts';
import { type Engine, type EngineHost, openEngine } from '../../src/engine/index.ts';
import { memoryDisk, systemClock, systemEntropy, systemScheduler } from '../../src/host/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';
import {
  contentHashOf,
  type HistoryCursor,
  type PastView,
  pagesPath,
  type ScratchFile,
  superblockPath,
} from '../../src/store/index.ts';

const provider = new HeldKeyProvider(
  'fixed',
  'fixed',
  () => new SecretKey(new Uint8Array(32).fill(7)),
);
const cacheBytes = 1 << 20;
const rowCount = 2_000;

let disk: Disk;
let owner: Verity;
let tenant: TenantHandle;
let prng: Prng;

/** One after the other. */
const checkpoints = {
  cacheBytes,
  logBytesMin: 0,
  logBytesMax: 32 << 10,
  milliseconds: 1e9,
  pagesPerTurn: 64,
};
const logSizes = { segmentBytes: 64 << 10, fillBytesMin: 4_096, fillBytesMax: 16_384 };

function hostOn(on: Disk, more: Partial<EngineHost> = {}): EngineHost {
  return {
    disk: on,
    clock: systemClock,
    entropy: systemEntropy,
    scheduler: systemScheduler,
    checkpoints,
    logSizes,
    ...more,
  };
}

const openReader = (on: Disk, more: Partial<EngineHost> = {}): Promise<Engine> =>
  openEngine(hostOn(on, more), { provider, mode: 'follower', create: false });

/** What an owner makes of the same log. */
async function ownerEngine(): Promise<Engine> {
  const image = memoryDisk();
  await owner.copyOnto(image);
  return openEngine(hostOn(image), { provider, mode: 'owner', create: false });
}

/** The owner marks its last frame as durable when it has nothing else to do. */
async function caughtUp(reader: Engine): Promise<void> {
  for (;;) {
    reader.catchUp();
    if (reader.committedPosition === Number(owner.status().position)) return;
    await new Promise((resolve) => void setTimeout(resolve, 10));
  }
}

async function expectSame(reader: Engine): Promise<void> {
  await expectSameHash(reader);
  const whole = await ownerEngine();
  const at = reader.committedPosition;
  expect(contentUpTo(reader, at)).toBe(contentUpTo(whole, at));
  await whole.close();
}

async function expectSameHash(reader: Engine): Promise<void> {
  for (;;) {
    await caughtUp(reader);
    const { hash, position } = await reader.stateHash();
    const expected = await owner.stateHash();
    // The owner records finished segments, and failures, by itself.
    if (expected.position !== BigInt(position)) continue;
    expect(Buffer.from(hash).toString('hex')).toBe(expected.hash);
    return;
  }
}

function contentUpTo({ walked, state }: Engine, position: Position): string {
  const past = state.store.viewAt(position).past as PastView;
  return contentHashOf({
    appliedPosition: position,
    trees: () => walked.trees(),
    *history(tree) {
      const keys: HistoryCursor = past.histories(tree, {});
      for (let next = keys.next(); next !== undefined; next = keys.next()) yield next;
    },
  });
}

/** Updates rows all over the table. */
async function update(count: number): Promise<void> {
  const answers: Promise<unknown>[] = [];
  for (let done = 0; done < count; done++) {
    const parameters = [prng.below(rowCount), `${'x'.repeat(100)}${prng.below(1e9)}`];
    answers.push(tenant.execute('UPDATE t SET v = $2 WHERE id = $1', parameters));
  }
  await Promise.all(answers);
}

beforeEach(async () => {
  prng = new Prng(5);
  disk = memoryDisk();
  owner = await Verity.openOn(hostOn(disk), { masterKey: provider });
  tenant = await owner.createTenant('amber');
  await tenant.execute('CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL)');
  await tenant.execute('CREATE INDEX t_v ON t (v)');
  for (let id = 0; id < rowCount; id += 500) {
    const values = Array.from({ length: 500 }, (_, n) => `(${id + n}, '${'y'.repeat(200)}${n}')`);
    await tenant.execute(`INSERT INTO t VALUES ${values.join(', ')}`);
  }
  await update(200);
});

/** Updates rows until so many further checkpoints are there: pages of the one before them are used again. */
async function checkpointsLater(count: number): Promise<void> {
  const newest = (): bigint => owner.status().store.checkpoint;
  for (let seen = 0, last = newest(); seen < count; last = newest()) {
    await update(200);
    if (newest() !== last) seen += 1;
  }
}

/** Counts bytes read and opens, by path; and damages pages as they are read, if it is to. */
class CountingDisk implements Disk {
  readonly #disk: Disk;
  readonly bytesRead = new Map<string, number>();
  readonly opened = new Map<string, number>();
  isDamaged = false;

  constructor(of: Disk) {
    this.#disk = of;
  }
  get root(): string {
    return this.#disk.root;
  }
  list(directory: string): readonly string[] | undefined {
    return this.#disk.list(directory);
  }
  exists(path: string): boolean {
    return this.#disk.exists(path);
  }
  makeDirectory(path: string): void {
    this.#disk.makeDirectory(path);
  }
  open(path: string, mode: 'create' | 'readwrite' | 'read'): DiskFile {
    const file = this.#disk.open(path, mode);
    this.opened.set(path, (this.opened.get(path) ?? 0) + 1);
    const read = file.read.bind(file);
    file.read = (target, offset) => {
      const count = read(target, offset);
      if (this.isDamaged && path === pagesPath && offset > 0) (target[100] as number) ^= 1;
      this.bytesRead.set(path, (this.bytesRead.get(path) ?? 0) + count);
      return count;
    };
    return file;
  }
  rename(from: string, to: string): void {
    this.#disk.rename(from, to);
  }
  remove(path: string): void {
    this.#disk.remove(path);
  }
  flushDirectory(path: string): void {
    this.#disk.flushDirectory(path);
  }
  logBytesRead(): number {
    let sum = 0;
    for (const [path, bytes] of this.bytesRead) if (path.startsWith('log/')) sum += bytes;
    return sum;
  }
}

test('a reader reads the log from the newest checkpoint on, and no page before it needs it', async () => {
  await checkpointsLater(2);
  const counting = new CountingDisk(disk);
  const reader = await openReader(counting);
  const { logBytes, store } = owner.status();
  expect(counting.logBytesRead()).toBeLessThan(logBytes / 2);
  expect(counting.bytesRead.get(pagesPath)).toBeLessThan(store.bytes / 2);
  await expectSame(reader);
  await reader.close();
});

test.each([false, true])(
  'a reader goes on while its pages are used again, each read as of where it began (reverse: %s)',
  async (reverse) => {
    await checkpointsLater(1);
    const counting = new CountingDisk(disk);
    const reader = await openReader(counting);
    const opened = (): number => counting.opened.get(superblockPath) ?? 0;
    const first = opened();
    const { store } = reader.state;
    const at = reader.committedPosition;
    const view = store.viewAt(at);
    const tree = reader.walked.trees().at(-2) as Parameters<typeof view.scan>[0];
    const before = [...keysOf(view.scan(tree, { reverse }))];
    expect(before).toHaveLength(rowCount);
    const cursor = view.scan(tree, { reverse });
    const seen = take(cursor, 100);
    await checkpointsLater(3);
    seen.push(...take(cursor, 100));
    // Now it follows; the cursor stays where it is.
    reader.catchUp();
    await checkpointsLater(2);
    seen.push(...keysOf(cursor));
    expect(seen).toEqual(before);
    // When pages are used again is a matter of pace.
    for (let tries = 0; opened() === first && tries < 30; tries++) {
      await checkpointsLater(1);
      expect([...keysOf(view.scan(tree, { reverse }))]).toEqual(before);
    }
    expect(opened()).toBeGreaterThan(first);
    await expectSame(reader);
    await reader.close();
  },
);

test('a reader without memory for what came since the checkpoint puts it into scratch', async () => {
  await checkpointsLater(2);
  let files = 0;
  const parts = new Map<number, Uint8Array>();
  const scratch = (): ScratchFile => {
    files += 1;
    return {
      read: (target, offset) => {
        const bytes = parts.get(offset) as Uint8Array;
        target.set(bytes.subarray(0, target.length));
        return Math.min(bytes.length, target.length);
      },
      write: (bytes, offset) => void parts.set(offset, bytes.slice()),
      close: () => void (files -= 1),
    };
  };
  const small = { ...checkpoints, cacheBytes: 256 << 10 };
  const reader = await openReader(disk, { scratch, checkpoints: small });
  await owner.close();
  owner = await Verity.openOn(
    hostOn(disk, { checkpoints: { ...checkpoints, logBytesMax: 1 << 30 } }),
    { masterKey: provider },
  );
  tenant = owner.tenant('amber');
  await update(2_500);
  await caughtUp(reader);
  expect([files, parts.size > 64]).toEqual([1, true]);
  // Nothing of a row can be read there.
  for (const bytes of parts.values()) expect(Buffer.from(bytes).includes('xxxxxxxx')).toBe(false);
  await expectSame(reader);
  await reader.close();
  expect(files).toBe(0);
});

test('a reader that meets a damaged page has the log make all of them', async () => {
  await checkpointsLater(2);
  const rotten = new CountingDisk(disk);
  const reader = await openReader(rotten);
  rotten.isDamaged = true;
  const tree = reader.walked.trees().at(-2) as Parameters<typeof reader.state.store.scan>[0];
  expect([...keysOf(reader.state.store.scan(tree, {}))]).toHaveLength(rowCount);
  await expectSame(reader);
  expect(reader.hierarchy.security.figures.failures).toBeGreaterThan(0);
  await reader.close();
  const later = await openReader(rotten);
  await expectSame(later);
  await later.close();
});

test('a reader without a store on the disk reads all of the log', async () => {
  const image = memoryDisk();
  await owner.copyOnto(image);
  expect(image.exists(superblockPath)).toBe(false);
  const reader = await openReader(image);
  await expectSame(reader);
  await reader.close();
});

function* keysOf(cursor: { next(): { readonly key: string } | undefined }): Generator<string> {
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) yield entry.key;
}

function take(cursor: { next(): { readonly key: string } | undefined }, count: number): string[] {
  return Array.from({ length: count }, () => cursor.next()?.key ?? '');
}
