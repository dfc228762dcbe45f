/** State proofs of random states: what is there proves, what is not proves that, and nothing changed proves anything untrue. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  equalBytes,
  type ObjectId,
  type Position,
  Prng,
  type StoreKey,
  type TenantId,
  toHex,
} from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import { SecretKey, sha256 } from '../crypto/index.ts';
import { leafBytes } from '../log/index.ts';
import { provedState, type StateProof, type StateWay } from '../proof/index.ts';
import type { RecordTree } from './checkpoint-records.ts';
import { StateHasher } from './state-hasher.ts';

class Records implements RecordTree {
  readonly #map = new Map<StoreKey, Uint8Array>();
  reads = 0;
  get(key: StoreKey): Uint8Array | undefined {
    this.reads += 1;
    return this.#map.get(key)?.slice();
  }
  put(key: StoreKey, record: Uint8Array | undefined): void {
    if (record === undefined) this.#map.delete(key);
    else this.#map.set(key, record.slice());
  }
}

const keyOf = (row: number): string =>
  String.fromCharCode(row & 0xff, row >> 8).repeat(row % 7 === 0 ? 150 : 1);
const bytesOf = (key: string): Uint8Array => Uint8Array.from(key, (char) => char.charCodeAt(0));
const nameOf = (tenant: number, table: number, key: Uint8Array): string =>
  `${tenant}/${table}/${toHex(key)}`;

/** A state with what it is made of: the commitments of all rows that are there. */
class World {
  readonly records = new Records();
  readonly rows = new Map<string, Uint8Array>();
  readonly #hasher: StateHasher;
  #position = 0;
  #next = 0;

  constructor(seed = 5) {
    const key = new SecretKey(new Uint8Array(32).fill(seed));
    this.#hasher = new StateHasher(() => this.records, key);
  }

  change(tenant: number, table: number, rows: readonly number[], isThere = true): void {
    const leaves = new Uint8Array(rows.length * leafBytes);
    const events = rows.map((row, index) => {
      const commitment = sha256(bytesOf(`commitment ${this.#next++}`));
      leaves.set(commitment, index * leafBytes + 2);
      const key = keyOf(row);
      const name = nameOf(tenant, table, bytesOf(key));
      if (isThere) this.rows.set(name, commitment);
      else this.rows.delete(name);
      return { type: isThere ? 'rowUpdated' : 'rowDeleted', tenant, object: table, key };
    });
    this.#note(events, leaves);
  }

  drop(tenant: number, table: number): void {
    for (const name of this.rows.keys())
      if (name.startsWith(`${tenant}/${table}/`)) this.rows.delete(name);
    const schema = new TextEncoder().encode(JSON.stringify({ id: table, dropped: true }));
    this.#note(
      [{ type: 'tableDefined', tenant, object: table, schema }],
      new Uint8Array(leafBytes),
    );
  }

  get hash(): Uint8Array {
    return this.#hasher.newest.hash;
  }

  prove(tenant: number, table: number, row: number): StateProof {
    return this.#hasher.prove({
      tenant: tenant as TenantId,
      table: table as ObjectId,
      key: bytesOf(keyOf(row)),
    });
  }

  /** Whether the proof is believed; if it is, what it says must be so. */
  isBelieved(proof: StateProof): boolean {
    const proved = provedState(sha256, proof);
    if (typeof proved === 'string' || !equalBytes(proved.stateHash, this.hash)) return false;
    const { commitment } = proved;
    const truth = this.rows.get(nameOf(proof.tenant, proof.table, proof.key));
    expect(commitment && toHex(commitment)).toBe(truth && toHex(truth));
    return true;
  }

  #note(events: readonly object[], leaves: Uint8Array): void {
    this.#position += 1;
    const position = this.#position as Position;
    this.#hasher.note(events as readonly LogEvent[], leaves, position);
    this.#hasher.updateNow();
  }
}

const span = (count: number, first = 0): number[] =>
  Array.from({ length: count }, (_, index) => first + index);

/** Tables of many sizes, one of them dropped, for three tenants. */
function manyTables(): World {
  const world = new World();
  for (const [index, rows] of [1, 3, 14, 15, 40, 400].entries())
    world.change(1, 16 + index, span(rows));
  world.change(2, 16, span(30, 500));
  world.change(2, 17, span(60));
  world.drop(2, 17);
  for (const tenant of span(40, 3)) world.change(tenant, 16, [1, 2]);
  return world;
}

