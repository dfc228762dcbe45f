/**
 * What a machine that stopped may hold. A crash takes back any of the changes that no flush has covered,
 * each whole, and may cut the last write that it leaves at any byte.
 *
 * Changes of names happen whole or not at all, and none without those before it that touch the same
 * name, as on a journalling file system. Bytes have no such order.
 */
import type { Prng } from '../../src/base/index.ts';
import {
  type Change,
  directoryOf,
  type FileNumber,
  type NameChange,
  type RecordingDisk,
  type Step,
} from './images-recorder.ts';

export interface Moment {
  /** Steps before this one were made. */
  readonly step: number;
  /** What flushes have promised. */
  readonly files: ReadonlyMap<FileNumber, Uint8Array>;
  readonly names: ReadonlyMap<string, NameChange['to']>;
  /** What no flush has covered, oldest first. */
  readonly pending: readonly Change[];
}

/** Which of a moment's pending changes a crash left, and how many bytes of the last write of them. */
export interface Choice {
  readonly kept: readonly boolean[];
  /** Absent: all of it. */
  readonly lastWriteBytes?: number;
}

interface Pending {
  readonly step: number;
  readonly change: Change;
  /** Of names: the directories that were not flushed since. */
  readonly waitsFor: Set<string>;
}

/**
 * The moments at which most is pending: before each flush that makes something durable, and at the
 * end. Whatever a crash at another moment leaves, one at the next of these may leave, too.
 */
export function momentsOf(disk: Pick<RecordingDisk, 'initial' | 'steps'>): Moment[] {
  const durable = new Durable(disk);
  const moments: Moment[] = [];
  for (const [index, step] of disk.steps.entries()) {
    if (durable.covers(step)) moments.push(durable.moment(index));
    durable.take(step, index);
  }
  moments.push(durable.moment(disk.steps.length));
  return moments;
}

/** Follows the steps: what is durable, and what is not yet. */
class Durable {
  readonly #files = new Map<FileNumber, Uint8Array>();
  readonly #names = new Map<string, NameChange['to']>();
  #pending: Pending[] = [];

  constructor({ initial }: Pick<RecordingDisk, 'initial'>) {
    for (const [path, bytes] of initial) {
      if (directoryOf(path) !== '') this.#names.set(directoryOf(path), 'directory');
      this.#names.set(path, this.#files.size);
      this.#files.set(this.#files.size, bytes);
    }
  }

