/** Small histories of a database by seed, with all that the client knew at each step of the disk. */
import { Prng } from '../../src/base/index.ts';
import { type Attempt, Client } from './client.ts';
import { RecordingDisk } from './images-recorder.ts';
import { type Process, smallPace, startProcess, wait } from './machine.ts';
import type { Account, Spec } from '../../src/sim/index.ts';

export interface History {
  readonly seed: number;
  readonly disk: Pick<RecordingDisk, 'initial' | 'steps'>;
  /** What the client had asked and been told when the disk had made so many steps. */
  knownAt(step: number): Client;
  readonly rolls: number;
  readonly keyringChanges: number;
}

/** What was there before the history began. */
export interface Before {
  readonly disk: RecordingDisk;
  readonly client: Client;
}

interface Told {
  readonly step: number;
  readonly committed: bigint;
}

/** Notes at which step of the disk each thing was asked and told. */
class Notes {
  readonly client: Client;
  readonly #disk: RecordingDisk;
  readonly #before: number;
  readonly #sentAt: number[] = [];
  readonly #told = new Map<Attempt, Told>();
  readonly #tenants: {
    readonly step: number;
    readonly name: string;
    readonly known: 'asked' | 'there';
  }[] = [];
  readonly #codes: { readonly step: number; readonly code: string }[] = [];

  constructor(disk: RecordingDisk, client: Client) {
    this.#disk = disk;
    this.client = client;
    this.#before = client.attempts.length;
    for (const [name, known] of client.tenants) this.#tenants.push({ step: 0, name, known });
    for (const code of client.recoveryCodes) this.#codes.push({ step: 0, code });
    client.onReply = (attempt) => {
      const committed = client.session.db.status().position;
      this.#told.set(attempt, { step: disk.steps.length, committed });
    };
  }

  send(tenant: string, spec: Spec): void {
    this.#sentAt.push(this.#disk.steps.length);
    const count = this.client.attempts.length;
    this.client.send(tenant, spec);
    if (this.client.attempts.length === count) this.#sentAt.pop();
  }

  tenant(name: string, known: 'asked' | 'there'): void {
    this.#tenants.push({ step: this.#disk.steps.length, name, known });
  }

  code(code: string): void {
    this.#codes.push({ step: this.#disk.steps.length, code });
  }

  knownAt(step: number): Client {
    const known = this.client.copy();
    known.attempts.length = 0;
    known.recoveryCodes.length = 0;
    known.tenants.clear();
    for (const [index, attempt] of this.client.attempts.entries()) {
      if (index >= this.#before && (this.#sentAt[index - this.#before] as number) > step) continue;
      const told = index < this.#before ? undefined : this.#told.get(attempt);
      const isKnown = index < this.#before || (told !== undefined && told.step <= step);
      const reply =
        isKnown && attempt.reply !== undefined
          ? { ...attempt.reply, committed: told?.committed ?? attempt.reply.committed }
          : undefined;
      known.attempts.push({ ...attempt, reply });
    }
    for (const { step: at, name, known: what } of this.#tenants) {
      if (at <= step) known.tenants.set(name, what);
    }
    for (const { step: at, code } of this.#codes) if (at <= step) known.recoveryCodes.push(code);
    return known;
  }
}

const tenantNames = ['amber', 'birch', 'cedar'];
const idsBelow = 6;

/** Random commands of few bytes on few keys. */
function smallSpec(prng: Prng): Spec {
  const id = prng.below(idsBelow);
  switch (prng.below(9)) {
    case 0:
    case 1:
    case 2:
      return { kind: 'insert', rows: [account(prng, id), account(prng, id + 1)] };
    case 3:
      return { kind: 'insert', rows: [account(prng, id)] };
    case 4:
      return { kind: 'add', from: id, to: id + 2, delta: prng.below(30) - 10 };
    case 5:
      return { kind: 'delete', from: id, to: id + 1 };
    case 6:
      return { kind: 'transfer', from: id, to: (id + 1) % idsBelow, amount: prng.below(20) };
    case 7:
      return { kind: 'replace', id, rows: [account(prng, id + idsBelow)] };
    default:
      return { kind: 'append', stream: 'orders', events: [prng.below(100), prng.below(100)] };
  }
}

function account(prng: Prng, id: number): Account {
  const memo = 'm'.repeat(prng.chance(0.02) ? 500 + prng.below(500) : prng.below(12));
  return {
    id,
    email: prng.chance(0.3) ? null : `e${prng.below(9)}`,
    balance: prng.below(50),
    memo,
  };
}

/** Records the history of `seed`: one or two processes, each of a few bursts of commands. */
export async function recordHistory(seed: number, before?: Before): Promise<History> {
  const prng = new Prng(seed);
  const disk = before?.disk ?? new RecordingDisk(new Map(), seed);
  const notes = new Notes(disk, before?.client ?? new Client());
  const run = new Recording(prng, disk, notes);
  const processes = before === undefined ? 1 + prng.below(2) : 1;
  for (let number = 0; number < processes; number++) await run.process();
  return {
    seed,
    disk,
    knownAt: (step) => notes.knownAt(step),
    rolls: run.rolls,
    keyringChanges: run.keyringChanges,
  };
}

class Recording {
  rolls = 0;
  keyringChanges = 0;
  readonly #prng: Prng;
  readonly #disk: RecordingDisk;
  readonly #notes: Notes;

  constructor(prng: Prng, disk: RecordingDisk, notes: Notes) {
    this.#prng = prng;
    this.#disk = disk;
    this.#notes = notes;
  }

  async process(): Promise<void> {
    const prng = this.#prng;
    const process = startProcess(this.#disk, {
      seed: prng.nextUint32(),
      pace: smallPace,
      logSizes: {
        segmentBytes: 1_200 + prng.below(2_000),
        fillBytesMin: 1_024,
        fillBytesMax: 2_048,
      },
    });
    await process.scheduler.settle(this.#session(process));
    process.disk.kill();
  }

  async #session({ disk, scheduler, open }: Process): Promise<void> {
    const prng = this.#prng;
    const { client } = this.#notes;
    const db = await open();
    client.connect({ db, disk, scheduler });
    const { segments } = db.status();
    if (client.tenants.size === 0) await this.#newTenant();
    const bursts = 1 + prng.below(4);
    for (let burst = 0; burst < bursts; burst++) {
      const dice = prng.below(10);
      if (dice === 0 && client.tenants.size < tenantNames.length) await this.#newTenant();
      else if (dice === 1) await this.#changeKeys();
      else if (dice === 2) await wait(scheduler, 60);
      else await this.#burst();
    }
    this.rolls += db.status().segments - segments;
    if (prng.chance(0.5)) await db.close();
  }

  async #newTenant(): Promise<void> {
    const { client } = this.#notes;
    const name = tenantNames[client.tenants.size] as string;
    this.#notes.tenant(name, 'asked');
    await client.createTenant(name);
    this.#notes.tenant(name, 'there');
    this.keyringChanges += 1;
    this.#notes.send(name, { kind: 'table', name: 'accounts', ifNotExists: false });
    await client.settled();
  }

  /** A new way in, another key of a tenant, or a page of subject keys. */
  async #changeKeys(): Promise<void> {
    const prng = this.#prng;
    const { db } = this.#notes.client.session;
    const there = db.tenants();
    const tenant = there[prng.below(Math.max(1, there.length))];
    const dice = prng.below(3);
    if (dice === 0 || tenant === undefined) this.#notes.code(await db.addRecoveryCode());
    else if (dice === 1) await db.keys.rotate({ tenant });
    else await db.tenant(tenant).createEnvelopeKey();
    this.keyringChanges += 1;
  }

  async #burst(): Promise<void> {
    const prng = this.#prng;
    const { client } = this.#notes;
    const there = [...client.tenants.keys()];
    const commands = prng.chance(0.4) ? 1 + prng.below(4) : 1;
    for (let command = 0; command < commands; command++) {
      this.#notes.send(there[prng.below(there.length)] as string, smallSpec(prng));
    }
    await client.settled();
  }
}
