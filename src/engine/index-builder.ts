/** Builds indexes on tables that have many rows: in bounded steps, each a command of its own, beside the writers. */
import { type Scheduler, type StoreKey, VerityError } from '../base/index.ts';
import {
  type BuildPlace,
  type Command,
  type KernelState,
  tablesBuilding,
  tableById,
} from '../kernel/index.ts';
import type { CommandResult } from './commit-batch.ts';

export interface IndexBuilderParts {
  readonly state: KernelState;
  readonly scheduler: Scheduler;
  readonly submit: (command: Command) => Promise<CommandResult>;
}

/** What rows can stand against: the index is given up. After any other error the next open goes on. */
const faultsOfRows = new Set(['UNIQUE_VIOLATION', 'VALUE_TOO_LARGE']);

export class IndexBuilder {
  readonly #parts: IndexBuilderParts;
  readonly #running = new Map<string, Promise<void>>();

  constructor(parts: IndexBuilderParts) {
    this.#parts = parts;
  }

  /** Goes on with indexes that an earlier process left unfinished. */
  resume(): void {
    const { state, scheduler } = this.#parts;
    for (const { tenant, table } of tablesBuilding(state.store)) {
      for (const { id } of tableById(state.store, tenant, table)?.building ?? []) {
        scheduler.defer(() => {
          // Whoever asked for it is gone; the index is then complete, given up, or left to the next open.
          this.build({ tenant, table, index: id }).catch(() => undefined);
        });
      }
    }
  }

  /** Resolves when an index is complete or dropped. Rejects with what its rows stand against it for. */
  build(place: BuildPlace): Promise<void> {
    const name = `${place.tenant} ${place.table} ${place.index}`;
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const started = this.#run(place).finally(() => this.#running.delete(name));
    this.#running.set(name, started);
    return started;
  }

  async #run(place: BuildPlace): Promise<void> {
    const { scheduler } = this.#parts;
    let from: StoreKey | undefined;
    do {
      from = await this.#step(place, from);
      // A lone command is answered on its turn: others come to theirs now.
      await new Promise<void>((resolve) => scheduler.defer(resolve));
    } while (from !== undefined);
  }

  async #step(place: BuildPlace, from: StoreKey | undefined): Promise<StoreKey | undefined> {
    const { submit, scheduler } = this.#parts;
    for (;;) {
      try {
        const { outcome } = await submit({ kind: 'buildIndex', ...place, from, origin: {} });
        return outcome.next;
      } catch (error) {
        if (!(error instanceof VerityError)) throw error;
        if (faultsOfRows.has(error.code)) {
          await submit({ kind: 'abandonIndex', ...place, origin: {} });
          throw error;
        }
        if (error.code !== 'OVERLOADED') throw error;
        await new Promise<void>((resolve) => void scheduler.delay(overloadedDelayMs, resolve));
      }
    }
  }
}

const overloadedDelayMs = 10;
