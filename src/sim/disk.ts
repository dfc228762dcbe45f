/**
 * A disk in memory that behaves as badly as a real one may: see README.md for its promises.
 *
 * Invariant: the same seed and the same calls give the same bytes, failures and crash images.
 */
import {
  assert,
  diskPathNames,
  Prng,
  type Disk,
  type DiskFile,
  type VerityError,
} from '../base/index.ts';
import { CrashDice } from './crash-dice.ts';

import {
  FaultPlan,
  simulatedFailure,
  SimulatedCrash,
  type CallCounts,
  type CallKind,
  type SimFaults,
  type Verdict,
} from './faults.ts';
import { SimFile, type FileHost } from './file.ts';
import { FileNode } from './file-node.ts';
import { type Lie, Lies } from './lies.ts';
import { DirectoryNode, Names } from './names.ts';
import type { SimScheduler } from './scheduler.ts';

export interface SimDiskOptions {
  /** Decides everything that is left to chance. Default 0. */
  readonly seed?: number;
  readonly faults?: SimFaults;
  /** Where background flushes take their time. Without one they end in the next turn of promises. */
  readonly scheduler?: SimScheduler;
  /** Told when the disk acknowledges a write that it does not make. */
  readonly onLie?: () => void;
  /** Told when a call stops the machine. */
  readonly onStop?: () => void;
}

const flushMicrosMin = 100;
const sectorBytes = 512;
const microsPerMilli = 1_000;

/** An empty disk without faults. */
export function ramDisk(): SimDisk {
  return new SimDisk();
}

export class SimDisk implements Disk {
  readonly root = ':simulated:';
  readonly #prng: Prng;
  readonly #scheduler: SimScheduler | undefined;
  readonly #host: FileHost;
  readonly #lies = new Lies();
  readonly #onLie: (() => void) | undefined;
  #names = new Names();
  readonly #plan: FaultPlan;
  #isDead = false;

