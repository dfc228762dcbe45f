/** Random commands, by seed: narrow ranges of keys, so that they get in each other's way. */
import type { Prng } from '../../src/base/index.ts';
import type { Client } from './client.ts';
import { wait } from './machine.ts';
import type { Account, Spec } from './model.ts';

const idsBelow = 14;
const emailsBelow = 18;
const tenantNames = ['amber', 'birch', 'cedar', 'delta'];
const streamNames = ['orders', 'visits'];

export class Workload {
  readonly #prng: Prng;
  #nextNote = 1;

  constructor(prng: Prng) {
    this.#prng = prng;
  }

  /** Sends about `steps` bursts of commands, waiting for answers now and then, until the process ends. */
  async run(client: Client, steps: number): Promise<void> {
    const prng = this.#prng;
    for (let step = 0; step < steps && !client.isGone; step++) {
      const there = [...client.tenants.keys()];
      if (there.length < 2 || (there.length < tenantNames.length && prng.chance(0.06))) {
        await this.#newTenant(client, tenantNames[there.length] as string);
        continue;
      }
      if (prng.chance(0.03)) await client.createTenant(there[0] as string);
      const burst = prng.chance(0.3) ? 1 + prng.below(8) : 1;
      for (let count = 0; count < burst; count++) {
        client.send(there[prng.below(there.length)] as string, this.#spec());
      }
      if (prng.chance(0.6)) await client.settled();
      if (prng.chance(0.12)) await wait(client.session.scheduler, prng.below(120));
    }
    if (!client.isGone && prng.chance(0.7)) await client.settled();
  }

  async #newTenant(client: Client, name: string): Promise<void> {
    await client.createTenant(name);
    for (const table of ['accounts', 'notes'] as const) {
      if (!client.isGone) client.send(name, { kind: 'table', name: table, ifNotExists: false });
    }
    if (this.#prng.chance(0.5)) await client.settled();
  }

  #spec(): Spec {
    const prng = this.#prng;
    const from = prng.below(idsBelow);
    switch (prng.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return { kind: 'insert', rows: this.#rows(1 + prng.below(4)) };
      case 4:
        return { kind: 'insert', rows: this.#rows(1) };
      case 5:
      case 6:
        return { kind: 'add', from, to: from + prng.below(4), delta: prng.below(60) - 20 };
      case 7:
        return { kind: 'email', id: from, email: this.#email() };
      case 8:
        return { kind: 'delete', from, to: from + prng.below(3) };
      case 9:
        return { kind: 'delete', from: 1_000 + from, to: 1_003 + from };
      case 10:
        return { kind: 'notes', texts: this.#texts(1 + prng.below(3)) };
      case 11:
        return prng.chance(0.5)
          ? { kind: 'null', id: from }
          : {
              kind: 'table',
              name: prng.chance(0.5) ? 'accounts' : 'notes',
              ifNotExists: prng.chance(0.7),
            };
      case 12:
        return {
          kind: 'transfer',
          from,
          to: (from + 1 + prng.below(4)) % idsBelow,
          amount: prng.below(30),
        };
      case 13:
        return this.#replace(from);
      default:
        return this.#append();
    }
  }

  #replace(id: number): Spec {
    const rows = this.#rows(2).filter((row) => row.id !== id);
    if (rows.length === 0) return { kind: 'delete', from: id, to: id };
    return { kind: 'replace', id, rows };
  }

  #append(): Spec {
    const prng = this.#prng;
    const stream = streamNames[prng.below(streamNames.length)] as string;
    const events = Array.from({ length: prng.below(4) }, () => prng.below(1_000));
    if (prng.chance(0.6)) return { kind: 'append', stream, events };
    return { kind: 'append', stream, events, expectedVersion: prng.below(6) };
  }

  #rows(count: number): Account[] {
    return Array.from({ length: count }, () => ({
      id: this.#prng.below(idsBelow),
      email: this.#prng.chance(0.2) ? null : this.#email(),
      balance: this.#prng.below(100) - (this.#prng.chance(0.04) ? 100 : 0),
      memo: 'm'.repeat(this.#prng.chance(0.25) ? this.#prng.below(1_800) : this.#prng.below(40)),
    }));
  }

  #texts(count: number): string[] {
    return Array.from({ length: count }, () => `note ${this.#nextNote++}`);
  }

  #email(): string {
    return `e${this.#prng.below(emailsBelow)}`;
  }
}
