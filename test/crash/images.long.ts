/**
 * Every image that a crash may leave of small histories: test/crash/images-moments.ts says which.
 *
 *   npx tsx test/crash/images.long.ts [--first 1] [--last 200] [--image NAME]
 *
 * Prints one line of JSON. Exits with 1 at the first image that does not hold.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { noImages } from './images-check.ts';
import { recordHistory } from './images-history.ts';
import { ImageSweep } from './images-sweep.ts';

const afterRecovery = 50;

const { values } = parseArgs({
  options: {
    first: { type: 'string', default: '1' },
    last: { type: 'string', default: '200' },
    image: { type: 'string' },
  },
});

await main();

async function main(): Promise<void> {
  const started = performance.now();
  const counts = noImages();
  const { image } = values;
  const first = image === undefined ? Number(values.first) : Number.parseInt(image, 10);
  const last = image === undefined ? Number(values.last) : first;
  for (let seed = first; seed <= last; seed++) {
    const sweep = new ImageSweep(counts);
    const history = await recordHistory(seed);
    if (image === undefined) {
      await sweep.all(history);
      await sweep.again(history, afterRecovery);
    } else {
      await sweep.one(history, image);
    }
    console.error(`history ${seed}: ${counts.images} images, ${seconds(started)} s`);
  }
  console.log(JSON.stringify({ first, last, ...counts, seconds: seconds(started) }));
  process.exitCode = counts.images > 0 ? 0 : 1;
}

function seconds(since: number): number {
  return Math.round((performance.now() - since) / 1_000);
}
