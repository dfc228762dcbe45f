/** Durable single-row inserts by 64 writers, beside PostgreSQL without and with a hash-chained audit trail. */
import { insertAll } from '../inserts.ts';
import { Place } from '../place.ts';
import { insertRow, makeRows, Numbers } from '../rows.ts';
import { checkOurs, createIndex, Expected, ourTable } from './ours.ts';
import { Postgres } from './postgres.ts';
import { compareInTurns, type Peer, type Result, type Scale } from './turns.ts';

const writers = 64;
/** A slice of each takes about a second or two on an idle machine; what is compared are rates. */
const rowsPerSlice = { ours: 60_000, plain: 20_000, audited: 5_000 };
const aims = { plain: 4, audited: 15 };

export interface Variant {
  readonly indexed: boolean;
}

/** `insert-64` or `insert-64-indexed`. */
export async function inserts(scale: Scale, { indexed }: Variant): Promise<Result[]> {
  const suffix = indexed ? '-indexed' : '';
  const place = new Place();
  const server = await Postgres.start(place.folder);
  const db = await place.open('ours');
  try {
    const tenant = await ourTable(db, { indexed });
    const numbers = new Numbers(1);
    const expected = new Expected();
    const slice = () => {
      const rows = makeRows(numbers, scale.of(rowsPerSlice.ours));
      expected.add(rows);
      return insertAll(rows, writers, (row) => tenant.execute(insertRow, row));
    };
    const details = { index: indexed ? createIndex : 'none' };
    const ours = { bench: `insert-64${suffix}`, unit: 'rows', slice, details };
    const names = [`postgres-insert-64${suffix}`, `postgres-audited-insert-64${suffix}`];
    if (server instanceof Error) {
      const lines = await compareInTurns(ours, [], scale.rounds);
      await checkOurs(tenant, expected);
      return [...lines, ...names.map((bench) => ({ bench, skipped: server.message }))];
    }
    const peers = [
      new PostgresPeer(server, names[0] ?? '', { indexed, audited: false }, scale),
      new PostgresPeer(server, names[1] ?? '', { indexed, audited: true }, scale),
    ];
    const lines = await compareInTurns(ours, peers, scale.rounds);
    await checkOurs(tenant, expected);
    for (const peer of peers) peer.check();
    return lines;
  } finally {
    await db.close();
    if (!(server instanceof Error)) await server.stop();
    place.remove();
  }
}

class PostgresPeer implements Peer {
  readonly bench: string;
  readonly unit = 'rows';
  readonly aim: number;
  readonly details: Readonly<Record<string, string>>;
  readonly #server: Postgres;
  readonly #kind: 'plain' | 'audited';
  readonly #rowsPerSlice: number;
  #rows = 0;

  constructor(
    server: Postgres,
    bench: string,
    options: { readonly indexed: boolean; readonly audited: boolean },
    scale: Scale,
  ) {
    this.bench = bench;
    this.details = server.details;
    this.#server = server;
    this.#kind = options.audited ? 'audited' : 'plain';
    this.aim = aims[this.#kind];
    this.#rowsPerSlice = scale.of(rowsPerSlice[this.#kind]);
    server.create(this.#kind, options);
  }

  async slice() {
    const slice = await this.#server.insert(this.#kind, writers, this.#rowsPerSlice);
    this.#rows += slice.count;
    return slice;
  }

  check(): void {
    this.#server.check(this.#kind, this.#rows, this.#kind === 'audited');
  }
}
