/** A simulated machine: a disk with its faults, and what a loss of power makes of it. */
import { equalBytes } from '../base/index.ts';
import type { SimFaults } from './faults.ts';
import { SimDisk } from './disk.ts';
import type { ProcessOptions } from './process.ts';
import { SimProcess } from './process.ts';
import type { SimScheduler } from './scheduler.ts';

const imagesMax = 4;

export interface MachineOptions {
  readonly seed: number;
  readonly scheduler: SimScheduler;
  /** Told when the disk acknowledges a write that it does not make. */
  readonly onLie: () => void;
  /** What the disk holds at first, all of it durable. Default: nothing. */
  readonly image?: ReadonlyMap<string, Uint8Array>;
}

export class SimMachine {
  readonly #options: MachineOptions;
  readonly #processes = new Set<SimProcess>();
  readonly #listeners: { readonly onLie: () => void; readonly onStop: () => void };
  #disk: SimDisk;
  #faults: SimFaults = {};

  constructor(options: MachineOptions) {
    this.#options = options;
    this.#listeners = { onLie: options.onLie, onStop: () => this.#endAll() };
    this.#disk = SimDisk.fromImage(options.image ?? new Map(), {
      ...options,
      ...this.#listeners,
    });
  }

  get disk(): SimDisk {
    return this.#disk;
  }

  /** Adds to the faults that are armed. Numbers of calls are the disk's own. */
  arm(faults: SimFaults): void {
    this.#faults = {
      ...this.#faults,
      ...faults,
      fail: [...(this.#faults.fail ?? []), ...(faults.fail ?? [])],
      falseWrites: [...(this.#faults.falseWrites ?? []), ...(faults.falseWrites ?? [])],
    };
    this.#disk.setFaults(this.#faults);
  }

  disarm(): void {
    this.#faults = {};
    this.#disk.setFaults({});
  }

  start(options: ProcessOptions = {}): SimProcess {
    const simProcess = new SimProcess(this.#disk, this.#options.scheduler, options);
    this.#processes.add(simProcess);
    return simProcess;
  }

  /** Ends all processes, and starts again with what the disk then holds: decided by `dice` alone. */
  losePower(dice: number): void {
    this.#endAll();
    const plain = [this.#disk.durableImage(), this.#disk.image()];
    let after = this.#disk.crash({ seed: dice, ...this.#listeners });
    // An image that is neither all that was flushed nor all that was written teaches the most.
    for (let tries = 1; tries < imagesMax; tries++) {
      const image = after.image();
      if (!plain.some((other) => sameFiles(image, other))) break;
      after = this.#disk.crash({ seed: dice + tries, ...this.#listeners });
    }
    this.#replace(after);
  }

  /** Puts a good copy in the place of damaged files, and starts again. */
  mend(): void {
    this.#endAll();
    this.#replace(this.#disk.mend(this.#listeners));
  }

  #endAll(): void {
    for (const simProcess of this.#processes) simProcess.kill();
    this.#processes.clear();
  }

  /** What counts calls or writes counted those of the old disk; what lasts goes on. */
  #replace(disk: SimDisk): void {
    const { capacityBytes, flushMicrosMax } = this.#faults;
    this.#disk = disk;
    this.#faults = {};
    this.arm({
      ...(capacityBytes !== undefined && { capacityBytes }),
      ...(flushMicrosMax !== undefined && { flushMicrosMax }),
    });
  }
}

type Image = ReadonlyMap<string, Uint8Array>;

function sameFiles(left: Image, right: Image): boolean {
  if (left.size !== right.size) return false;
  return [...left].every(([path, bytes]) => {
    const other = right.get(path);
    return other !== undefined && equalBytes(bytes, other);
  });
}
