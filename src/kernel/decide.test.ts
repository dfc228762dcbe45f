import { beforeAll, describe, expect, test } from 'vitest';
import {
  type LeafIndex,
  limits,
  type Position,
  type TenantId,
  type TimestampMicros,
  treeOf,
  utf8Encode,
} from '../base/index.ts';
import type { LogEvent, RowEvent, TableSchema } from '../codec/index.ts';
import { loadParser, parseScript, type ParsedStatement, type RowChange } from '../sql/index.ts';
import { firstStoreDifference, MemoryStore } from '../store/index.ts';
import type { Command, CommandOrigin, Decision } from './command.ts';
import { decide } from './decide.ts';
import { tableById } from './objects.ts';
import { ReadSet } from './read-set.ts';
import { KernelState } from './state.ts';

const tenant = 1 as TenantId;
const context = { time: 1_000 as TimestampMicros };
const origin: CommandOrigin = { actor: 'ann', reason: 'test' };
const parsed = new Map<string, ParsedStatement>();

beforeAll(loadParser);

function sql(text: string, parameters: readonly unknown[] = []): Command {
  const statement = parsed.get(text) ?? (parseScript(text)[0] as ParsedStatement);
  parsed.set(text, statement);
  return { kind: 'statement', tenant, statement, parameters, origin };
}

function append(events: readonly unknown[], expectedVersion?: number): Command {
  const data = events.map((event) => utf8Encode(JSON.stringify(event)));
  return { kind: 'append', tenant, stream: 's', events: data, expectedVersion, origin };
}

const define = 'CREATE TABLE t (id integer PRIMARY KEY, name text UNIQUE)';
const insert = 'INSERT INTO t VALUES ($1, $2)';

/** A state, and everything that was accepted into it. */
class Kernel {
  readonly state = new KernelState(new MemoryStore());
  readonly log: LogEvent[][] = [];

  constructor(...setup: readonly string[]) {
    for (const text of setup) this.commit(sql(text));
  }

  /** Decides and applies, without committing. */
  accept(command: Command): Extract<Decision, { kind: 'accepted' }> & { commit(): void } {
    const decision = decide(this.state, command, context);
    if (decision.kind !== 'accepted')
      throw new Error(`${decision.kind}: ${'error' in decision ? decision.error.message : ''}`);
    const changes = this.state.evolve(decision.events);
    return {
      ...decision,
      commit: () => {
        this.state.commit(decision.position, changes);
        this.log.push([...decision.events]);
      },
    };
  }

  commit(command: Command): Extract<Decision, { kind: 'accepted' }> {
    const decision = this.accept(command);
    decision.commit();
    return decision;
  }

  code(command: Command): string {
    const decision = decide(this.state, command, context);
    return decision.kind === 'rejected' ? decision.error.code : decision.kind;
  }
}

function rowsOf(decision: Extract<Decision, { kind: 'accepted' }>): RowEvent[] {
  return decision.events as RowEvent[];
}

