/** `state-hash`: `insert-64` with the state hash kept and without, in turns, and at the end what is left to do when it is asked for. */
import process from 'node:process';
import type { OpenOptions, TenantHandle, Verity } from 'veritydb';
import { insertAll } from './inserts.ts';
import { type Line, quantile, round, type Slice, timed } from './measure.ts';
import { makeTenants, Place } from './place.ts';
import { insertRow, makeRows, Numbers } from './rows.ts';

const rounds = 6;
const writers = 64;
const rowsPerSlice = 100_000;

/** One database, and whether what is measured is kept from it. */
interface Kind {
  readonly name: string;
  readonly isKept: boolean;
  readonly db: Verity;
  readonly tenants: readonly TenantHandle[];
}

/** With the seconds of the processor, in user and system mode. */
interface Round extends Slice {
  readonly processorSeconds: number;
}

/** What is measured: `insert-64` with it, in kinds of databases that take turns, and, in the last one, without. */
export interface Measured {
  /** Names of the kinds, and how each is opened; the last one is without. */
  readonly kinds: readonly { readonly bench: string; readonly options?: OpenOptions }[];
  /** Switches off, in this process, what costs. */
  readonly switchOff: (isOff: boolean) => void;
  /** What is left to do at the end. */
  readonly rest: (db: Verity) => Promise<unknown>;
}

export async function stateHashCost(): Promise<Line[]> {
  const kinds = [{ bench: 'state-hash' }, { bench: 'state-hash-without' }];
  return costOf({ kinds, switchOff: await patch(), rest: (db) => db.stateHash() });
}

export async function costOf({ kinds: wanted, switchOff, rest }: Measured): Promise<Line[]> {
  const place = new Place();
  const kinds: Kind[] = [];
  try {
    for (const [index, { bench: name, options }] of wanted.entries()) {
      const isKept = index < wanted.length - 1;
      const db = await place.open(name, options);
      kinds.push({ name, isKept, db, tenants: await makeTenants(db, 1) });
    }
    const numbers = new Numbers(3);
    const slices: Round[][] = kinds.map(() => []);
    for (let round = -1; round < rounds; round++) {
      for (const [index, kind] of kinds.entries()) {
        switchOff(!kind.isKept);
        const rows = makeRows(numbers, rowsPerSlice);
        const slice = await oneRound(async () => {
          await insertAll(rows, writers, (row) =>
            (kind.tenants[0] as TenantHandle).execute(insertRow, row),
          );
          return rows.length;
        });
        if (round >= 0) (slices[index] as Round[]).push(slice);
      }
    }
    const without = slices.at(-1) as Round[];
    const lines: Line[] = [];
    for (const [index, { name, isKept, db }] of kinds.entries()) {
      const kept = slices[index] as Round[];
      const line = lineOf(name, kept, without);
      if (!isKept) {
        lines.push(line);
        continue;
      }
      switchOff(false);
      const left = await oneRound(async () => {
        await rest(db);
        return 1;
      });
      lines.push({ ...line, ...amortised([...kept, left], without) });
    }
    return lines;
  } finally {
    for (const { db } of kinds) await db.close();
    place.remove();
  }
}

async function oneRound(work: () => Promise<number>): Promise<Round> {
  const before = process.cpuUsage();
  const slice = await timed(work);
  const { user, system } = process.cpuUsage(before);
  return { ...slice, processorSeconds: (user + system) / 1e6 };
}

/** What all rounds took, with what was left to do at the end, as shares of what they take without. */
function amortised(kept: readonly Round[], without: readonly Round[]): Record<string, number> {
  const sum = (all: readonly Round[], of: (round: Round) => number): number =>
    all.reduce((total, each) => total + of(each), 0);
  const seconds = ({ seconds: each }: Round): number => each;
  const processor = ({ processorSeconds: each }: Round): number => each;
  return {
    amortisedSeconds: round(sum(kept, seconds) / sum(without, seconds)),
    amortisedProcessor: round(sum(kept, processor) / sum(without, processor)),
    restSeconds: round(kept.at(-1)?.seconds ?? 0),
  };
}

function lineOf(bench: string, slices: readonly Round[], reference: readonly Round[]): Line {
  const rates = slices.map(({ count, seconds }) => count / seconds);
  const ratios = slices.map((slice, index) => (reference[index] as Round).seconds / slice.seconds);
  const processor = slices.map(({ processorSeconds, count }) => (processorSeconds / count) * 1e6);
  const late = slices.map(({ timerLateMs }) => timerLateMs?.max ?? 0);
  return {
    bench,
    unit: 'rows',
    perSecond: Math.round(quantile(rates, 0.5)),
    seconds: round(slices.reduce((sum, { seconds }) => sum + seconds, 0)),
    ratio: round(quantile(ratios, 0.5)),
    spread: [round(quantile(ratios, 0.25)), round(quantile(ratios, 0.75))],
    processorMicrosPerRow: round(quantile(processor, 0.5)),
    timerLateMaxMs: round(Math.max(...late)),
  };
}

/** What is patched: the class as the package itself uses it. */
interface Patched {
  note(events: readonly unknown[], leaves: Uint8Array, position: number): void;
}

/** Makes it possible to keep rows from the state hash; returns the switch. */
async function patch(): Promise<(isOff: boolean) => void> {
  const url = new URL('../dist/engine/index.js', import.meta.url).href;
  const { StateHasher } = (await import(url)) as { StateHasher: { prototype: Patched } };
  const { prototype } = StateHasher;
  const note = Reflect.get(prototype, 'note') as Patched['note'];
  let off = false;
  prototype.note = function (this: Patched, events, leaves, position) {
    note.call(this, off ? [] : events, leaves, position);
  };
  return (isOff) => {
    off = isOff;
  };
}