  moment(step: number): Moment {
    return {
      step,
      files: new Map(this.#files),
      names: new Map(this.#names),
      pending: this.#pending.map(({ change }) => change),
    };
  }

  /** Whether `step` is a flush that something waits for. */
  covers(step: Step): boolean {
    if (step.kind === 'flush') return this.#pending.some((item) => isCovered(item, step));
    return (
      step.kind === 'flushDirectory' &&
      this.#pending.some(({ waitsFor }) => waitsFor.has(step.path))
    );
  }

  take(step: Step, index: number): void {
    if (step.kind === 'flush') this.#settle(this.#pending.filter((item) => isCovered(item, step)));
    else if (step.kind === 'flushDirectory') this.#flushDirectory(step.path);
    else {
      const touched = step.kind === 'names' ? step.changes.map(({ path }) => path) : [];
      const waitsFor = new Set(touched.map(directoryOf));
      this.#pending.push({ step: index, change: step, waitsFor });
    }
  }

  /** What waits for no other directory is durable, and so is every change that it rests on. */
  #flushDirectory(path: string): void {
    for (const { waitsFor } of this.#pending) waitsFor.delete(path);
    const done: Pending[] = [];
    const needed = new Set<string>();
    for (const item of this.#pending.toReversed()) {
      if (item.change.kind !== 'names') continue;
      const touched = item.change.changes.map((change) => change.path);
      if (item.waitsFor.size > 0 && !touched.some((name) => needed.has(name))) continue;
      done.unshift(item);
      for (const name of touched) needed.add(name);
    }
    this.#settle(done);
  }

  #settle(done: readonly Pending[]): void {
    for (const { change } of done) apply(change, this.#files, this.#names);
    this.#pending = this.#pending.filter((item) => !done.includes(item));
  }
}

function isCovered(item: Pending, flush: Extract<Step, { kind: 'flush' }>): boolean {
  const { change, step } = item;
  return change.kind !== 'names' && change.file === flush.file && step < flush.through;
}

const nothing = new Uint8Array();

function apply(
  change: Change,
  files: Map<FileNumber, Uint8Array>,
  names: Map<string, NameChange['to']>,
): void {
  if (change.kind === 'names') {
    for (const { path, to } of change.changes) {
      if (to === undefined) names.delete(path);
      else names.set(path, to);
    }
    return;
  }
  const before = files.get(change.file) ?? nothing;
  const size =
    change.kind === 'truncate'
      ? change.sizeBytes
      : Math.max(before.length, change.offset + change.bytes.length);
  const after = new Uint8Array(size);
  after.set(before.subarray(0, size));
  if (change.kind === 'write') after.set(change.bytes, change.offset);
  files.set(change.file, after);
}

/** The files (path → bytes) that a crash leaves. */
export function imageAt(moment: Moment, choice: Choice): Map<string, Uint8Array> {
  const files = new Map(moment.files);
  const names = new Map(moment.names);
  const last = lastWrite(moment, choice.kept);
  for (const [index, change] of moment.pending.entries()) {
    if (choice.kept[index] !== true) continue;
    const torn = index === last && change.kind === 'write' ? choice.lastWriteBytes : undefined;
    if (change.kind === 'write' && torn !== undefined) {
      apply({ ...change, bytes: change.bytes.subarray(0, torn) }, files, names);
    } else {
      apply(change, files, names);
    }
  }
  const image = new Map<string, Uint8Array>();
  for (const [path, to] of names) {
    const isInside = directoryOf(path) === '' || names.get(directoryOf(path)) === 'directory';
    if (typeof to === 'number' && isInside) image.set(path, files.get(to) ?? nothing);
  }
  return image;
}

function lastWrite(moment: Moment, kept: readonly boolean[]): number {
  return moment.pending.findLastIndex(
    ({ kind }, index) => kind === 'write' && kept[index] === true,
  );
}

/** Without the changes of names that rest on one that is not there. */
function withOrderOfNames(moment: Moment, kept: readonly boolean[]): boolean[] {
  const lost = new Set<string>();
  return moment.pending.map((change, index) => {
    if (change.kind !== 'names') return kept[index] === true;
    const touched = change.changes.map(({ path }) => path);
    if (kept[index] === true && !touched.some((path) => lost.has(path))) return true;
    for (const path of touched) lost.add(path);
    return false;
  });
}

/** Of more pending changes than this, the oldest are taken back together or not at all. */
const freeMax = 10;
const sectorBytes = 512;

/** All choices of a moment: every subset of the newest ten changes, the last write cut at every byte that shows. */
export function* choicesAt(moment: Moment): Generator<Choice> {
  const count = moment.pending.length;
  const free = Math.min(count, freeMax);
  for (const older of count > free ? [true, false] : [true]) {
    for (let bits = 0; bits < 2 ** free; bits++) {
      const kept = moment.pending.map((_change, index) =>
        index < count - free ? older : ((bits >> (index - count + free)) & 1) === 1,
      );
      // Another subset of the same names gives the same images.
      if (withOrderOfNames(moment, kept).some((keeps, index) => keeps !== kept[index])) continue;
      for (const lastWriteBytes of cutsOf(moment, kept)) yield { kept, lastWriteBytes };
      yield { kept };
    }
  }
}

/**
 * Where a cut of the last write shows: behind each byte that differs from the one before. Zeros that make
 * the file longer show in its length only, which is taken at the sectors' ends and beside them.
 */
function cutsOf(moment: Moment, kept: readonly boolean[]): number[] {
  const index = lastWrite(moment, kept);
  const write = moment.pending[index];
  if (write?.kind !== 'write') return [];
  const files = new Map(moment.files);
  for (const [at, change] of moment.pending.entries()) {
    if (at < index && kept[at] === true && change.kind !== 'names') apply(change, files, new Map());
  }
  const under = files.get(write.file) ?? nothing;
  const cuts: number[] = [];
  for (let length = 1; length < write.bytes.length; length++) {
    const at = write.offset + length - 1;
    const byte = write.bytes[length - 1];
    const beside = (at + 1) % sectorBytes;
    const shows =
      at < under.length
        ? byte !== under[at]
        : byte !== 0 || beside <= 1 || beside === sectorBytes - 1;
    if (shows) cuts.push(length);
  }
  return cuts;
}

const keepChances = [0.2, 0.5, 0.8] as const;

/** One of the choices, by chance: the last write that is left is cut in two of three. */
export function randomChoice(moment: Moment, prng: Prng): Choice {
  const keep = keepChances[prng.below(keepChances.length)] as number;
  const drawn = moment.pending.map(() => prng.chance(keep));
  const kept = withOrderOfNames(moment, drawn);
  const cuts = prng.below(3) > 0 ? cutsOf(moment, kept) : [];
  const lastWriteBytes = cuts[prng.below(Math.max(1, cuts.length))];
  return lastWriteBytes === undefined ? { kept } : { kept, lastWriteBytes };
}