describe('decide', () => {
  test('sees what was decided before, committed or not', () => {
    const kernel = new Kernel(define);
    const first = kernel.accept(sql(insert, [1, 'a']));
    expect(kernel.code(sql(insert, [1, 'b']))).toBe('UNIQUE_VIOLATION');
    expect(kernel.code(sql(insert, [2, 'a']))).toBe('UNIQUE_VIOLATION');
    expect(kernel.code(sql('DELETE FROM t WHERE id = 2'))).toBe('unchanged');
    first.commit();
    expect(kernel.code(sql(insert, [1, 'b']))).toBe('UNIQUE_VIOLATION');
  });

  test('is pure: the same state, command and context give the same decision, and change nothing', () => {
    const kernel = new Kernel(define, "INSERT INTO t VALUES (1, 'a')");
    const before = [kernel.state.nextPosition, kernel.state.leafCount];
    for (const command of [
      sql(insert, [2, 'b']),
      sql('UPDATE t SET name = $1', ['z']),
      append([1, 2]),
    ]) {
      expect(decide(kernel.state, command, context)).toEqual(
        decide(kernel.state, command, context),
      );
    }
    expect([kernel.state.nextPosition, kernel.state.leafCount]).toEqual(before);
  });

  test('gives all events of a command one position, and only the first its metadata', () => {
    const kernel = new Kernel(define);
    const { events, position } = kernel.commit(
      sql("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"),
    );
    expect(events.map((event) => event.position)).toEqual([position, position, position]);
    expect(events.map((event) => event.command !== undefined)).toEqual([true, false, false]);
    expect(events[0]?.command).toMatchObject({
      eventCount: 3,
      actor: 'ann',
      reason: 'test',
      time: 1_000,
    });
    expect(events[0]?.command?.statement).not.toMatch(/'[abc]'/);
  });

  test('links each change of a row to the one before, within a command, too, and over a deletion', () => {
    const kernel = new Kernel(define);
    const leaf = (): number => kernel.state.leafCount;
    const inserted = leaf();
    const [event] = rowsOf(kernel.commit(sql(insert, [1, 'a'])));
    expect(event?.previousLeaf).toBeUndefined();
    const updated = leaf();
    expect(rowsOf(kernel.commit(sql("UPDATE t SET name = 'b'")))[0]?.previousLeaf).toBe(inserted);
    const deleted = leaf();
    expect(rowsOf(kernel.commit(sql('DELETE FROM t')))[0]?.previousLeaf).toBe(updated);
    expect(rowsOf(kernel.commit(sql(insert, [1, 'c'])))[0]?.previousLeaf).toBe(deleted);
    const { object, key, row } = event as RowEvent;
    const table = tableById(kernel.state.store, tenant, object) as TableSchema;
    const changes = (['delete', 'insert', 'update'] as const).map((kind) => ({
      kind,
      table,
      key,
      row: kind === 'delete' ? undefined : row,
      previous: undefined,
    }));
    const first = leaf();
    const decision = kernel.commit(transaction(kernel, changes));
    expect(rowsOf(decision).map(({ previousLeaf }) => previousLeaf)).toEqual([
      deleted + 1,
      first,
      first + 1,
    ]);
  });

  test('counts stream versions without gaps, also over what is not committed', () => {
    const kernel = new Kernel();
    const first = kernel.accept(append(['a', 'b'], 0));
    expect(kernel.accept(append(['c'], 2)).outcome.version).toBe(3);
    first.commit();
    expect(kernel.code(append(['x'], 2))).toBe('VERSION_CONFLICT');
    expect(kernel.code(append([], 3))).toBe('unchanged');
  });

  test('refuses a transaction that writes and whose reads have changed, committed or not', () => {
    const kernel = new Kernel(define);
    const { object, key } = rowsOf(kernel.commit(sql(insert, [1, 'a'])))[0] as RowEvent;
    const table = tableById(kernel.state.store, tenant, object) as TableSchema;
    const snapshot = kernel.state.store.appliedPosition;
    const reading = (changes: readonly RowChange[]): Command => {
      const reads = new ReadSet();
      reads.addRange(treeOf(tenant, object), {});
      return { ...transaction(kernel, changes), reads, snapshot };
    };
    const remove = { kind: 'delete', table, key, row: undefined, previous: undefined } as const;
    expect(kernel.code(reading([]))).toBe('unchanged');
    kernel.accept(sql(insert, [2, 'b']));
    expect(kernel.code(reading([remove]))).toBe('TRANSACTION_CONFLICT');
    // Without writes it stands where it read: at its snapshot.
    expect(kernel.code(reading([]))).toBe('unchanged');
  });

  test('refuses what exceeds a limit, with the limit in the message', () => {
    const kernel = new Kernel(define);
    const long = 'x'.repeat(limits.reasonBytesMax + 1);
    const cases: [Command, string][] = [
      [append(Array(limits.commandEventsMax + 1).fill(0)), 'COMMAND_TOO_LARGE'],
      [append(['x'.repeat(limits.valueBytesMax)]), 'VALUE_TOO_LARGE'],
      [{ ...append([1]), origin: { reason: long } }, 'INVALID_ARGUMENT'],
      [{ ...append([1]), origin: { actor: '\ud800' } }, 'INVALID_ARGUMENT'],
      [{ kind: 'createTenant', name: '', origin }, 'INVALID_ARGUMENT'],
      [{ kind: 'createTenant', name: 'a\u0000b', origin }, 'INVALID_ARGUMENT'],
      [
        { kind: 'createTenant', name: 'ä'.repeat(limits.nameBytesMax / 2 + 1), origin },
        'INVALID_ARGUMENT',
      ],
    ];
    for (const [command, code] of cases) expect(kernel.code(command)).toBe(code);
  });

  test('a tenant’s name is taken once', () => {
    const kernel = new Kernel();
    const create: Command = { kind: 'createTenant', name: 'amber', origin };
    expect(kernel.accept(create).outcome.tenant).toBe(1);
    expect(kernel.code(create)).toBe('TENANT_EXISTS');
    expect(kernel.accept({ ...create, name: 'birch' }).outcome.tenant).toBe(2);
  });
});

function transaction(
  kernel: Kernel,
  changes: readonly RowChange[],
): Extract<Command, { kind: 'transaction' }> {
  const { appliedPosition: snapshot } = kernel.state.store;
  return {
    kind: 'transaction',
    tenant,
    snapshot,
    reads: new ReadSet(),
    changes,
    statements: [],
    origin,
  };
}

