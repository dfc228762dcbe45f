/**
 * All eight bits of every byte of a database of two tenants and 1,000 rows, through verify() of the
 * open handle; then every byte of the closed files through verification, and a sample through open.
 *
 *   npx tsx test/integrity/byte-sweep.long.ts [rows]
 *
 * Prints one line of JSON; exits with 1 unless every change was found or repaired and reported.
 */
import process from 'node:process';
import { imageOf } from './disk-image.ts';
import { sampleDatabase } from './sample-database.ts';
import {
  type Counts,
  endOfContents,
  type Flip,
  flipsOf,
  noCounts,
  sweepClosed,
  sweepOpen,
  sweepOpening,
} from './sweep.ts';

const allBits = [1, 2, 4, 8, 16, 32, 64, 128];
const progressEvery = 20_000;
const openStep = 41;

await main(Number(process.argv[2] ?? 1_000));

async function main(rows: number): Promise<void> {
  const started = performance.now();
  const sample = await sampleDatabase(rows);
  const open = imageOf(sample.disk);
  const position = sample.db.status().position;
  const choice = { step: 1, zeroStep: 509, masks: () => allBits };
  const live = await sweepOpen(sample, open, reported('open', flipsOf(open, choice)));
  const whole = await sample.db.verify();
  await sample.db.close();
  const closed = imageOf(sample.disk);
  const oneBit = { step: 1, zeroStep: 1, masks: (offset: number) => [1 << (offset % 8)] };
  const files = await sweepClosed(closed, reported('closed', flipsOf(closed, oneBit)));
  const few = { ...oneBit, step: openStep };
  const opening = await sweepOpening(closed, reported('opening', flipsOf(closed, few)), position);
  const sum = [live, files, opening].reduce(add);
  const bytes = [...open.values()].reduce((total, file) => total + endOfContents(file), 0);
  const ok = whole.ok && sum.found + sum.repaired === sum.flips;
  const { flips, found, repaired, silent, misplaced, crashed } = sum;
  const line = {
    rows,
    bytes,
    flips,
    found,
    repaired,
    silent: silent.length,
    misplaced: misplaced.length,
    crashed: crashed.length,
    seconds: Math.round((performance.now() - started) / 1_000),
    ...(!ok && { examples: [...silent, ...misplaced, ...crashed].slice(0, 20) }),
  };
  console.log(JSON.stringify(line));
  process.exitCode = ok ? 0 : 1;
}

/** Passes the flips on and tells standard error how far they are. */
function* reported(phase: string, flips: Iterable<Flip>): Generator<Flip> {
  let done = 0;
  for (const flip of flips) {
    yield flip;
    done += 1;
    if (done % progressEvery === 0)
      console.error(`${phase}: ${done} (${flip.path} byte ${flip.offset})`);
  }
}

function add(left: Counts, right: Counts): Counts {
  const sum = noCounts();
  for (const part of [left, right]) {
    sum.flips += part.flips;
    sum.found += part.found;
    sum.repaired += part.repaired;
    sum.silent.push(...part.silent);
    sum.misplaced.push(...part.misplaced);
    sum.crashed.push(...part.crashed);
  }
  return sum;
}
