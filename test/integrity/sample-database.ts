/** The databases that the integrity tests damage: two tenants, tables with a unique constraint, updates, deletes, a stream. */
import { createHash } from 'node:crypto';
import { type Disk, Prng } from '../../src/base/index.ts';
import { SecretKey } from '../../src/crypto/index.ts';
import { type OpenOptions, Verity } from '../../src/database/index.ts';
import { memoryDisk, systemClock, systemScheduler } from '../../src/host/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';

type Host = Parameters<typeof Verity.openOn>[0];

/** The host of a database on `disk`; with the same seed, the same random bytes. */
export function hostOn(disk: Disk, seed = 1): Host {
  return { disk, clock: systemClock, entropy: new Prng(seed), scheduler: systemScheduler };
}

/** A provider of a fixed master key, as quick as one can be; counts its calls. */
export class TestKey extends HeldKeyProvider {
  unwraps = 0;

  constructor(seed = 'a test key') {
    super('test', 'test', () => {
      return new SecretKey(new Uint8Array(createHash('sha256').update(seed).digest()));
    });
  }

  override unwrap(
    slots: Parameters<HeldKeyProvider['unwrap']>[0],
  ): ReturnType<HeldKeyProvider['unwrap']> {
    this.unwraps += 1;
    return super.unwrap(slots);
  }
}

export type SuiteOptions = Pick<
  OpenOptions,
  'encryption' | 'algorithm' | 'compression' | 'onWarning'
>;

/** What opens a database of this suite besides its options. */
export function accessTo(suite: SuiteOptions, key: TestKey): Pick<OpenOptions, 'masterKey'> {
  return suite.encryption === 'none' ? {} : { masterKey: key };
}

/** Longer than the pause after which an idle database marks its log. */
export const idleMs = 120;

export const pause = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
  });

export interface Sample {
  readonly disk: Disk;
  readonly key: TestKey;
  readonly db: Verity;
}

const rowsPerStatement = 25;

/** An open database of two tenants with `rowCount` rows together, idle, on a disk in memory. */
export async function sampleDatabase(
  rowCount: number,
  logSizes?: Host['logSizes'],
  suite: SuiteOptions = {},
): Promise<Sample> {
  const disk = memoryDisk();
  const key = new TestKey();
  const host = { ...hostOn(disk), ...(logSizes !== undefined && { logSizes }) };
  const db = await Verity.openOn(host, { ...accessTo(suite, key), ...suite });
  await fillSample(db, rowCount);
  await pause(idleMs);
  return { disk, key, db };
}

/** Gives a new database two tenants with `rowCount` rows together. */
export async function fillSample(db: Verity, rowCount: number): Promise<void> {
  for (const name of ['north', 'south']) {
    const tenant = await db.createTenant(name);
    await tenant.execute(
      'CREATE TABLE visits (id integer PRIMARY KEY, code text NOT NULL UNIQUE, cost numeric)',
    );
    const rows = rowCount / 2;
    for (let first = 1; first <= rows; first += rowsPerStatement) {
      const values = Array.from(
        { length: Math.min(rowsPerStatement, rows - first + 1) },
        (_, index) => `(${first + index}, 'c${first + index}', ${first + index}.5)`,
      );
      await tenant.execute(`INSERT INTO visits VALUES ${values.join(', ')}`, [], { actor: 'ann' });
    }
    await tenant.execute("UPDATE visits SET code = 'd' || id WHERE id <= 5", [], {
      reason: 'recoded',
    });
    await tenant.execute('DELETE FROM visits WHERE id = 1');
    await tenant.execute("INSERT INTO visits VALUES (1, 'again', NULL)");
    await tenant.append('notes', [{ text: 'first' }, { text: 'second' }]);
  }
}
