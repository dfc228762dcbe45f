/** One small load, and one call of the disk in it that fails: which, how, and whether for good. */
import { type DiskFile, VerityError } from '../../src/base/index.ts';
import { type Account, SimDisk, type Spec } from '../../src/sim/index.ts';
import { checkRecovered, Violation } from './checker.ts';
import { Client, codeOf } from './client.ts';
import { openSession, type Process, smallPace, startProcess, wait } from './machine.ts';

export const faultKinds = [
  'write',
  'flush',
  'flushInBackground',
  'flushDirectory',
  'truncate',
  'rename',
] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Which call of that kind, from 1. */
  readonly number: number;
  readonly code: 'IO_ERROR' | 'DISK_FULL';
  readonly forGood: boolean;
  /** The share of the bytes that a failing write leaves behind, 0 to 1. */
  readonly written?: number;
}

/** A disk on which a write fails after exactly the part that the fault names. */
class FaultyDisk extends SimDisk {
  readonly #fault: Fault | undefined;
  #writes = 0;
  #struck = false;
  #isHealed = false;

  constructor(seed: number, fault?: Fault) {
    super({ seed });
    this.#fault = fault;
    if (fault !== undefined && fault.kind !== 'write') {
      const { kind, number: call, code, forGood } = fault;
      this.setFaults({ fail: [{ kind, call, code, forGood }] });
    }
  }

  get writes(): number {
    return this.#writes;
  }

  heal(): void {
    this.#isHealed = true;
    this.setFaults({});
  }

  override open(path: string, mode: 'create' | 'readwrite' | 'read'): DiskFile {
    return new FaultyFile(super.open(path, mode), (bytes) => this.#part(bytes));
  }

  #part(bytes: Uint8Array): ReturnType<PartOf> {
    this.#writes += 1;
    const fault = this.#fault;
    if (fault?.kind !== 'write' || this.#isHealed) return undefined;
    const strikes = this.#writes === fault.number || (fault.forGood && this.#struck);
    if (!strikes) return undefined;
    this.#struck = true;
    return {
      length: Math.floor(bytes.length * (fault.written ?? 0)),
      error: new VerityError(fault.code, 'Simulated disk: a write failed on its way.'),
    };
  }
}

/** How many bytes of a write come before its error; undefined if it succeeds. */
type PartOf = (
  bytes: Uint8Array,
) => { readonly length: number; readonly error: VerityError } | undefined;

class FaultyFile implements DiskFile {
  readonly path: string;
  readonly #file: DiskFile;
  readonly #part: PartOf;

  constructor(file: DiskFile, part: PartOf) {
    this.#file = file;
    this.#part = part;
    this.path = file.path;
  }

