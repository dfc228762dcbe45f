/** The other ciphers, compression and plain mode: damage is found, and plaintext lies only where it must. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Verity } from '../../src/database/index.ts';
import { plainProvider } from '../../src/keys/index.ts';
import { type DiskImage, diskOf, imageOf } from './disk-image.ts';
import {
  accessTo,
  hostOn,
  type Sample,
  sampleDatabase,
  type SuiteOptions,
} from './sample-database.ts';
import { type Counts, flipsOf, sweepClosed, sweepOpen, sweepOpening } from './sweep.ts';

const onWarning = (): void => undefined;
const suites: SuiteOptions[] = [
  { algorithm: 'chacha20-poly1305' },
  { compression: 'brotli' },
  { encryption: 'none', onWarning },
  { encryption: 'none', compression: 'brotli', onWarning },
];
const rowCount = 20;
/** Plain mode has nothing but unkeyed checks: there more bytes are tried. */
const stepOf = ({ encryption }: SuiteOptions): number => (encryption === 'none' ? 5 : 29);

/** The files that a suite changes; byte-sweep.test.ts has the others. */
function ofSuite(image: DiskImage): DiskImage {
  return new Map([...image].filter(([path]) => path.startsWith('log/') || path === 'verity.json'));
}

function expectNoneMissed(counts: Counts): void {
  expect({
    silent: counts.silent.slice(0, 5),
    misplaced: counts.misplaced.slice(0, 5),
    crashed: counts.crashed.slice(0, 5),
    answered: counts.found + counts.repaired,
  }).toEqual({ silent: [], misplaced: [], crashed: [], answered: counts.flips });
}

describe.each(suites)('a database with $algorithm $encryption $compression', (suite) => {
  let sample: Sample;
  let open: DiskImage;
  let closed: DiskImage;
  let position: bigint;
  beforeAll(async () => {
    sample = await sampleDatabase(rowCount, undefined, suite);
    open = imageOf(sample.disk);
    position = sample.db.status().position;
    const other = await sampleDatabase(rowCount, undefined, suite);
    await other.db.close();
    closed = imageOf(other.disk);
  });
  afterAll(async () => sample.db.close());

  test('says so in its status', () => {
    expect(sample.db.status()).toMatchObject({
      encryption: suite.encryption ?? suite.algorithm ?? 'aes-256-gcm',
      compression: suite.compression ?? 'none',
    });
  });

  test('names the file and the record of changed bytes while it is open', async () => {
    const masks = (offset: number): number[] => [1 << (offset % 8)];
    const choice = { step: stepOf(suite), zeroStep: 1_009, masks };
    expectNoneMissed(await sweepOpen(sample, open, flipsOf(ofSuite(open), choice)));
    expect(await sample.db.verify()).toMatchObject({ ok: true, findings: [] });
  });

  test('neither verifies nor opens with a changed byte once it is closed', async () => {
    const masks = (offset: number): number[] => [1 << ((offset + 3) % 8)];
    const root = suite.encryption === 'none' ? plainProvider() : sample.key;
    const choice = { step: 17, zeroStep: 1, masks };
    expectNoneMissed(await sweepClosed(closed, flipsOf(ofSuite(closed), choice), root));
    const options = { ...suite, ...accessTo(suite, sample.key) };
    const some = { step: 61, zeroStep: 1, masks };
    expectNoneMissed(await sweepOpening(closed, flipsOf(ofSuite(closed), some), position, options));
  });

  test('opens again with all it had', async () => {
    const options = { ...suite, ...accessTo(suite, sample.key) };
    const db = await Verity.openOn(hostOn(diskOf(closed)), options);
    const { rows } = await db.tenant('north').query('SELECT count(*) AS n FROM visits');
    expect(rows).toEqual([{ n: BigInt(rowCount / 2) }]);
    await db.close();
  });

  test('holds its statements in plain sight only in plain mode', () => {
    const log = [...closed].filter(([path]) => path.startsWith('log/'));
    const found = log.some(([, bytes]) => Buffer.from(bytes).includes('INSERT INTO visits'));
    expect(found).toBe(suite.encryption === 'none');
  });
});
