/**
 * Transactions at the same time are as if one had come after the other: random programs, interleaved step by step,
 * against the checker of histories. VERITY_SERIAL_RUNS makes it longer.
 */
import process from 'node:process';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { OpenTransaction, TenantHandle, Verity } from '../../src/database/index.ts';
import { VerityError } from '../../src/database/index.ts';
import { newDisk, openOn } from '../sdk/support.ts';
import { type Committed, groupOf, groups, type Step, unexplained } from './serial/history.ts';

const runs = Number(process.env['VERITY_SERIAL_RUNS'] ?? 400);
const keys = 4;
const partiesMax = 4;
const conflictsExpected = runs / 10;

type Action = { readonly kind: Step['kind']; readonly key: number };
const action = fc.record({
  kind: fc.constantFrom<Step['kind']>('read', 'count', 'write', 'write', 'remove'),
  key: fc.nat(keys - 1),
});
/** Whose turn it is, and what it does; everybody commits in the order of their last turns. */
const programs = fc.array(fc.record({ party: fc.nat(partiesMax - 1), action }), {
  minLength: 4,
  maxLength: 24,
});

let db: Verity;
let tenant: TenantHandle;
let nextValue = 0;
let committed = 0;
let conflicts = 0;

beforeAll(async () => {
  db = await openOn(newDisk());
  tenant = await db.createTenant('t');
  await tenant.execute('CREATE TABLE kv (k integer PRIMARY KEY, v integer UNIQUE, g integer)');
});

afterAll(() => db.close());

async function state(): Promise<Map<number, number>> {
  const { rows } = await tenant.query('SELECT k, v FROM kv');
  return new Map(rows.map((row) => [row['k'] as number, row['v'] as number]));
}

class Party {
  readonly name: string;
  readonly tx: OpenTransaction;
  readonly steps: Step[] = [];
  snapshot = 0n;

  constructor(name: string) {
    this.name = name;
    this.tx = tenant.begin();
  }

  async act({ kind, key }: Action): Promise<void> {
    const { tx, steps } = this;
    if (kind === 'read') {
      const { rows, position } = await tx.query('SELECT v FROM kv WHERE k = $1', [key]);
      this.snapshot = position;
      steps.push({ kind, key, seen: rows[0]?.['v'] as number | undefined });
    } else if (kind === 'count') {
      const group = key % groups;
      const found = await tx.query('SELECT count(*) AS n FROM kv WHERE g = $1', [group]);
      this.snapshot = found.position;
      steps.push({ kind, group, seen: Number(found.rows[0]?.['n']) });
    } else if (kind === 'remove') {
      this.snapshot = (await tx.execute('DELETE FROM kv WHERE k = $1', [key])).position;
      steps.push({ kind, key });
    } else {
      const value = (nextValue += 1);
      const parameters = [key, value, groupOf(value)];
      const text = 'UPDATE kv SET v = $2, g = $3 WHERE k = $1';
      const { rowCount, position } = await tx.execute(text, parameters);
      this.snapshot = position;
      if (rowCount === 0) await tx.execute('INSERT INTO kv VALUES ($1, $2, $3)', parameters);
      steps.push({ kind, key, value });
    }
  }

  async commit(): Promise<Committed | undefined> {
    const before = db.status().position;
    try {
      const { position } = await this.tx.commit();
      const writes = position > before;
      const { name, steps } = this;
      return { name, steps, writes, position: Number(writes ? position : this.snapshot) };
    } catch (error) {
      if (error instanceof VerityError && error.code === 'TRANSACTION_CONFLICT') return undefined;
      throw error;
    }
  }
}

test(`${runs} programs at the same time are as if one after the other`, async () => {
  await fc.assert(
    fc.asyncProperty(programs, async (turns) => {
      const before = await state();
      const parties = new Map<number, Party>();
      const history: Committed[] = [];
      for (const [index, { party: number, action: step }] of turns.entries()) {
        const party = parties.get(number) ?? new Party(`T${number}`);
        parties.set(number, party);
        await party.act(step);
        if (turns.findLastIndex((turn) => turn.party === number) > index) continue;
        const done = await party.commit();
        if (done === undefined) conflicts += 1;
        else history.push(done);
      }
      committed += history.length;
      expect(unexplained(before, history)).toBeUndefined();
      expect(await state()).toEqual(replay(before, history));
    }),
    { numRuns: runs },
  );
  expect(committed).toBeGreaterThan(runs);
  expect(conflicts).toBeGreaterThan(conflictsExpected);
});

function replay(before: Map<number, number>, history: readonly Committed[]): Map<number, number> {
  const after = new Map(before);
  for (const { steps } of history.toSorted((left, right) => left.position - right.position)) {
    for (const step of steps) {
      if (step.kind === 'write') after.set(step.key, step.value);
      else if (step.kind === 'remove') after.delete(step.key);
    }
  }
  return after;
}

describe('the checker finds', () => {
  const two = new Map([
    [0, 10],
    [1, 12],
  ]);
  const read = (key: number, seen: number): Step => ({ kind: 'read', key, seen });
  const write = (key: number, value: number): Step => ({ kind: 'write', key, value });
  const done = (name: string, position: number, steps: Step[], writes = true): Committed => ({
    name,
    position,
    steps,
    writes,
  });

  test.each<[string, Committed[]]>([
    [
      'write skew',
      [
        done('A', 1, [read(0, 10), read(1, 12), write(0, 20)]),
        done('B', 2, [read(0, 10), read(1, 12), write(1, 22)]),
      ],
    ],
    [
      'a lost update',
      [done('A', 1, [read(0, 10), write(0, 11)]), done('B', 2, [read(0, 10), write(0, 12)])],
    ],
    [
      'a phantom',
      [
        done('A', 1, [{ kind: 'count', group: 0, seen: 2 }, write(2, 30)]),
        done('B', 2, [{ kind: 'count', group: 0, seen: 2 }, write(3, 32)]),
      ],
    ],
    [
      'the anomaly of one that only reads',
      [
        done('A', 1, [read(0, 10), read(1, 12), write(1, 40)]),
        done('B', 2, [write(0, 50)]),
        done('C', 2, [read(0, 50), read(1, 12)], false),
      ],
    ],
  ])('%s', (_what, history) => {
    expect(unexplained(two, history)).toBeDefined();
  });

  test('nothing in what one after the other gives', () => {
    const history = [done('A', 1, [read(0, 10), write(0, 11)]), done('B', 2, [read(0, 11)], false)];
    expect(unexplained(two, history)).toBeUndefined();
  });
});
