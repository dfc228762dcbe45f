/** A process that writes values kept as blobs, something going wrong at one call of its disk, and what must be there then. */
import { VerityError } from '../../src/database/index.ts';
import { SimDisk, type SimFaults } from '../../src/sim/index.ts';
import { openSession, type Process, startProcess } from './machine.ts';

const seed = 5;
const lengthBytes = (1 << 20) + 3;
const value = (letter: string): string => letter.repeat(lengthBytes);

/** What became of a row: the letters that it may hold, '' for no row; the first is what was acknowledged. */
type Known = Map<number, readonly string[]>;

const mayBeDone = new Set(['COMMIT_UNKNOWN', 'IO_ERROR', 'DATABASE_POISONED', 'gone']);

/** One process: rows with large values come, change and go, some of them in transactions, one is refused. */
async function run(process: Process, known: Known): Promise<void> {
  const { disk } = process;
  const db = await process.open();
  const tenant = await db.createTenant('amber');
  await tenant.execute('CREATE TABLE scans (id integer PRIMARY KEY, name text, body text)');
  const step = async (id: number, letter: string, work: () => Promise<unknown>): Promise<void> => {
    const [before = ''] = known.get(id) ?? [];
    known.set(id, [before, letter]);
    try {
      await work();
      if (!disk.isGone) known.set(id, [letter]);
    } catch (error) {
      const code = error instanceof VerityError ? error.code : 'gone';
      if (!disk.isGone && !mayBeDone.has(code)) known.set(id, [before]);
      if (disk.isGone || disk.failures.length === 0) throw error;
    }
  };
  const insert = 'INSERT INTO scans VALUES ($1, $2, $3)';
  await step(1, 'a', () => tenant.execute(insert, [1, 'one', value('a')]));
  await Promise.all([
    step(2, 'b', () => tenant.execute(insert, [2, 'two', value('b')])),
    step(3, 'c', () => tenant.execute(insert, [3, 'three', value('c')])),
  ]);
  await tenant.execute(insert, [1, 'again', value('x')]).catch(() => undefined);
  await step(1, 'd', () => tenant.execute('UPDATE scans SET body = $1 WHERE id = 1', [value('d')]));
  await step(4, 'e', () => tenant.transaction((tx) => tx.execute(insert, [4, 'four', value('e')])));
  const left = tenant.begin();
  await left.execute(insert, [5, 'never', value('y')]).catch(() => undefined);
  left.rollback();
  await step(2, '', () => tenant.execute('DELETE FROM scans WHERE id = 2'));
  await db.close();
}

/** Opens what is left twice, the second time after other work, and compares every row. */
async function check(disk: SimDisk, known: Known): Promise<void> {
  const session = await openSession(disk, { seed: 70 });
  const { db, scheduler } = session;
  const work = async (): Promise<void> => {
    const amber = await db.createTenant('amber').catch(() => db.tenant('amber'));
    const exists = (await amber.tables()).length > 0;
    const { rows } = exists ? await amber.query('SELECT id, body FROM scans') : { rows: [] };
    const bodies = new Map(rows.map((row) => [row['id'], row['body'] as string]));
    for (const [id, letters] of known) {
      const body = bodies.get(id) ?? '';
      const fits = letters.some((letter) => body === (letter === '' ? '' : value(letter)));
      if (!fits)
        throw new Error(`row ${id} holds ${body.slice(0, 3)}, not one of ${String(letters)}`);
    }
    if (bodies.has(5)) throw new Error('a transaction that was rolled back left a row');
    const { ok, findings, blobs } = await db.verify();
    if (!ok) throw new Error(`verify: ${findings[0]?.message ?? ''}`);
    if ((blobs?.unnamed.length ?? 0) > 0) throw new Error('a blob that no row names was left');
    await db.close();
  };
  await scheduler.settle(work());
  session.disk.kill();
}

async function attempt(
  disk: SimDisk,
  trouble: { readonly faults?: SimFaults; readonly killAtCall?: number },
): Promise<{ readonly process: Process; readonly known: Known }> {
  const known: Known = new Map();
  const { faults, killAtCall } = trouble;
  const process = startProcess(disk, {
    seed,
    ...(faults !== undefined && { faults }),
    ...(killAtCall !== undefined && { killAtCall }),
  });
  await process.scheduler.settle(run(process, known).catch(() => undefined));
  if (!process.disk.isGone) process.disk.kill();
  disk.setFaults({});
  return { process, known };
}

/** How many calls of the disk the run makes when nothing goes wrong. */
export async function callsOfRun(): Promise<number> {
  const disk = new SimDisk({ seed });
  const { known } = await attempt(disk, {});
  const done = JSON.stringify([...known].toSorted(([left], [right]) => left - right));
  if (done !== '[[1,["d"]],[2,[""]],[3,["c"]],[4,["e"]]]') throw new Error(`the run does ${done}`);
  const { callCount } = disk;
  await check(disk, known);
  return callCount;
}

export const troubles = ['crash', 'kill', 'IO_ERROR', 'DISK_FULL'] as const;

/** Runs into trouble at one call, and checks what is there afterwards. Throws what is wrong, naming the call. */
export async function runInto(trouble: (typeof troubles)[number], call: number): Promise<void> {
  const disk = new SimDisk({ seed: seed + call });
  try {
    if (trouble === 'kill') {
      const { known } = await attempt(disk, { killAtCall: call });
      await check(disk, known);
      return;
    }
    const faults: SimFaults =
      trouble === 'crash'
        ? { crashAtCall: call }
        : { fail: [{ call, code: trouble, forGood: false }] };
    const { known } = await attempt(disk, { faults });
    await check(disk.crash(), known);
  } catch (error) {
    throw new Error(`${trouble} at call ${call}: ${String(error)}`, { cause: error });
  }
}
