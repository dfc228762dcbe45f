/** A database whose clock the test moves, and the tables that the model keeps beside it. */
import { type Clock, type TimestampMicros } from '../../../src/base/index.ts';
import { keys, type TenantHandle, Verity } from '../../../src/database/index.ts';
import { systemEntropy, systemScheduler } from '../../../src/host/index.ts';
import { ramDisk, SimDisk } from '../../../src/sim/index.ts';
import type { Row } from './conditions.ts';
import type { Timestamps } from './kinds.ts';
import type { Table } from './model.ts';

/** A table's rows from a position and a time on. */
export interface Version {
  readonly position: bigint;
  readonly micros: number;
  readonly rows: readonly Row[];
}

/** A table as the database and the model know it. */
export interface Twin {
  readonly name: string;
  readonly table: Table;
  /** From CREATE TABLE on, oldest first. */
  readonly versions: Version[];
}

class StepClock implements Clock {
  micros = 1_900_000_000_000_000;
  now(): TimestampMicros {
    return this.micros as TimestampMicros;
  }
}

/** Not a multiple of a millisecond, so that several commands share one. */
const stepMicros = 333;
const tenantName = 'model';

export class World {
  readonly timestamps: Timestamps;
  readonly twins: Twin[] = [];
  readonly #masterKey = keys.fromPassphrase('the model');
  readonly #clock = new StepClock();
  #disk = ramDisk();
  #db: Verity | undefined;
  #tenant: TenantHandle | undefined;
  #count = 0;

  constructor(timestamps: Timestamps) {
    this.timestamps = timestamps;
  }

  get tenant(): TenantHandle {
    if (this.#tenant === undefined) throw new Error('the world is not open');
    return this.#tenant;
  }
  get db(): Verity {
    if (this.#db === undefined) throw new Error('the world is not open');
    return this.#db;
  }
  get micros(): number {
    return this.#clock.micros;
  }

  tick(): void {
    this.#clock.micros += stepMicros;
  }

  newName(): string {
    this.#count += 1;
    return `t${this.#count}`;
  }

  async open(): Promise<void> {
    const host = {
      disk: this.#disk,
      clock: this.#clock,
      entropy: systemEntropy,
      scheduler: systemScheduler,
    };
    this.#db = await Verity.openOn(host, {
      masterKey: this.#masterKey,
      timestamps: this.timestamps,
    });
    const isNew = this.#db.tenants().length === 0;
    this.#tenant = isNew ? await this.#db.createTenant(tenantName) : this.#db.tenant(tenantName);
  }

  /** Opens again what is on the disk: as a clean close leaves it, or as a crash now would. */
  async reopen(how: 'closed' | 'crashed'): Promise<void> {
    if (how === 'closed') await this.db.close();
    const image = how === 'closed' ? this.#disk.image() : this.#disk.durableImage();
    if (how === 'crashed') await this.db.close();
    this.#disk = SimDisk.fromImage(image);
    await this.open();
  }

  async close(): Promise<void> {
    await this.#db?.close();
  }
}
