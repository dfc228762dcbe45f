/** One fixed load, and something going wrong at every single call of the disk in turn. */
import { env } from 'node:process';
import { describe, expect, test } from 'vitest';
import { keys } from '../../src/database/index.ts';
import { type Account, SimDisk, type SimFaults, type Spec } from '../../src/sim/index.ts';
import { checkRecovered, Violation } from './checker.ts';
import { Client, codeOf } from './client.ts';
import { type Failure, openSession, type Process, startProcess, wait } from './machine.ts';

const seed = 11;

function account(id: number, memoLength = 10): Account {
  return { id, email: `e${id}`, balance: 50, memo: 'm'.repeat(memoLength) };
}

/** Two processes, one after the other; each entry is sent at once and then waited for. */
const load: readonly (readonly (
  | readonly [string, readonly Spec[]]
  | 'idle'
  | 'recovery code'
)[])[] = [
  [
    ['amber', [{ kind: 'table', name: 'accounts', ifNotExists: false }]],
    ['amber', [{ kind: 'insert', rows: [account(1), account(2, 1_400), account(3)] }]],
    ['amber', [{ kind: 'email', id: 1, email: 'e2' }]],
    'idle',
    [
      'amber',
      [
        { kind: 'transfer', from: 1, to: 2, amount: 20 },
        { kind: 'insert', rows: [account(4, 2_000)] },
        { kind: 'insert', rows: [account(5), account(4)] },
        { kind: 'delete', from: 90, to: 99 },
      ],
    ],
    ['amber', [{ kind: 'append', stream: 'orders', events: [1, 2], expectedVersion: 0 }]],
    ['amber', [{ kind: 'insert', rows: [account(6, 3_000)] }]],
    ['birch', [{ kind: 'table', name: 'notes', ifNotExists: true }]],
    'recovery code',
    // Again, in case that the first attempt ran into trouble.
    ['birch', [{ kind: 'table', name: 'notes', ifNotExists: true }]],
    ['birch', [{ kind: 'notes', texts: ['a', 'b'] }]],
  ],
  [
    ['birch', [{ kind: 'append', stream: 'visits', events: [3], expectedVersion: 4 }]],
    ['amber', [{ kind: 'replace', id: 5, rows: [account(7, 3_000), account(8)] }]],
    ['cedar', [{ kind: 'table', name: 'accounts', ifNotExists: false }]],
    ['cedar', [{ kind: 'insert', rows: [account(1, 3_000)] }]],
  ],
];

interface Trouble {
  readonly faults?: SimFaults;
  readonly killAtCall?: number;
}

/** Runs the load until it ends or the process does. */
async function runLoad(disk: SimDisk, client: Client, trouble: Trouble = {}): Promise<Failure[]> {
  const failures: Failure[] = [];
  let callsBefore = 0;
  if (trouble.faults !== undefined) disk.setFaults(trouble.faults);
  for (const [number, part] of load.entries()) {
    const killAtCall = (trouble.killAtCall ?? 0) - callsBefore;
    const process = startProcess(disk, {
      seed: seed + number,
      ...(killAtCall > 0 && { killAtCall }),
    });
    await process.scheduler.settle(runPart(part, client, process));
    callsBefore += process.disk.callCount;
    for (const failure of process.disk.failures) {
      failures.push({ ...failure, call: failure.call + callsBefore - process.disk.callCount });
    }
    // Names under a failed flush of a directory are in doubt until the machine restarts.
    if (process.disk.isGone || isInDoubt(failures)) break;
    process.disk.kill();
  }
  disk.setFaults({});
  return failures;
}

function isInDoubt(failures: readonly Failure[]): boolean {
  return failures.some(({ method }) => method === 'flushDirectory');
}

async function runPart(
  part: (typeof load)[number],
  client: Client,
  process: Process,
): Promise<void> {
  const { disk, scheduler } = process;
  const failed = (error: unknown): boolean =>
    disk.isGone || disk.failures.some(({ code }) => code === codeOf(error));
  const first = client.attempts.length;
  try {
    client.connect({ db: await process.open(), disk, scheduler });
  } catch (error) {
    if (failed(error)) return;
    throw error;
  }
  for (const entry of part) {
    if (disk.isGone) return;
    if (entry === 'idle') {
      await wait(scheduler, 60);
      continue;
    }
    if (entry === 'recovery code') {
      const code = await client.session.db.addRecoveryCode().catch((error: unknown) => {
        const poisoned = disk.failures.length > 0 && codeOf(error) === 'DATABASE_POISONED';
        if (!poisoned && !failed(error)) throw error;
      });
      if (typeof code === 'string' && !disk.isGone) client.recoveryCodes.push(code);
      continue;
    }
    const [tenant, specs] = entry;
    if (!client.tenants.has(tenant)) await client.createTenant(tenant);
    for (const spec of specs) if (!disk.isGone) client.send(tenant, spec);
    await client.settled();
  }
  await client.session.db.close().catch((error: unknown) => {
    if (!failed(error)) throw error;
  });
  const silent = client.attempts.slice(first).filter((attempt) => attempt.reply === undefined);
  if (!disk.isGone && silent.length > 0) throw new Violation(`${silent.length} got no answer`);
}