  constructor(options: SimDiskOptions = {}) {
    this.#prng = new Prng(options.seed ?? 0);
    this.#scheduler = options.scheduler;
    this.#onLie = options.onLie;
    this.#plan = new FaultPlan(options.faults ?? {});
    this.#host = {
      isDead: () => this.#isDead,
      verdict: (kind, path) => this.#verdict(kind, path),
      die: () => {
        this.#isDead = true;
        options.onStop?.();
        throw new SimulatedCrash();
      },
      below: (bound) => this.#prng.below(bound),
      block: () => this.#scheduler?.pass(this.#flushMicros()),
      freeBytes: () => this.#freeBytes(),
      refusesGrowth: () => this.#plan.refusesGrowth(),
      lieAbout: (node, path, lengthBytes) => this.#lieAbout(node, path, lengthBytes),
      wrote: (node, path, lie) => this.#wrote(node, path, lie),
      flushed: (node, through) => this.#lies.flushed(node, through),
      complete: (callback) => this.#complete(callback),
    };
  }

  /** A disk that holds the files of `image` (path → bytes, copied) and their directories, all durable. */
  static fromImage(image: ReadonlyMap<string, Uint8Array>, options: SimDiskOptions = {}): SimDisk {
    const root = new DirectoryNode();
    for (const [path, bytes] of image) {
      const names = [...diskPathNames(path)];
      const name = names.pop() ?? '';
      let directory = root;
      for (const parent of names) directory = durableDirectory(directory, parent);
      const file = new FileNode(bytes);
      directory.entries.set(name, file);
      directory.durable.set(name, file);
    }
    return SimDisk.#fromTree(root, options);
  }

  static #fromTree(root: DirectoryNode, options: SimDiskOptions): SimDisk {
    const disk = new SimDisk(options);
    disk.#names = new Names(root);
    return disk;
  }

  /** How often each method was called. */
  get calls(): CallCounts {
    return this.#plan.calls;
  }

  /** How many calls there were of all kinds: the N of `crashAtCall`. */
  get callCount(): number {
    return this.#plan.callCount;
  }

  /** Whether the machine has stopped. */
  get isDead(): boolean {
    return this.#isDead;
  }

  /** Replaces the faults from the next call on; counting goes on, so give `callCount + n`. */
  setFaults(faults: SimFaults): void {
    this.#plan.replace(faults);
  }

  /** Stops the machine at call `call`; the other faults stay. */
  crashAt(call: number): void {
    this.#plan.crashAt(call);
  }

  /** How many writes that made their file grow there were: the N of `refuseGrowth`. */
  get growthCount(): number {
    return this.#plan.growthCount;
  }

  /** Whether some acknowledged write is missing that nothing durable rests on yet: nobody could know of it. */
  get hidesLie(): boolean {
    return this.#lies.all.some(({ stage, node }) => stage !== 'proven' && node.isDamaged);
  }

  /** The files whose bytes on the medium are not what flushes have promised, under names that are seen or are durable. */
  damagedFiles(): string[] {
    const files = [...this.#names.durableFiles(), ...this.#names.files()];
    return [...new Set(files.filter(([, file]) => file.isDamaged).map(([path]) => path))];
  }

  /** Flips the bits of `mask` in a byte at rest, in memory and on the medium; false if there is none that is. */
  rot(path: string, offset: number, mask: number): boolean {
    return this.#names.files().get(path)?.rot(offset, mask) ?? false;
  }

  /**
   * Stops the machine and returns what is found after a restart: a disk with one of the images that
   * the unsynced changes allow, all of it durable. May be called again for another of the images, or
   * with the same `seed` for the same one.
   */
  crash(options: SimDiskOptions = {}): SimDisk {
    this.#isDead = true;
    const prng = options.seed === undefined ? this.#prng : new Prng(options.seed);
    const tree = this.#names.treeAfterCrash(new CrashDice(prng));
    return this.#successor(tree, options, prng.nextUint32());
  }

  /** Stops the machine; on the disk that it starts with again all damage is undone, as from a good copy. */
  mend(options: SimDiskOptions = {}): SimDisk {
    this.#isDead = true;
    return this.#successor(this.#names.treeMended(), options, this.#prng.nextUint32());
  }

  #successor(tree: DirectoryNode, options: SimDiskOptions, seed: number): SimDisk {
    const scheduler = options.scheduler ?? this.#scheduler;
    return SimDisk.#fromTree(tree, {
      ...options,
      seed,
      ...(scheduler === undefined ? {} : { scheduler }),
    });
  }

  /** The files as reads see them: path → a copy of the bytes. */
  image(): Map<string, Uint8Array> {
    return contents(this.#names.files(), (file) => file.content());
  }

  /** The files as flushes have promised them: no crash loses any of it, unsynced changes may cover it. */
  durableImage(): Map<string, Uint8Array> {
    return contents(this.#names.durableFiles(), (file) => file.durableContent());
  }

  list(directory: string): readonly string[] | undefined {
    return this.#call('list', directory, () => {
      const node = this.#names.find(diskPathNames(directory));
      if (node?.kind === 'file') throw failed('list, not a directory', directory);
      return node === undefined ? undefined : [...node.entries.keys()].sort();
    });
  }

  exists(path: string): boolean {
    return this.#call('exists', path, () => this.#names.find(diskPathNames(path)) !== undefined);
  }

  makeDirectory(path: string): void {
    this.#call('makeDirectory', path, () => {
      let directory = this.#names.root;
      for (const name of diskPathNames(path)) {
        let child = directory.entries.get(name);
        if (child?.kind === 'file') throw failed('makeDirectory, a file is there', path);
        if (child === undefined) {
          child = new DirectoryNode();
          this.#names.apply([{ directory, name, node: child }]);
        }
        directory = child;
      }
    });
  }

  open(path: string, mode: 'create' | 'readwrite' | 'read'): DiskFile {
    const verdict = this.#verdict('open', path, mode === 'create');
    return this.#follow(verdict, () => {
      const { directory, name } = this.#place(path);
      let node = directory.entries.get(name);
      if (node?.kind === 'directory') throw failed('open, a directory', path);
      if (mode === 'create') {
        if (node !== undefined) throw failed('create, already there', path);
        node = new FileNode(new Uint8Array());
        this.#names.apply([{ directory, name, node }]);
      }
      if (node === undefined) throw failed('open, not there', path);
      return new SimFile(this.#host, node, { path, isWritable: mode !== 'read' });
    });
  }

  rename(from: string, to: string): void {
    this.#call('rename', from, () => {
      const source = this.#place(from);
      const target = this.#place(to);
      const node = source.directory.entries.get(source.name);
      const replaced = target.directory.entries.get(target.name);
      if (node?.kind !== 'file') throw failed('rename, no file', from);
      if (replaced?.kind === 'directory') throw failed('rename, a directory is there', to);
      if (replaced === node) return;
      this.#names.apply([
        { ...source, node: undefined },
        { ...target, node },
      ]);
    });
  }

  remove(path: string): void {
    this.#call('remove', path, () => {
      const { directory, name } = this.#place(path);
      if (directory.entries.get(name)?.kind !== 'file') throw failed('remove, no file', path);
      this.#names.apply([{ directory, name, node: undefined }]);
    });
  }

  flushDirectory(path: string): void {
    const verdict = this.#verdict('flushDirectory', path);
    if (verdict === 'crash') this.#host.die();
    const node = this.#names.find(diskPathNames(path));
    if (node?.kind !== 'directory') throw failed('flushDirectory, no directory', path);
    if (verdict === 'pass') {
      this.#names.flush(node);
      return;
    }
    this.#names.fail(node);
    throw verdict;
  }

  #verdict(kind: CallKind, path: string, takesSpace?: boolean): Verdict {
    if (this.#isDead) throw new SimulatedCrash();
    return this.#plan.next(kind, path, takesSpace);
  }

  #call<T>(kind: CallKind, path: string, body: () => T): T {
    return this.#follow(this.#verdict(kind, path), body);
  }

  /** Runs a call as its verdict says. One that crashes may still have happened. */
  #follow<T>(verdict: Verdict, body: () => T): T {
    if (verdict === 'pass') return body();
    if (verdict !== 'crash') throw verdict;
    try {
      body();
    } catch {
      // The machine stops before anybody learns of it.
    }
    return this.#host.die();
  }

  #place(path: string): { readonly directory: DirectoryNode; readonly name: string } {
    const names = diskPathNames(path);
    const directory = this.#names.find(names.slice(0, -1));
    const name = names.at(-1);
    if (name === undefined || directory?.kind !== 'directory')
      throw failed('look-up, no such directory', path);
    return { directory, name };
  }

  #freeBytes(): number {
    if (this.#plan.capacityBytes === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    let usedBytes = 0;
    for (const file of this.#names.files().values()) usedBytes += file.sizeBytes;
    return Math.max(0, this.#plan.capacityBytes - usedBytes);
  }

  #lieAbout(node: FileNode, path: string, lengthBytes: number): Lie | undefined {
    const found = this.#plan.falseWrite;
    if (found === undefined) return undefined;
    const target =
      found.strayTo === undefined ? undefined : this.#strayTarget(found.strayTo, lengthBytes);
    return { path, node, target, stage: 'written' };
  }

  /** A place in a file of some size where a write might end up: at a sector, as on a real disk. */
  #strayTarget(pick: number, lengthBytes: number): Lie['target'] {
    const files = [...this.#names.files()].filter(([, file]) => file.sizeBytes >= sectorBytes);
    const found = files[pick % Math.max(1, files.length)];
    if (found === undefined) return undefined;
    const [path, node] = found;
    const sectors = Math.max(1, Math.floor((node.sizeBytes - lengthBytes) / sectorBytes));
    const offset = (Math.floor(pick / files.length) % sectors) * sectorBytes;
    return { path, node, offset };
  }

  #wrote(node: FileNode, path: string, lie: Lie | undefined): void {
    if (lie !== undefined) {
      this.#lies.told(lie, node);
      this.#onLie?.();
    } else if (path.startsWith('log/') || path === 'anchor') {
      this.#lies.wrote(node);
    }
  }

  #complete(callback: () => void): void {
    if (this.#scheduler === undefined) {
      void Promise.resolve().then(callback);
    } else {
      this.#scheduler.delay(this.#flushMicros() / microsPerMilli, callback);
    }
  }

  #flushMicros(): number {
    const spread = Math.max(1, this.#plan.flushMicrosMax - flushMicrosMin);
    return flushMicrosMin + this.#prng.below(spread);
  }
}

function failed(what: string, path: string): VerityError {
  return simulatedFailure('IO_ERROR', what, path);
}

function durableDirectory(parent: DirectoryNode, name: string): DirectoryNode {
  const there = parent.entries.get(name);
  assert(there?.kind !== 'file', 'a path of an image is a file or a directory, not both');
  const directory = there ?? new DirectoryNode();
  parent.entries.set(name, directory);
  parent.durable.set(name, directory);
  return directory;
}

function contents(
  files: ReadonlyMap<string, FileNode>,
  of: (file: FileNode) => Uint8Array,
): Map<string, Uint8Array> {
  const image = new Map<string, Uint8Array>();
  for (const [path, file] of files) image.set(path, of(file));
  return image;
}
