/** Builds images of crashes of recorded histories, and holds each against what the client knew. */
import { createHash } from 'node:crypto';
import { Prng } from '../../src/base/index.ts';
import type { SimDisk } from '../../src/sim/index.ts';
import type { Image } from './image.ts';
import { checkImage, type ImageCounts } from './images-check.ts';
import { type History, recordHistory } from './images-history.ts';
import {
  type Choice,
  choicesAt,
  imageAt,
  type Moment,
  momentsOf,
  randomChoice,
} from './images-moments.ts';
import { RecordingDisk } from './images-recorder.ts';

const goOnEvery = 16;

/** Names one image so that it can be built again. */
function nameOf({ seed }: History, { step }: Moment, choice: Choice): string {
  const bits = choice.kept.map((kept) => (kept ? '1' : '0')).join('') || '-';
  return `${seed}/${step}/${bits}/${choice.lastWriteBytes ?? 'whole'}`;
}

/** Checks images; what opening leaves behind is looked at once for each state of the client's knowledge. */
export class ImageSweep {
  readonly counts: ImageCounts;
  readonly #seen = new Set<string>();

  constructor(counts: ImageCounts) {
    this.counts = counts;
  }

  /** Every image of a history that differs from the others. */
  async all(history: History): Promise<void> {
    this.#seen.clear();
    for (const moment of momentsOf(history.disk)) {
      for (const choice of choicesAt(moment)) await this.#check(history, moment, choice);
    }
  }

  /** Some images of a history, by its seed. */
  async some(history: History, count: number): Promise<void> {
    this.#seen.clear();
    const prng = new Prng(history.seed);
    const moments = momentsOf(history.disk);
    for (let number = 0; number < count; number++) {
      const moment = moments[prng.below(moments.length)] as Moment;
      await this.#check(history, moment, randomChoice(moment, prng));
    }
  }

  /** Images of a crash during the recovery from a crash, and of the work after it. */
  async again(history: History, count: number): Promise<void> {
    const prng = new Prng(history.seed + 1);
    const moments = momentsOf(history.disk);
    const moment = moments[prng.below(moments.length)] as Moment;
    const disk = new RecordingDisk(imageAt(moment, randomChoice(moment, prng)));
    const client = history.knownAt(moment.step);
    await this.some(await recordHistory(history.seed, { disk, client }), count);
  }

  async one(history: History, name: string): Promise<void> {
    for (const moment of momentsOf(history.disk)) {
      for (const choice of choicesAt(moment)) {
        if (nameOf(history, moment, choice) === name) await this.#check(history, moment, choice);
      }
    }
  }

  async #check(history: History, moment: Moment, choice: Choice): Promise<void> {
    const image = imageAt(moment, choice);
    const key = `${moment.step} ${digestOf(image)}`;
    if (this.#seen.has(key)) {
      this.counts.alike += 1;
      return;
    }
    this.#seen.add(key);
    try {
      await checkImage(image, history.knownAt(moment.step), {
        counts: this.counts,
        goOn: this.counts.images % goOnEvery === 0,
        isKnown: (after) => this.#isKnown(moment, after),
      });
    } catch (error) {
      const name = nameOf(history, moment, choice);
      throw new Error(
        `Image ${name}: ${String(error)}\nAgain: npx tsx test/crash/images.long.ts --image ${name}`,
        { cause: error },
      );
    }
  }

  /** Whether the same files were checked against the same knowledge. */
  #isKnown(moment: Moment, disk: SimDisk): boolean {
    const key = `${moment.step} after ${digestOf(disk.image())}`;
    if (this.#seen.has(key)) return true;
    this.#seen.add(key);
    return false;
  }
}

function digestOf(image: Image): string {
  const hash = createHash('sha256');
  for (const path of [...image.keys()].toSorted()) {
    const bytes = image.get(path) as Uint8Array;
    hash.update(`${path} ${bytes.length} `).update(bytes);
  }
  return hash.digest('base64');
}
