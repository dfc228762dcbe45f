/** Reads at older positions beside reads of now, in a table of a million rows of ten versions each. */
import { checked, timed } from '../measure.ts';
import { Place } from '../place.ts';
import { makeRow, Numbers, selectRow, type VisitRow } from '../rows.ts';
import type { TenantHandle } from '../veritydb.ts';
import { loadOurs, ourTable } from './ours.ts';
import { compareInTurns, type Peer, type Result, type Scale } from './turns.ts';

const seed = 5;
const rowsOfTable = 1_000_000;
/** What is read again and again, so that it lies in the cache. */
const rowsRead = 50_000;
const versions = 10;
const readsPerSlice = 25_000;
/** An UPDATE of all rows would be too large a command: one for each first byte of the key. */
const parts = 256;
const updatePart = 'UPDATE visits SET duration = duration + 1 WHERE id >= $1 AND id <= $2';
/** `get-as-of` at least half as fast as `get`, so `get` at most twice as fast. */
const aim = 0.5;

interface Target {
  readonly key: string;
  /** Of its first version. */
  readonly duration: number;
}

/** `get-as-of` with `get` of the same rows as its peer. */
export async function getAsOf(scale: Scale): Promise<Result[]> {
  const place = new Place();
  const db = await place.open('as-of');
  const count = scale.of(rowsOfTable);
  try {
    const tenant = await ourTable(db, { indexed: false });
    const positions = [await loadOurs(tenant, seed, count)];
    while (positions.length < versions) positions.push(await updateAll(tenant, count));
    const bench = new Bench(tenant, targetsOf(Math.min(count, scale.of(rowsRead))), positions);
    const ours: Peer = {
      bench: 'get-as-of',
      unit: 'rows',
      slice: () => bench.atOlder(readsPerSlice),
      details: { rows: count, versions },
    };
    const now: Peer = {
      bench: 'get-of-versioned',
      unit: 'rows',
      aim,
      slice: () => bench.now(readsPerSlice),
    };
    return await compareInTurns(ours, [now], scale.rounds);
  } finally {
    await db.close();
    place.remove();
  }
}

/** Raises the duration of every row; the last position. */
async function updateAll(tenant: TenantHandle, count: number): Promise<bigint> {
  let position = 0n;
  let updated = 0;
  for (let part = 0; part < parts; part++) {
    const start = part.toString(16).padStart(2, '0');
    const range = [
      `${start}000000-0000-0000-0000-000000000000`,
      `${start}ffffff-ffff-ffff-ffff-ffffffffffff`,
    ];
    const result = await tenant.execute(updatePart, range);
    position = result.position;
    updated += result.rowCount;
  }
  checked(updated, count);
  return position;
}

function targetsOf(count: number): Target[] {
  const numbers = new Numbers(seed);
  return Array.from({ length: count }, () => {
    const row: VisitRow = makeRow(numbers);
    return { key: row[0], duration: row[2] };
  });
}

class Bench {
  readonly #tenant: TenantHandle;
  readonly #targets: readonly Target[];
  readonly #positions: readonly bigint[];
  readonly #numbers = new Numbers(6);

  constructor(tenant: TenantHandle, targets: readonly Target[], positions: readonly bigint[]) {
    this.#tenant = tenant;
    this.#targets = targets;
    this.#positions = positions;
  }

  /** Each at a position of its own, where it must have the duration of that version. */
  atOlder(count: number) {
    const targets = this.#pick(count);
    const at = targets.map(() => this.#numbers.below(this.#positions.length));
    return timed(async () => {
      let found = 0;
      for (let index = 0; index < count; index++) {
        const { key, duration } = targets[index] as Target;
        const version = at[index] as number;
        const position = this.#positions[version] as bigint;
        const { rows } = await this.#tenant.queryAt(selectRow, [key], position);
        if (rows[0]?.['duration'] === duration + version) found += 1;
      }
      return checked(found, count);
    });
  }

  now(count: number) {
    const targets = this.#pick(count);
    return timed(async () => {
      let found = 0;
      for (const { key, duration } of targets) {
        const { rows } = await this.#tenant.query(selectRow, [key]);
        if (rows[0]?.['duration'] === duration + versions - 1) found += 1;
      }
      return checked(found, count);
    });
  }

  #pick(count: number): Target[] {
    return Array.from(
      { length: count },
      () => this.#targets[this.#numbers.below(this.#targets.length)] as Target,
    );
  }
}