/** All ways in which whoever answers may change a way by little. */
function* changedWays(way: StateWay, other: StateWay): Generator<StateWay> {
  const { branches, bucket, count } = way;
  const withBranch = (index: number, branch: StateWay['branches'][number]): StateWay => ({
    ...way,
    branches: branches.with(index, branch),
  });
  for (const delta of [-1, 1, 14, 15, 2 ** 32]) yield { ...way, count: count + delta };
  yield { ...way, count: 0 };
  yield { branches: [], count: 0 };
  yield { branches: [], bucket: other.bucket, count };
  yield { ...way, bucket: other.bucket };
  yield { ...way, bucket: undefined };
  yield { ...way, branches: other.branches };
  yield { ...way, branches: branches.slice(1) };
  yield { ...way, branches: branches.slice(0, -1) };
  yield { ...way, branches: [...branches, ...branches.slice(-1)] };
  yield { ...way, branches: branches.toReversed() };
  for (const [index, branch] of branches.entries()) {
    const { children, beside } = branch;
    for (let bits = 0; bits < 16; bits++) {
      yield withBranch(index, { children: bits, beside });
      // The bit of the way is gone and the hash of what is below it stands beside it, and what is left of the way too.
      yield {
        ...withBranch(index, { children: bits, beside: beside.slice(1) }),
        bucket: undefined,
      };
    }
    yield { branches: branches.slice(0, index + 1), count };
    yield {
      branches: [
        ...branches.slice(0, index),
        { children: 15, beside: [...beside, ...beside].slice(0, 4) },
      ],
      count,
    };
    yield withBranch(index, { children, beside: beside.toReversed() });
    yield withBranch(index, { children, beside: beside.slice(1) });
    yield withBranch(index, { children, beside: [...beside, new Uint8Array(32)] });
    for (const [place, hash] of beside.entries()) {
      yield withBranch(index, { children, beside: beside.with(place, new Uint8Array(32)) });
      yield withBranch(index, { children, beside: beside.with(place, hash.subarray(1)) });
      // A branch is shown as what a bucket is, and the other way round.
      yield { ...way, bucket: new Uint8Array([...hash, ...hash]) };
    }
  }
  if (bucket === undefined) {
    yield { ...way, bucket: new Uint8Array(64) };
    yield { ...way, bucket: new Uint8Array() };
    return;
  }
  const entries = span(bucket.length / 64).map((index) =>
    bucket.subarray(64 * index, 64 * index + 64),
  );
  const joined = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
  for (const index of entries.keys()) {
    const fewer = joined(entries.toSpliced(index, 1));
    yield { ...way, bucket: fewer };
    yield { ...way, bucket: fewer, count: count - 1 };
    yield { ...way, bucket: joined([entries[index] as Uint8Array, ...entries]) };
    yield { ...way, bucket: joined([...entries, entries[index] as Uint8Array]), count: count + 1 };
  }
  yield { ...way, bucket: joined(entries.toReversed()) };
  yield { ...way, bucket: bucket.subarray(0, 32) };
  yield { ...way, bucket: bucket.subarray(1) };
  yield { ...way, bucket: new Uint8Array() };
  // What a branch of the bucket's entries, one below the other, would be.
  yield { branches: [...branches, { children: 1, beside: [] }], bucket, count };
  yield {
    branches: [...branches, { children: 3, beside: [entries[0]!.subarray(0, 32)] }],
    bucket,
    count,
  };
}