  sizeBytes(): number {
    return this.#file.sizeBytes();
  }
  read(target: Uint8Array, offset: number): number {
    return this.#file.read(target, offset);
  }
  write(bytes: Uint8Array, offset: number): void {
    const part = this.#part(bytes);
    if (part === undefined) return this.#file.write(bytes, offset);
    if (part.length > 0) this.#file.write(bytes.subarray(0, part.length), offset);
    throw part.error;
  }
  flush(): void {
    this.#file.flush();
  }
  flushInBackground(): Promise<void> {
    return this.#file.flushInBackground();
  }
  truncate(sizeBytes: number): void {
    this.#file.truncate(sizeBytes);
  }
  close(): void {
    this.#file.close();
  }
}

const logSizes = { segmentBytes: 4_000, fillBytesMin: 1_024, fillBytesMax: 2_048 };
const seed = 23;

function account(id: number, memoLength = 10): Account {
  return { id, email: `e${id}`, balance: 50, memo: 'm'.repeat(memoLength) };
}

type Part = readonly [tenant: string, specs: readonly Spec[]] | 'idle' | 'recovery code';

/** Lone writers, and many at once; a roll, new keys, a pause, and a clean close. */
const load: readonly Part[] = [
  ['amber', [{ kind: 'table', name: 'accounts', ifNotExists: true }]],
  ['amber', [{ kind: 'insert', rows: [account(1)] }]],
  [
    'amber',
    Array.from({ length: 12 }, (_unused, index): Spec => ({
      kind: 'insert',
      rows: [account(10 + index, 60)],
    })),
  ],
  'idle',
  ['birch', [{ kind: 'table', name: 'notes', ifNotExists: true }]],
  [
    'birch',
    [
      { kind: 'notes', texts: ['a', 'b'] },
      { kind: 'append', stream: 'visits', events: [1] },
    ],
  ],
  'recovery code',
  ['amber', [{ kind: 'transfer', from: 1, to: 10, amount: 20 }]],
  ['amber', [{ kind: 'insert', rows: [account(2, 1_500), account(3, 1_500)] }]],
  [
    'amber',
    [
      { kind: 'insert', rows: [account(4, 900)] },
      { kind: 'delete', from: 90, to: 99 },
    ],
  ],
];

/** What a run showed. */
export interface FaultRun {
  /** Calls of each kind. */
  readonly calls: Readonly<Record<FaultKind, number>>;
  readonly struck: boolean;
  /** The handle took no more commands, and said so. */
  readonly poisoned: boolean;
  readonly refused: number;
}

/** Runs the load with one fault and checks what must hold then, and after each way that the process may end. */
export async function runWithFault(fault?: Fault): Promise<FaultRun> {
  const disk = new FaultyDisk(seed + (fault?.number ?? 0), fault);
  const client = new Client();
  const process = startProcess(disk, { seed, logSizes, pace: smallPace });
  const { scheduler } = process;
  const poisoned = await scheduler.settle(work(process, client));
  const { failures } = process.disk;
  const run = {
    calls: { ...disk.calls, write: disk.writes },
    struck: failures.length > 0,
    poisoned,
    refused: client.attempts.filter(({ reply }) => reply?.kind === 'refused').length,
  };
  process.disk.kill();
  disk.heal();
  // What a failed flush of a directory should have covered is in doubt until the machine restarts.
  const inDoubt = failures.some(({ method }) => method === 'flushDirectory');
  const after = [disk.crash(), inDoubt ? disk.crash() : SimDisk.fromImage(disk.image())];
  for (const other of after) await checkAfter(other, client.copy());
  return run;
}

/** True if the handle was poisoned. */
async function work(process: Process, client: Client): Promise<boolean> {
  const { disk, scheduler } = process;
  const hasFailed = (): boolean => disk.failures.length > 0;
  try {
    client.connect({ db: await process.open(), disk, scheduler });
  } catch (error) {
    if (disk.failures.some(({ code }) => code === codeOf(error))) return false;
    throw error;
  }
  const { db } = client.session;
  for (const part of load) {
    if (part === 'idle') await wait(scheduler, 60);
    else if (part === 'recovery code') {
      await db.addRecoveryCode().then(
        (code) => client.recoveryCodes.push(code),
        (error: unknown) => {
          if (!hasFailed()) throw error;
        },
      );
    } else {
      const [tenant, specs] = part;
      if (!client.tenants.has(tenant)) await client.createTenant(tenant);
      for (const spec of specs) client.send(tenant, spec);
      await client.settled();
    }
  }
  // Some time for what the database does by itself.
  await wait(scheduler, 60);
  const { poisoned } = db.status();
  await checkHandle(client, poisoned);
  await db.close().catch((error: unknown) => {
    if (!hasFailed()) throw error;
  });
  const silent = client.attempts.filter(({ reply }) => reply === undefined);
  if (silent.length > 0) throw new Violation(`${silent.length} commands got no answer`);
  return poisoned;
}

/** Reads go on; a poisoned handle takes no command, and another one takes it unless the fault lasts. */
async function checkHandle(client: Client, poisoned: boolean): Promise<void> {
  const { db } = client.session;
  for (const name of db.tenants()) {
    const tenant = db.tenant(name);
    for (const table of await tenant.tables()) {
      await tenant.query(`SELECT count(*) FROM ${table.name}`);
    }
  }
  const [name] = db.tenants();
  if (!poisoned || name === undefined) return;
  client.send(name, { kind: 'append', stream: 'late', events: [1] });
  await client.settled();
  const reply = client.attempts.at(-1)?.reply;
  if (reply?.kind !== 'refused' || reply.code !== 'DATABASE_POISONED') {
    throw new Violation(`a poisoned handle answered ${JSON.stringify(reply?.kind)}`);
  }
}

async function checkAfter(disk: SimDisk, client: Client): Promise<void> {
  const session = await openSession(disk, { seed: 77, logSizes });
  client.connect(session);
  const { db, scheduler } = session;
  const check = async (): Promise<void> => {
    await checkRecovered(db, client);
    const report = await db.verify();
    if (!report.ok) throw new Violation(`verify: ${report.findings[0]?.message ?? 'not ok'}`);
    await client.createTenant('cedar');
    client.send('cedar', { kind: 'append', stream: 'after', events: [1] });
    await client.settled();
    if (client.attempts.at(-1)?.reply?.kind !== 'done') {
      throw new Violation('a command after the fault was refused');
    }
    await db.close();
  };
  await scheduler.settle(check());
}
