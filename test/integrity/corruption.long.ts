/**
 * What the database answers to damage, as a document: every bit of every byte of a small database with
 * each kind of file, then zeros, ones, exchanged, cut, longer, older and missing parts and files.
 *
 *   npx tsx test/integrity/corruption.long.ts [--rows 60] [--out FILE]
 *
 * Prints the document, or writes it to FILE and prints one line. Exits with 1 unless every damage was
 * refused with file and offset, or repaired and reported.
 */
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import {
  type DamageKind,
  damageKinds,
  damagesOf,
  isSubjects,
  judge,
  mayBeUnharmed,
  noTally,
  type Tally,
} from './corruption.ts';
import { type CorruptionSample, corruptionSample } from './corruption-sample.ts';
import { type DiskImage, imageOf } from './disk-image.ts';
import { judgeFlip, proofsSample } from './proofs-flips.ts';
import { sampleDatabase } from './sample-database.ts';
import { type Counts, type Flip, flipsOf, sweepClosed, sweepOpen, sweepOpening } from './sweep.ts';

const allBits = [1, 2, 4, 8, 16, 32, 64, 128];
const everyBit = { step: 1, zeroStep: 1, masks: () => allBits };
const fileBytesMax = 16 << 10;
const examplesMax = 20;
const progressEvery = 20_000;

interface Result {
  readonly damage: string;
  readonly files: readonly string[];
  readonly by: readonly string[];
  readonly damages: number;
  readonly refused: number;
  readonly repaired: number;
  /** Files as a killed process may leave them, with nothing missing. */
  readonly unharmed: number;
  readonly silent: number;
  readonly misplaced: number;
  readonly crashed: number;
  readonly codes?: Tally['codes'];
  readonly slowestMs?: number;
  readonly examples?: readonly string[];
}

const { values } = parseArgs({
  options: { rows: { type: 'string', default: '60' }, out: { type: 'string' } },
});

await main(Number(values.rows));

async function main(rows: number): Promise<void> {
  const started = performance.now();
  const sample = await corruptionSample(rows);
  const files = Object.fromEntries([...sample.image].map(([path, bytes]) => [path, bytes.length]));
  const results: Result[] = [await bitsOfOpenHandle(rows)];
  for (const path of sample.image.keys()) results.push(...(await bitsOf(sample, path)));
  results.push(...(await bitsOfProofs()));
  for (const kind of damageKinds) results.push(await partsOf(sample, kind));
  const sum = (name: 'damages' | 'refused' | 'repaired' | 'unharmed'): number =>
    results.reduce((total, result) => total + result[name], 0);
  const document = {
    suite: 'corruption',
    pass: results.every(passes) && Object.values(files).every((size) => size <= fileBytesMax),
    node: process.version,
    files,
    damages: sum('damages'),
    refused: sum('refused'),
    repaired: sum('repaired'),
    unharmed: sum('unharmed'),
    seconds: Math.round((performance.now() - started) / 1_000),
    results,
  };
  report(document);
  process.exitCode = document.pass ? 0 : 1;
}

function passes({ silent, misplaced, crashed, damages }: Result): boolean {
  return damages > 0 && silent + misplaced + crashed === 0;
}

function report(document: { readonly pass: boolean; readonly damages: number }): void {
  const text = `${JSON.stringify(document, undefined, 2)}\n`;
  if (values.out === undefined) {
    process.stdout.write(text);
    return;
  }
  writeFileSync(values.out, text);
  const { pass, damages } = document;
  console.log(JSON.stringify({ suite: 'corruption', pass, damages, out: values.out }));
}

/** Every bit of the files of an idle database that is open, through verify() of its handle. */
async function bitsOfOpenHandle(rows: number): Promise<Result> {
  const sample = await sampleDatabase(rows);
  const image = imageOf(sample.disk);
  const flips = reported('open handle', flipsOf(image, { ...everyBit, zeroStep: 61 }));
  const counts = await sweepOpen(sample, image, flips);
  await sample.db.close();
  return resultOf(counts, [...image.keys()], 'verify of an open handle');
}