describe('a state proof', () => {
  test('shows any row of any state as it is, and that any other is not there', () => {
    const change = fc.record({
      tenant: fc.integer({ min: 1, max: 3 }),
      table: fc.integer({ min: 16, max: 19 }),
      rows: fc.array(fc.nat(400), { minLength: 1, maxLength: 150 }),
      isThere: fc.constantFrom(true, true, true, false),
    });
    const wanted = fc.array(fc.tuple(fc.integer({ min: 1, max: 4 }), fc.nat(3), fc.nat(420)));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), wanted, (changes, asked) => {
        const world = new World();
        for (const { tenant, table, rows, isThere } of changes)
          world.change(tenant, table, rows, isThere);
        for (const [tenant, table, row] of asked)
          expect(world.isBelieved(world.prove(tenant, 16 + table, row))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test('takes a read of each level', () => {
    const world = new World();
    world.change(1, 16, span(20_000));
    world.records.reads = 0;
    const proof = world.prove(1, 16, 777);
    expect(world.isBelieved(proof)).toBe(true);
    const depth = (proof.rows?.way.branches.length ?? 0) + proof.tables.branches.length;
    expect(depth).toBeGreaterThan(3);
    // The tops are read once more, for what they count.
    expect(world.records.reads).toBeLessThanOrEqual(depth + 4);
  });

  test('of a table without rows needs none; of one that was dropped shows nothing of what it held', () => {
    const world = manyTables();
    for (const [tenant, table] of [
      [1, 30],
      [2, 17],
      [9, 17],
    ] as const) {
      const proof = world.prove(tenant, table, 5);
      expect(proof.rows).toBeUndefined();
      expect(world.isBelieved(proof)).toBe(true);
    }
    expect(new World().isBelieved(new World().prove(1, 16, 0))).toBe(true);
  });

  test('that is changed in any way proves nothing that is not so', () => {
    const world = manyTables();
    let changed = 0;
    for (const [tenant, table] of [
      ...span(7).map((index) => [1, 16 + index] as const),
      [2, 16],
      [5, 16],
      [9, 40],
    ] as const)
      for (const row of [2, 39, 1_000]) {
        const honest = world.prove(tenant, table, row);
        const others = [world.prove(1, 21, 200), world.prove(1, 18, 1), world.prove(7, 16, 1)];
        expect(world.isBelieved(honest)).toBe(true);
        const { rows } = honest;
        const lies: StateProof[] = [{ ...honest, rows: undefined }];
        for (const other of others) {
          const ways = other.rows ?? { way: other.tables, salt: new Uint8Array(32) };
          lies.push({ ...honest, rows: other.rows }, { ...honest, tables: other.tables });
          lies.push({ ...honest, rows: other.rows, tables: other.tables });
          for (const way of changedWays(honest.tables, other.tables))
            lies.push({ ...honest, tables: way });
          if (rows === undefined) continue;
          lies.push({ ...honest, rows: { ...rows, salt: ways.salt } });
          for (const salt of [new Uint8Array(32), new Uint8Array(), rows.salt.subarray(1)])
            lies.push({ ...honest, rows: { ...rows, salt } });
          for (const way of changedWays(rows.way, ways.way))
            lies.push(
              { ...honest, rows: { ...rows, way } },
              { ...honest, tables: way, rows: { ...rows, way: honest.tables } },
            );
        }
        for (const lie of lies) {
          if (isSame(lie, honest)) continue;
          changed += 1;
          expect(world.isBelieved(lie)).toBe(false);
        }
        // What it names may be another that it shows, too: then that is so.
        for (const named of [0, 1, 16, 17, 2 ** 32, -1, 0.5, Number.NaN])
          for (const other of [
            { ...honest, tenant: named },
            { ...honest, table: named },
          ])
            world.isBelieved(other);
        for (const key of [new Uint8Array(), new Uint8Array(8_193), bytesOf(keyOf(row + 1))])
          world.isBelieved({ ...honest, key });
      }
    expect(changed).toBeGreaterThan(10_000);
  });

  test('is of one state and one key of the state hash alone', () => {
    const world = manyTables();
    const before = world.prove(1, 20, 7);
    const gone = world.prove(1, 20, 77);
    world.change(1, 20, [7, 77]);
    expect(world.isBelieved(before)).toBe(false);
    expect(world.isBelieved(gone)).toBe(false);
    const other = new World(6);
    other.change(1, 20, span(40));
    expect(world.isBelieved(other.prove(1, 20, 7))).toBe(false);
  });

  test('with any bit of it changed proves nothing', () => {
    const world = manyTables();
    const random = new Prng(7);
    for (const [tenant, table, row] of [
      [1, 21, 300],
      [1, 21, 1_000],
      [1, 18, 3],
      [9, 40, 1],
    ] as const) {
      const proof = world.prove(tenant, table, row);
      for (const bytes of byteArraysOf(proof)) {
        if (bytes === proof.key) continue;
        for (let round = 0; round < 40; round++) {
          const [at = 0, bit = 0] = random.bytes(2);
          const place = (at * 7) % bytes.length;
          bytes[place] = (bytes[place] as number) ^ (1 << (bit & 7));
          expect(world.isBelieved(proof)).toBe(false);
          bytes[place] = (bytes[place] as number) ^ (1 << (bit & 7));
        }
      }
      expect(world.isBelieved(proof)).toBe(true);
    }
  });
});

function byteArraysOf({ key, tables, rows }: StateProof): Uint8Array[] {
  const ofWay = ({ branches, bucket }: StateWay): Uint8Array[] => [
    ...branches.flatMap(({ beside }) => beside),
    ...(bucket === undefined ? [] : [bucket]),
  ];
  return [key, ...ofWay(tables), ...(rows === undefined ? [] : [rows.salt, ...ofWay(rows.way)])];
}

const isSame = (left: StateProof, right: StateProof): boolean =>
  JSON.stringify(left, inHex) === JSON.stringify(right, inHex);
const inHex = (_: string, value: unknown): unknown =>
  value instanceof Uint8Array ? toHex(value) : value;