/**
 * Reopens, goes on working, and checks everything after the machine has stopped at rest. Work with a new
 * tenant flushes the root directory; without one, what the first process left in doubt stays so.
 */
async function checkAftermath(disk: SimDisk, client: Client, newTenant: boolean): Promise<void> {
  const session = await openSession(disk, { seed: 77 });
  client.connect(session);
  await session.scheduler.settle(moreWork(client, newTenant));
  session.disk.kill();
  // A recovery code that was handed out opens the database as well as its key does.
  const code = client.recoveryCodes.at(-1);
  const after = await openSession(disk.crash(), {
    seed: 78,
    ...(code !== undefined && { masterKey: keys.fromRecoveryCode(code) }),
  });
  client.connect(after);
  await after.scheduler.settle(checkRecovered(after.db, client));
  const report = await after.scheduler.settle(after.db.verify());
  if (!report.ok) throw new Violation(`verify: ${report.findings[0]?.message ?? 'not ok'}`);
}

async function moreWork(client: Client, newTenant: boolean): Promise<void> {
  if (newTenant) {
    await client.createTenant('delta');
    client.send('delta', { kind: 'table', name: 'notes', ifNotExists: true });
    client.send('delta', { kind: 'notes', texts: ['n'.repeat(700)] });
  }
  client.send('amber', { kind: 'append', stream: 'orders', events: [9] });
  client.send('amber', { kind: 'add', from: 1, to: 9, delta: 1 });
  await client.settled();
}

async function callsOfLoad(): Promise<number> {
  const disk = new SimDisk({ seed });
  await runLoad(disk, new Client());
  return disk.callCount;
}

async function within(what: string, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    throw new Error(`${what}: ${String(error)}`, { cause: error });
  }
}

const calls = await callsOfLoad();
/** Of calls that do not stop the machine, each so-manieth has its turn; VERITY_SWEEP_STEP=1 takes all of them. */
const step = Number(env['VERITY_SWEEP_STEP'] ?? 3);

/** The calls of the load are always the same; what a crash leaves is not. */
function diskFor(call: number): SimDisk {
  return new SimDisk({ seed: seed + call });
}

test('the load is what the sweeps need', async () => {
  const disk = new SimDisk({ seed });
  const client = new Client();
  await runLoad(disk, client);
  const segments = [...disk.image().keys()].filter((path) => path.endsWith('.vlog'));
  expect(segments.length).toBeGreaterThan(2);
  const replies = client.attempts.map(({ reply }) =>
    reply?.kind === 'refused' ? reply.code : reply?.kind,
  );
  expect(new Set(replies)).toEqual(new Set(['done', 'UNIQUE_VIOLATION', 'VERSION_CONFLICT']));
  expect(calls).toBeGreaterThan(150);
  expect(calls).toBeLessThan(900);
  await checkAftermath(disk, client, true);
});

describe('at every call of the disk', () => {
  test('the machine may stop', async () => {
    for (let call = 1; call <= calls; call++) {
      await within(`crash at call ${call}`, async () => {
        const disk = diskFor(call);
        const client = new Client();
        await runLoad(disk, client, { faults: { crashAtCall: call } });
        expect(disk.isDead).toBe(true);
        await checkAftermath(disk.crash(), client, true);
      });
    }
  });

  test('the process may be killed, and another take over what the page cache shows', async () => {
    for (let call = 1; call <= calls; call += step) {
      await within(`kill at call ${call}`, async () => {
        const disk = diskFor(call);
        const client = new Client();
        await runLoad(disk, client, { killAtCall: call });
        await checkAftermath(disk, client, false);
      });
    }
  });

  for (const code of ['IO_ERROR', 'DISK_FULL'] as const) {
    for (const forGood of [false, true]) {
      test(`${code} may strike ${forGood ? 'for good' : 'once'}`, async () => {
        const struck = new Set<number>();
        for (let call = 1; call <= calls; call += step) {
          await within(`${code} at call ${call}`, async () => {
            const disk = diskFor(call);
            const client = new Client();
            const failures = await runLoad(disk, client, {
              faults: { fail: [{ call, code, forGood }] },
            });
            const first = failures[0]?.call;
            // A full disk refuses only calls that take space: the next of them has had its turn already.
            if (first === undefined || struck.has(first)) return;
            struck.add(first);
            if (!isInDoubt(failures)) {
              await checkAftermath(disk, client, true);
              return;
            }
            for (let image = 0; image < 3; image++) {
              await checkAftermath(disk.crash(), client.copy(), true);
            }
          });
        }
        expect(struck.size).toBeGreaterThan(
          code === 'IO_ERROR' ? calls / 2 / step : calls / 10 / step,
        );
      });
    }
  }
});