test("rows that are committed to field by field count with their fields' lengths", () => {
  const columns = Array.from({ length: 999 }, (_, index) => `, c${index} integer`).join('');
  const create = (name: string, options: string): string =>
    `CREATE TABLE ${name} (id integer PRIMARY KEY${columns}) ${options}`;
  const kernel = new Kernel(create('whole', ''), create('cut', "WITH (disclosure = 'field')"));
  const decided = (name: string): string => {
    const decision = kernel.accept(sql(`INSERT INTO ${name} (id) VALUES (1)`));
    const [event] = decision.events as [RowEvent];
    expect(event.cut === undefined).toBe(name === 'whole');
    const table = tableById(kernel.state.overlay, tenant, event.object) as TableSchema;
    const { key, row } = event;
    // 16,000 rows of 130 bytes, and of a thousand lengths that a frame has besides.
    const change: RowChange = { kind: 'insert', table, key, row, previous: undefined };
    const changes = Array.from({ length: 16_000 }, () => change);
    const all = decide(kernel.state, transaction(kernel, changes), context);
    return all.kind === 'rejected' ? all.error.code : all.kind;
  };
  expect(decided('whole')).toBe('accepted');
  expect(decided('cut')).toBe('COMMAND_TOO_LARGE');
});

describe('dropping what was decided', () => {
  test('forgets it, keeps positions strictly increasing and leaves without gaps', () => {
    const kernel = new Kernel(define);
    const [position, leaves] = [kernel.state.nextPosition, kernel.state.leafCount];
    kernel.accept(sql(insert, [1, 'a']));
    kernel.accept(append(['x', 'y']));
    kernel.state.drop(leaves);
    expect(kernel.state.leafCount).toBe(leaves);
    const decision = kernel.commit(sql(insert, [1, 'a']));
    expect(decision.position).toBe(position + 2);
    expect(kernel.commit(append(['z'], 0)).outcome.version).toBe(1);
    expect(kernel.state.leafCount).toBe(leaves + 2);
  });

  test('forgets a table, and what was prepared for it: another of that name may differ', () => {
    const kernel = new Kernel();
    const leaves = kernel.state.leafCount;
    kernel.accept(sql('CREATE TABLE t (id integer PRIMARY KEY)'));
    kernel.accept(sql('INSERT INTO t VALUES (1)'));
    kernel.state.drop(leaves);
    expect(kernel.code(sql('INSERT INTO t VALUES (1)'))).toBe('UNDEFINED_TABLE');
    kernel.commit(sql('CREATE TABLE t (id text PRIMARY KEY, other integer)'));
    expect(kernel.code(sql('INSERT INTO t VALUES (1)'))).not.toBe('UNDEFINED_TABLE');
    expect(rowsOf(kernel.commit(sql("INSERT INTO t VALUES ('x', 2)")))).toHaveLength(1);
  });

  test('never gives a hidden row id, an object or a tenant again', () => {
    const kernel = new Kernel('CREATE TABLE notes (text text)');
    const leaves = kernel.state.leafCount;
    const [lost] = rowsOf(kernel.accept(sql("INSERT INTO notes VALUES ('a')")));
    kernel.state.drop(leaves);
    const [kept] = rowsOf(kernel.commit(sql("INSERT INTO notes VALUES ('b')")));
    expect(kept?.key).not.toBe(lost?.key);
  });
});

test('a replay of the events gives the same store and the same next decisions', () => {
  const kernel = new Kernel(define, 'CREATE TABLE notes (text text)');
  kernel.commit(sql("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')"));
  kernel.accept(sql(insert, [9, 'dropped']));
  kernel.state.drop((kernel.state.leafCount - 1) as LeafIndex);
  kernel.commit(sql("UPDATE t SET name = name || 'x'"));
  kernel.commit(sql('DELETE FROM t WHERE id = 2'));
  kernel.commit(sql("INSERT INTO notes VALUES ('n'), ('m')"));
  kernel.commit(append([1, 2, 3]));
  const replayed = new KernelState(new MemoryStore());
  for (const events of kernel.log)
    replayed.commit((events[0] as LogEvent).position, replayed.evolve(events));
  expect(
    firstStoreDifference(kernel.state.store as MemoryStore, replayed.store as MemoryStore),
  ).toBeUndefined();
  expect(replayed.leafCount).toBe(kernel.state.leafCount);
  expect(replayed.nextPosition).toBe(kernel.state.nextPosition as Position);
  for (const command of [sql(insert, [4, 'ax']), sql(insert, [4, 'd']), append([4], 3)]) {
    expect(decide(replayed, command, context)).toEqual(decide(kernel.state, command, context));
  }
});
