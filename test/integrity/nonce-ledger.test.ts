/** No key seals two messages with one nonce: over restarts, restores, clones, and clones of the random state. */
import { afterEach, expect, test, vi } from 'vitest';
import { type Disk, type Entropy, Prng } from '../../src/base/index.ts';
import { type Sealed, SectionKey } from '../../src/crypto/index.ts';
import { type TenantHandle, Verity } from '../../src/database/index.ts';
import { memoryDisk, systemScheduler } from '../../src/host/index.ts';
import { SimClock } from '../../src/sim/index.ts';
import { type DiskImage, diskOf, imageOf } from './disk-image.ts';
import { ledgerDisk, NonceLedger } from './nonce-ledger.ts';
import { TestKey } from './sample-database.ts';

const sealsMin = 100_000;
const tenantCount = 64;

afterEach(() => {
  vi.restoreAllMocks();
});

/** A database on a disk that the ledger watches. The clock stands still, so that clones agree on the time, too. */
class Machine {
  readonly ledger: NonceLedger;
  readonly name: string;
  readonly #disk: Disk;
  readonly #entropy: Entropy;
  #tenants: TenantHandle[] = [];
  #db: Verity | undefined;

  constructor(ledger: NonceLedger, name: string, at: { disk?: Disk; entropy: Entropy }) {
    this.ledger = ledger;
    this.name = name;
    this.#disk = at.disk ?? memoryDisk();
    this.#entropy = at.entropy;
  }

  get image(): DiskImage {
    return imageOf(this.#disk);
  }

  async open(): Promise<void> {
    this.#db = await Verity.openOn(
      {
        disk: ledgerDisk(this.#disk, this.ledger, this.name),
        clock: new SimClock(1_000_000),
        entropy: this.#entropy,
        scheduler: systemScheduler,
        logSizes: { segmentBytes: 1 << 20, fillBytesMin: 1 << 16, fillBytesMax: 1 << 18 },
      },
      { masterKey: new TestKey() },
    );
    const there = this.#db.tenants();
    for (let number = there.length; number < tenantCount; number++) {
      await this.#db.createTenant(`tenant ${number}`);
    }
    this.#tenants = this.#db.tenants().map((name) => (this.#db as Verity).tenant(name));
  }

  /** Frames with one event of every tenant each. */
  async write(frames: number, what: string): Promise<void> {
    for (let frame = 0; frame < frames; frame++) {
      const data = `${what} ${frame}`;
      await Promise.all(this.#tenants.map((tenant) => tenant.append('notes', [{ data }])));
    }
  }

  async close(): Promise<void> {
    await this.#db?.close();
  }

  async session(frames: number, what: string): Promise<void> {
    await this.open();
    await this.write(frames, what);
    await this.close();
  }
}

/** What every copy begins with is short, since each of them reads it again. */
const fewFrames = 20;

/** One history of copies, each writing on for `frames` frames. */
async function history(ledger: NonceLedger, frames: number): Promise<void> {
  const first = new Machine(ledger, 'first', { entropy: new Prng(1) });
  await first.session(fewFrames, 'first');
  const older = first.image;
  for (let restart = 1; restart <= 4; restart++) {
    await first.session(fewFrames, `restart ${restart}`);
  }
  // Killed, not closed: what the process wrote last is there, and is written on.
  await first.open();
  await first.write(fewFrames, 'killed');
  const killed = first.image;
  const after = new Machine(ledger, 'after', { disk: diskOf(killed), entropy: new Prng(2) });
  await after.session(frames, 'after the kill');
  // An older copy put back: the same positions again, with other contents and with the same.
  for (const what of ['restored', 'restart 1']) {
    const restored = new Machine(ledger, what, { disk: diskOf(older), entropy: new Prng(3) });
    await restored.session(frames, what);
  }
  // The same directory on two machines.
  for (const seed of [4, 5]) {
    const clone = new Machine(ledger, `clone ${seed}`, {
      disk: diskOf(older),
      entropy: new Prng(seed),
    });
    await clone.session(frames, `clone ${seed}`);
  }
  await twins(ledger, older, frames);
}

/** The same directory and the same random numbers on two machines, as after a snapshot of a whole machine. */
async function twins(ledger: NonceLedger, image: DiskImage, frames: number): Promise<void> {
  for (const what of ['twin a', 'twin b']) {
    const twin = new Machine(ledger, what, { disk: diskOf(image), entropy: new Prng(6) });
    await twin.session(frames, what);
    await twin.session(fewFrames, `${what} again`);
  }
}

test(`over ${sealsMin.toLocaleString('en')} seals no key meets a nonce twice`, async () => {
  const ledger = new NonceLedger();
  await history(ledger, 220);
  expect(ledger.repeats).toEqual([]);
  expect(ledger.seals).toBeGreaterThan(sealsMin);
  // Each opening draws new keys for all tenants; twins share theirs.
  expect(ledger.keys).toBeGreaterThan(10 * tenantCount);
  // Copies are what recovery copies from segment to segment, and what twins wrote alike.
  expect(ledger.copies).toBeGreaterThan(0);
});

test('the ledger sees a nonce that depends on the place only, and one that is a counter', async () => {
  const { value } = Object.getOwnPropertyDescriptor(SectionKey.prototype, 'seal') ?? {};
  const seal = value as (this: SectionKey, aad: Uint8Array, plaintext: Uint8Array) => Sealed;
  const broken: Record<string, (key: SectionKey, sealed: Sealed) => Uint8Array> = {
    counter: (key) => new Uint8Array(new BigUint64Array([BigInt(key.seals), 0n]).buffer, 0, 12),
    constant: () => new Uint8Array(12),
  };
  for (const [name, nonceOf] of Object.entries(broken)) {
    const ledger = new NonceLedger();
    const first = new Machine(ledger, 'first', { entropy: new Prng(1) });
    await first.session(2, 'first');
    vi.spyOn(SectionKey.prototype, 'seal').mockImplementation(function (
      this: SectionKey,
      aad,
      plaintext,
    ) {
      const sealed = seal.call(this, aad, plaintext);
      return { ...sealed, nonce: nonceOf(this, sealed) };
    });
    const images = first.image;
    for (const what of ['twin a', 'twin b']) {
      const twin = new Machine(ledger, what, { disk: diskOf(images), entropy: new Prng(6) });
      await twin.open();
      await twin.write(2, what);
    }
    vi.restoreAllMocks();
    expect(ledger.repeats.length, name).toBeGreaterThan(tenantCount);
  }
});
