import { describe, expect, test } from 'vitest';
import { type Position, type StoreKey, type TenantId, VerityError } from '../base/index.ts';
import { type Command, ReadSet } from '../kernel/index.ts';
import { fromJs, type ParsedStatement, type RowChange } from '../sql/index.ts';
import { CommitQueue, detached, sizeOf } from './commit-queue.ts';

const tenant = 1 as TenantId;
const statement = {} as ParsedStatement;

function sent(parameters: readonly unknown[]): Extract<Command, { kind: 'statement' }> {
  const command = { kind: 'statement', tenant, statement, parameters, origin: {} } as const;
  return detached(command) as Extract<Command, { kind: 'statement' }>;
}

describe('bounds', () => {
  /** Sends commands of these sizes; which of them are decided in the end, and which were refused. */
  async function send(
    sizes: readonly number[],
    settings = { commandsWaitingMax: 10, bytesWaitingMax: 100 },
  ): Promise<{ queue: CommitQueue; answers: unknown[] }> {
    const queue = new CommitQueue(settings);
    const answers: unknown[] = sizes.map(() => 'waits');
    for (const [number, bytes] of sizes.entries()) {
      const settle = (answer: unknown): unknown => (answers[number] = answer);
      queue
        .wait(bytes, async (resolve) => resolve('decided'))
        .then(settle, (error: unknown) => settle(error instanceof VerityError && error.code));
    }
    await new Promise(setImmediate);
    return { queue, answers };
  }

  test('commands whose values take too much together are refused, and have their room back when decided', async () => {
    const { queue, answers } = await send([40, 60, 1, 0]);
    expect(answers).toEqual(['waits', 'waits', 'OVERLOADED', 'waits']);
    queue.decideNext();
    await expect(queue.wait(41, async () => undefined)).rejects.toMatchObject({
      code: 'OVERLOADED',
      details: { count: 2, bytes: 60 },
    });
    const last = queue.wait(40, async () => undefined);
    queue.fail(() => new VerityError('DATABASE_POISONED', 'gone'));
    await expect(last).rejects.toMatchObject({ code: 'DATABASE_POISONED' });
    const after = queue.wait(100, async (resolve) => resolve('decided'));
    queue.decideNext();
    expect(await after).toBe('decided');
    expect(queue.isEmpty).toBe(true);
  });

  test('too many are refused, however small', async () => {
    const settings = { commandsWaitingMax: 2, bytesWaitingMax: 100 };
    const { answers } = await send([0, 0, 0], settings);
    expect(answers).toEqual(['waits', 'waits', 'OVERLOADED']);
  });

  test('one that is larger than all may be together is taken when it is alone', async () => {
    const { queue, answers } = await send([1_000, 1]);
    expect(answers).toEqual(['waits', 'OVERLOADED']);
    queue.decideNext();
    await new Promise(setImmediate);
    expect(answers[0]).toBe('decided');
  });
});

describe('a command that waits', () => {
  test('is counted with the bytes of its values', () => {
    expect(sizeOf(sent(['é', Uint8Array.of(1, 2, 3), 7, null, { a: 'é' }]))).toBe(
      2 + 3 + 8 + 8 + 10,
    );
    const events = [new Uint8Array(5), new Uint8Array(6)];
    const append = { kind: 'append', tenant, stream: 's', events, origin: {} } as const;
    expect(sizeOf({ ...append, expectedVersion: undefined })).toBe(11);
    const change = { key: 'four' as StoreKey, row: new Uint8Array(3) } as RowChange;
    const changes = [change, { ...change, row: undefined }];
    const reads = new ReadSet();
    const transaction = { kind: 'transaction', tenant, snapshot: 1 as Position, reads } as const;
    expect(sizeOf({ ...transaction, changes, statements: [], origin: {} })).toBe(11);
    expect(sizeOf({ kind: 'createTenant', name: 'amber', origin: {} })).toBe(0);
  });

  test('keeps objects as they were, and what they may be used for', () => {
    const json = { list: [1], nested: { a: 'b' } };
    const command = sent([json]);
    json.list.push(2);
    json.nested.a = 'c';
    expect(fromJs({ name: 'jsonb' }, command.parameters[0])).toBe(
      fromJs({ name: 'jsonb' }, '{"list": [1], "nested": {"a": "b"}}'),
    );
    expect(() => fromJs({ name: 'text' }, command.parameters[0])).toThrow(VerityError);
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect(sent([cycle]).parameters[0]).toBe(cycle);
    expect(() =>
      fromJs({ name: 'jsonb' }, sent([{ toJSON: () => undefined }]).parameters[0]),
    ).toThrow('a value that JSON.stringify turns into text');
  });
});
