/** An index built in steps beside writers is the index that one pass over the rows would give, and replay agrees. */
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import {
  type ObjectId,
  type StoreKey,
  type TenantId,
  type TimestampMicros,
  treeOf,
} from '../base/index.ts';
import {
  decodeEvent,
  encodeEvent,
  type LogEvent,
  type TableSchema,
  Writer,
} from '../codec/index.ts';
import { bytesOfKey, indexKey, loadParser, parseScript, tableRowCodec } from '../sql/index.ts';
import { MemoryStore } from '../store/index.ts';
import type { Command, Decision, Outcome } from './command.ts';
import { decide } from './decide.ts';
import { tablesBuilding, tablesOf } from './objects.ts';
import { KernelState } from './state.ts';

const tenant = 1 as TenantId;
const context = { time: 1_000 as TimestampMicros };
const rowCount = 700;

beforeAll(loadParser);

/** A state that keeps its log. */
class Kernel {
  readonly state = new KernelState(new MemoryStore());
  readonly log: LogEvent[][] = [];

  decide(command: Command): Decision {
    const decision = decide(this.state, command, context);
    if (decision.kind === 'accepted') this.replay(decision.events);
    return decision;
  }

  replay(events: readonly LogEvent[]): void {
    const changes = this.state.evolve(events);
    this.state.commit((events[0] as LogEvent).position, changes);
    this.log.push([...events]);
  }

  run(text: string): Outcome {
    const [statement] = parseScript(text);
    if (statement === undefined) throw new Error('no statement');
    const decision = this.decide({
      kind: 'statement',
      tenant,
      statement,
      parameters: [],
      origin: {},
    });
    if (decision.kind === 'rejected') throw decision.error;
    if (decision.kind === 'wanting') throw new Error('no large values here');
    return decision.outcome;
  }

  get table(): TableSchema {
    return tablesOf(this.state.store, tenant)[0] as TableSchema;
  }
}

function kernelWithRows(): Kernel {
  const kernel = new Kernel();
  kernel.run('CREATE TABLE t (id integer PRIMARY KEY, a integer, b text)');
  const values = Array.from({ length: rowCount }, (_, id) => `(${id * 2}, ${id % 50}, 'b${id}')`);
  kernel.run(`INSERT INTO t VALUES ${values.join(', ')}`);
  return kernel;
}

/** One step of building the table's first index; where the next begins. */
function step(kernel: Kernel, index: ObjectId, from: StoreKey | undefined): StoreKey | undefined {
  const place = { tenant, table: kernel.table.id, index };
  const decision = kernel.decide({ kind: 'buildIndex', ...place, from, origin: {} });
  if (decision.kind === 'rejected') throw decision.error;
  return decision.kind === 'accepted' ? decision.outcome.next : undefined;
}

function entriesOf(kernel: Kernel, object: ObjectId): [StoreKey, Uint8Array][] {
  const entries: [StoreKey, Uint8Array][] = [];
  const cursor = kernel.state.store.scan(treeOf(tenant, object), {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next())
    entries.push([entry.key, entry.row]);
  return entries;
}

/** What one pass over the rows gives. */
function expectedEntries({ state, table }: Kernel): [StoreKey, Uint8Array][] {
  const index = table.indexes[0];
  const codec = tableRowCodec(table);
  const entries: [StoreKey, Uint8Array][] = [];
  const cursor = state.store.scan(treeOf(tenant, table.id), {});
  for (let row = cursor.next(); row !== undefined; row = cursor.next())
    if (index !== undefined)
      entries.push([indexKey(table, index, codec.decode(row.row), row.key), bytesOfKey(row.key)]);
  return entries.toSorted(([left], [right]) => (left < right ? -1 : 1));
}

const id = fc.integer({ min: -5, max: rowCount * 2 + 5 });
const write = fc.oneof(
  id.map((each) => `INSERT INTO t VALUES (${each}, 7, 'n') ON CONFLICT (id) DO UPDATE SET a = 8`),
  id.map((each) => `UPDATE t SET a = 9 WHERE id = ${each}`),
  id.map((each) => `UPDATE t SET b = 'z' WHERE id = ${each}`),
  fc
    .tuple(id, id)
    .map(
      ([from, to]) =>
        `UPDATE t SET id = ${to} WHERE id = ${from} AND id <> ${to} AND NOT EXISTS (SELECT 1 FROM t WHERE id = ${to})`,
    ),
  id.map((each) => `DELETE FROM t WHERE id = ${each}`),
  fc.constant('ALTER TABLE t ADD c integer DEFAULT 1'),
);

test('writes between the steps of a build leave neither a gap nor a stray entry', () => {
  fc.assert(
    fc.property(
      fc.array(fc.array(write, { maxLength: 12 }), { minLength: 3, maxLength: 3 }),
      (turns) => {
        const kernel = kernelWithRows();
        const { building = [] } = kernel.run('CREATE INDEX i ON t (a DESC)');
        const place = building[0];
        if (place === undefined) throw new Error('the index was to be built');
        expect(tablesBuilding(kernel.state.store)).toEqual([{ tenant, table: place.table }]);
        let from: StoreKey | undefined;
        let altered = false;
        for (const [turn, writes] of turns.entries()) {
          for (const text of writes) {
            if (text.startsWith('ALTER') && altered) continue;
            altered ||= text.startsWith('ALTER');
            kernel.run(text);
          }
          expect(kernel.table.indexes).toEqual([]);
          from = step(kernel, place.index, from);
          expect(from === undefined).toBe(turn === 2);
        }
        expect(kernel.table.building).toBeUndefined();
        expect(tablesBuilding(kernel.state.store)).toEqual([]);
        expect(entriesOf(kernel, place.index)).toEqual(expectedEntries(kernel));
        const again = new Kernel();
        for (const events of kernel.log) again.replay(events.map(throughBytes));
        expect(entriesOf(again, place.index)).toEqual(entriesOf(kernel, place.index));
      },
    ),
    { numRuns: 6 },
  );
});

function throughBytes(event: LogEvent): LogEvent {
  const writer = new Writer(256);
  encodeEvent(writer, event);
  return decodeEvent(writer.finish());
}

test('rows alike end the build of a unique index, wherever they were written', () => {
  const kernel = kernelWithRows();
  const place = kernel.run('CREATE UNIQUE INDEX u ON t (b)').building?.[0];
  if (place === undefined) throw new Error('the index was to be built');
  const next = step(kernel, place.index, undefined);
  // What is entered already is held against new rows at once; what is not, when the build comes to it.
  expect(() => kernel.run(`INSERT INTO t VALUES (1, 1, 'b0')`)).toThrow(/already has a row/);
  kernel.run(`INSERT INTO t VALUES (1, 1, 'b600')`);
  const later = step(kernel, place.index, next);
  expect(() => step(kernel, place.index, later)).toThrow(/cannot be made/);
  kernel.decide({ kind: 'abandonIndex', ...place, origin: {} });
  expect(kernel.table).toMatchObject({ indexes: [] });
  expect(kernel.table.building).toBeUndefined();
  expect(step(kernel, place.index, later)).toBeUndefined();
});
