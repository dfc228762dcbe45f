/**
 * Images of crashes: any of the writes that no flush covered, the last one cut at any byte. All images
 * of the same histories: npm run evidence:images.
 */
import { describe, expect, test } from 'vitest';
import { noImages, type ImageCounts } from './images-check.ts';
import { recordHistory } from './images-history.ts';
import { type Choice, choicesAt, imageAt, type Moment, momentsOf } from './images-moments.ts';
import { RecordingDisk } from './images-recorder.ts';
import { ImageSweep } from './images-sweep.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const histories = 200;
const historiesPerTest = 25;
const imagesPerHistory = 20;
const afterRecovery = 5;

const counts = noImages();
const load = { rolls: 0, keyringChanges: 0 };

describe('whatever a crash leaves opens, holds all that was acknowledged, no half batch, and verifies', () => {
  for (let first = 1; first <= histories; first += historiesPerTest) {
    test(`histories ${first} to ${first + historiesPerTest - 1}`, async () => {
      const sweep = new ImageSweep(counts);
      for (let seed = first; seed < first + historiesPerTest; seed++) {
        const history = await recordHistory(seed);
        load.rolls += history.rolls;
        load.keyringChanges += history.keyringChanges;
        await sweep.some(history, imagesPerHistory);
        await sweep.again(history, afterRecovery);
      }
    });
  }

  // About half of what the histories gave.
  test('the images had load', () => {
    const { images, alike, ...looked } = counts;
    expect(images + alike).toBe(histories * (imagesPerHistory + afterRecovery));
    const least: Partial<ImageCounts> & typeof load = {
      images: 3_000,
      checked: 2_000,
      goneOn: 150,
      acknowledged: 3_000,
      unknownThere: 200,
      unknownAbsent: 300,
      tornTails: 250,
      rolls: 140,
      keyringChanges: 250,
    };
    const seen: Record<string, number> = { images, ...looked, ...load };
    const tooLittle = Object.entries(least).filter(([name, count]) => (seen[name] ?? 0) < count);
    expect(tooLittle, JSON.stringify(seen)).toEqual([]);
  });
});

test('the check sees it when a flush promised what it did not do', async () => {
  let found = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const history = await recordHistory(seed);
    const steps = history.disk.steps.filter(({ kind }) => kind !== 'flush');
    const lying = { ...history, disk: { ...history.disk, initial: history.disk.initial, steps } };
    await new ImageSweep(noImages()).some(lying, 40).catch((error: unknown) => {
      expect(String(error)).toMatch(/Violation|CorruptionError|NO_DATABASE|NOT_A_DATABASE/);
      found += 1;
    });
  }
  expect(found).toBeGreaterThan(7);
});

describe('the images of a moment', () => {
  /** A durable file "a", then two writes, a new file and a rename, none of them flushed. */
  function recorded(): RecordingDisk {
    const disk = new RecordingDisk(new Map([['a', bytes('....')]]));
    const file = disk.open('a', 'readwrite');
    file.write(bytes('12'), 0);
    file.write(bytes('34'), 2);
    disk.open('b', 'create').close();
    disk.rename('b', 'c');
    return disk;
  }

  const last = (disk: RecordingDisk): Moment => momentsOf(disk).at(-1) as Moment;

  function shown(moment: Moment, choice: Choice): string {
    return [...imageAt(moment, choice)]
      .map(([path, content]) => `${path}:${new TextDecoder().decode(content)}`)
      .join(' ');
  }

  test('are every subset of the writes with the last one cut at every byte, names in their order', () => {
    const moment = last(recorded());
    const images = new Set([...choicesAt(moment)].map((choice) => shown(moment, choice)));
    const contents = ['....', '1...', '12..', '..3.', '..34', '123.', '1234'];
    const names = ['', ' b:', ' c:'];
    const expected = contents.flatMap((content) => names.map((name) => `a:${content}${name}`));
    expect([...images].toSorted()).toEqual(expected.toSorted());
  });

  test('hold what a flush covered, and a flush in the background covers what came before it', async () => {
    const disk = recorded();
    const file = disk.open('a', 'readwrite');
    const flush = file.flushInBackground();
    file.write(bytes('X'), 3);
    await flush;
    disk.flushDirectory('');
    const moment = last(disk);
    const images = [...choicesAt(moment)].map((choice) => shown(moment, choice));
    expect(images.toSorted()).toEqual(['a:1234 c:', 'a:123X c:']);
    expect(momentsOf(disk).map(({ step }) => step)).toEqual([5, 6, 7]);
  });
});
