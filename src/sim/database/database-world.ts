/**
 * One embedded database through its life: an owner that is killed and restarted, a client, a reader beside it, and a
 * disk that does everything to them that disks do.
 *
 * Invariants
 * - Damage (rotten bits, acknowledged writes that are missing or went elsewhere) is noticed or harmless. A good copy is
 *   put back once it was noticed, and from then on everything is as it was told.
 * - The one thing that may be lost after its acknowledgement is what a lying disk lost before anything durable rested
 *   on it.
 */
import { Violation } from '../violation.ts';
import type { World, WorldContext } from '../world.ts';
import { type DatabaseWorldOptions, Environment } from './environment.ts';
import type { DatabaseEvent, Fault } from './events.ts';
import { arm } from './faults.ts';
import { Copier } from './copier.ts';
import { Owner } from './owner.ts';
import { LogFollower } from './reader.ts';
import { isOfDatabase, Repairer, type RepairEvent } from './repairer.ts';

export class DatabaseWorld implements World<DatabaseEvent> {
  readonly #environment: Environment;
  readonly #owner: Owner;
  readonly #follower: LogFollower;
  readonly #copier: Copier;
  readonly #repairer: Repairer;
  #isStarted = false;

  constructor(context: WorldContext, options: DatabaseWorldOptions) {
    this.#environment = new Environment(context, options);
    this.#follower = new LogFollower(this.#environment);
    this.#owner = new Owner(this.#environment, () => this.#follower.kill());
    this.#copier = new Copier(this.#environment);
    this.#repairer = new Repairer(this.#environment, this.#owner);
  }

  async perform(event: DatabaseEvent): Promise<void> {
    // A fault that comes first may strike while the database is created.
    if (!this.#isStarted && event.kind !== 'fault') await this.#restart('kill');
    switch (event.kind) {
      case 'fault':
        return this.#strike(event.fault);
      case 'wait':
        return this.#wait(event.milliseconds);
      case 'reader':
        return this.#follower.perform(event);
      case 'copy':
        return this.#copier.perform(event, this.#owner.session);
      case 'repair':
        return this.#repair(event);
      default:
        return this.#owner.perform(event);
    }
  }

  async finish(): Promise<void> {
    this.#environment.machine.disarm();
    await this.#restart('kill');
    await this.#owner.work();
    await this.#owner.perform({ kind: 'replay' });
    await this.#restart('close');
    if (this.#owner.session === undefined) {
      throw new Violation('opens', 'the database does not open after a clean close');
    }
    await this.#owner.perform({ kind: 'verify' });
    this.#owner.kill();
    this.#follower.kill();
  }

  async #repair(event: RepairEvent): Promise<void> {
    if (this.#copier.backup === undefined || this.#owner.session === undefined) return;
    await this.#repairer.perform(event, this.#copier.backup);
    await this.#restart('kill');
  }

  #restart(how: 'kill' | 'close'): Promise<void> {
    this.#isStarted = true;
    const dice = this.#environment.prng.nextUint32();
    return this.#owner.perform({ kind: 'restart', how, dice });
  }

  #wait(milliseconds: number): Promise<void> {
    const { scheduler } = this.#environment.context;
    return new Promise((resolve) => void scheduler.delay(milliseconds, resolve));
  }

  async #strike(fault: Fault): Promise<void> {
    if (fault.kind === 'bit rot') return this.#rot(fault);
    const { machine, context } = this.#environment;
    const { clock, faults } = context;
    arm(fault, { machine, simProcess: this.#owner.session?.simProcess, clock, faults });
  }

  /** Flips bits of a byte at rest; an owner that looks must find that. */
  async #rot({ pick, mask }: Extract<Fault, { kind: 'bit rot' }>): Promise<void> {
    const { machine, context } = this.#environment;
    const files = [...machine.disk.image()].filter(
      ([path, bytes]) => isOfDatabase(path) && bytes.length > 0,
    );
    const [path, bytes] = files[pick % Math.max(1, files.length)] ?? [];
    if (path === undefined || bytes === undefined || machine.disk.isDead) return;
    // A frame that shows that the one before it is missing must not rot: nobody could know of either then.
    if (this.#environment.isDamaged) return;
    const offset = Math.floor(pick / files.length) % bytes.length;
    if (!machine.disk.rot(path, offset, mask)) return;
    context.faults.add('bit rot');
    context.trace.add(`rot ${path} ${offset} ${mask}`);
    const finds = await this.#owner.findsDamage();
    if (finds === undefined) return;
    context.checks.add('damage');
    const isPromised = !isTile(path) || machine.disk.image().has('proofs/tree');
    const isMissed = !finds && !isRedundant(path) && isPromised;
    if (isMissed && machine.disk.damagedFiles().includes(path)) {
      throw new Violation('damage', `verify() misses a rotten bit in ${path} at ${offset}`);
    }
  }
}

/** Without the record of the tree nothing says what is in them: they are made again. */
const isTile = (path: string): boolean => path.startsWith('proofs/tile-');

/** Files with a second copy of what they hold, which takes the place of a damaged one, or with places that hold nothing. */
function isRedundant(path: string): boolean {
  return path === 'anchor' || path === 'store/pages' || path.endsWith('.tmp') || path === 'LOCK';
}
