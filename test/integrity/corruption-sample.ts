/** A small database with every kind of file, closed, and copies of it from earlier. */
import { memoryDisk } from '../../src/host/index.ts';
import { Verity } from '../../src/database/index.ts';
import { subjectKeyIn, type Whole } from './corruption.ts';
import { type DiskImage, imageOf } from './disk-image.ts';
import { fillSample, hostOn, TestKey } from './sample-database.ts';

export interface CorruptionSample {
  readonly image: DiskImage;
  /** The files at earlier closes, oldest first. */
  readonly older: readonly DiskImage[];
  readonly whole: Whole;
}

const logSizes = { segmentBytes: 6_000, fillBytesMin: 4_096, fillBytesMax: 4_096 };

/** Makes one: two tenants, a log of several segments, changed keys, a page of subject keys, several sessions. */
export async function corruptionSample(rows: number): Promise<CorruptionSample> {
  const disk = memoryDisk();
  const older: DiskImage[] = [];
  const masterKey = new TestKey();
  const open = (seed: number): Promise<Verity> =>
    Verity.openOn({ ...hostOn(disk, seed), logSizes }, { masterKey });
  const first = await open(1);
  await first.close();
  older.push(imageOf(disk));
  const second = await open(2);
  await fillSample(second, rows);
  await second.close();
  older.push(imageOf(disk));
  const third = await open(3);
  const north = third.tenant('north');
  const id = await north.createEnvelopeKey();
  await third.keys.addRecoveryCode();
  await third.close();
  older.push(imageOf(disk));
  const fourth = await open(4);
  await fourth.keys.rotate({ tenant: 'north' });
  await fourth.tenant('north').createEnvelopeKey();
  await fourth.tenant('north').execute('INSERT INTO visits VALUES ($1, $2, 1)', [900, 'late']);
  await fourth.close();
  const last = await open(5);
  const { position, chainHash } = last.status();
  const digits = subjectKeyIn(last, id) ?? '';
  await last.close();
  return {
    image: imageOf(disk),
    older,
    whole: { position, chainHash, subjectKey: { id, digits } },
  };
}