/** Every bit of one closed file: verified, and opened. */
async function bitsOf(
  { image, whole }: CorruptionSample,
  path: string,
): Promise<readonly Result[]> {
  const flips = (by: string): Iterable<Flip> =>
    reported(by, [...flipsOf(only(image, path), everyBit)]);
  const verified = resultOf(await sweepClosed(image, flips('verify')), [path], 'verify');
  // Opening reads no page of subject keys; using one does, and is satisfied with either copy.
  if (isSubjects(path)) return [verified];
  const opened = await sweepOpening(image, flips('open'), whole.position);
  return [verified, resultOf(opened, [path], 'open')];
}

/** Every bit of tiles, of their record and of checkpoints: verified, opened, and proofs made. */
async function bitsOfProofs(): Promise<readonly Result[]> {
  const sample = await proofsSample();
  const results: Result[] = [];
  for (const path of sample.paths) {
    const silent: string[] = [];
    let damages = 0;
    for (let offset = 0; offset < (sample.image.get(path)?.length ?? 0); offset++) {
      for (const mask of allBits) {
        const what = await judgeFlip(sample, { path, offset, mask });
        if (what !== undefined) silent.push(what);
        damages += 1;
        if (damages % progressEvery === 0) console.error(`${path}: ${damages}`);
      }
    }
    const answered = { refused: damages - silent.length, repaired: 0, unharmed: 0 };
    const lists = wrong({ silent, misplaced: [], crashed: [] });
    results.push({
      damage: 'every bit',
      files: [path],
      by: ['proofs'],
      damages,
      ...answered,
      ...lists,
    });
  }
  return results;
}

function only(image: DiskImage, path: string): DiskImage {
  return new Map([[path, image.get(path) as Uint8Array]]);
}

function resultOf(counts: Counts, files: readonly string[], by: string): Result {
  const { flips, found, repaired, silent, misplaced, crashed } = counts;
  return {
    damage: 'every bit',
    files,
    by: [by],
    damages: flips,
    refused: found,
    repaired,
    unharmed: 0,
    ...wrong({ silent, misplaced, crashed }),
  };
}

async function partsOf(sample: CorruptionSample, kind: DamageKind): Promise<Result> {
  const tally = noTally();
  for (const damage of damagesOf(sample.image, sample.older, { cutStep: 1, blockStep: 1 })) {
    if (damage.kind === kind) await judge(damage, sample.whole, tally);
  }
  const { damages, refused, repaired, unharmed, silent, misplaced, crashed } = tally;
  const surprising = unharmed.filter((what) => !mayBeUnharmed(kind, what));
  return {
    damage: kind,
    files: [...sample.image.keys()],
    by: ['verify', 'open'],
    damages,
    refused,
    repaired,
    unharmed: unharmed.length - surprising.length,
    ...wrong({ silent: [...silent, ...surprising], misplaced, crashed }),
    codes: tally.codes,
    slowestMs: tally.slowestMs,
  };
}

function wrong(lists: Record<'silent' | 'misplaced' | 'crashed', readonly string[]>): {
  readonly silent: number;
  readonly misplaced: number;
  readonly crashed: number;
  readonly examples?: readonly string[];
} {
  const { silent, misplaced, crashed } = lists;
  const examples = [...silent, ...misplaced, ...crashed].slice(0, examplesMax);
  return {
    silent: silent.length,
    misplaced: misplaced.length,
    crashed: crashed.length,
    ...(examples.length > 0 && { examples }),
  };
}

/** Passes the flips on and tells standard error how far they are. */
function* reported(phase: string, flips: Iterable<Flip>): Generator<Flip> {
  let done = 0;
  for (const flip of flips) {
    yield flip;
    done += 1;
    if (done % progressEvery === 0) {
      console.error(`${phase}: ${done} (${flip.path} byte ${flip.offset})`);
    }
  }
}
