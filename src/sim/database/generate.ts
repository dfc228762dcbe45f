/** From a seed to the events of a run. Each seed draws which faults there are and what the load is like. */
import { limits, Prng } from '../../base/index.ts';
import type { EngineHost } from '../../engine/index.ts';
import type { Suite } from './contract.ts';
import type { Damage, DatabaseEvent, Fault, FaultKind } from './events.ts';
import { drawMix, type LoadMix, Workload } from './workload.ts';

/** How the engine is set up: not as by default, so that small loads reach what large ones do. */
export type EngineSettings = Required<
  Pick<EngineHost, 'logSizes' | 'pace' | 'checkpoints' | 'proofs'>
>;

/** Small files, so that short runs roll segments and run into the end of what is filled. */
const sizes: readonly EngineSettings['logSizes'][] = [
  { segmentBytes: 6_000, fillBytesMin: 1_024, fillBytesMax: 4_096 },
  { segmentBytes: 6_000, fillBytesMin: 512, fillBytesMax: 512 },
  { segmentBytes: 2_500, fillBytesMin: 1_024, fillBytesMax: 2_048 },
  { segmentBytes: 40_000, fillBytesMin: 4_096, fillBytesMax: 16_384 },
];

type Events = Iterable<DatabaseEvent>;

const tenantNames = ['amber', 'birch', 'cedar', 'delta'];

/** Faults by how often a seed has them. */
const faultChances: Readonly<Record<Exclude<FaultKind, 'all clear'>, number>> = {
  'crash at call': 0.5,
  'crash at flush': 0.5,
  'kill at call': 0.4,
  'failed call': 0.3,
  'failed flush': 0.3,
  'failed rename': 0.3,
  'full at call': 0.25,
  'full disk': 0.25,
  'refused growth': 0.3,
  'slow flushes': 0.3,
  'clock step': 0.3,
  'bit rot': 0.25,
  'lost write': 0.2,
  'stray write': 0.2,
};

/** What one seed is like: which faults are on, and the mix of the load. */
export interface Swarm {
  readonly faults: readonly FaultKind[];
  readonly mix: LoadMix;
  readonly engine: EngineSettings;
  readonly suite: Suite;
  readonly readersHaveAllKeys: boolean;
  readonly tenants: readonly string[];
  /** How often commands come in bursts, are waited for, are followed by a pause; how often others look. */
  readonly chances: Readonly<
    Record<
      'burst' | 'settle' | 'wait' | 'look' | 'fault' | 'replay' | 'keys' | 'copy' | 'repair',
      number
    >
  >;
  readonly waitMsMax: number;
  /** The most commands that are sent at once. Many make frames overtake flushes. */
  readonly burstMax: number;
}

type DrawnApart = Pick<EngineSettings, 'checkpoints' | 'proofs'>;

function drawSwarm(prng: Prng, apart: DrawnApart): Swarm {
  const kinds = Object.keys(faultChances) as (keyof typeof faultChances)[];
  const on = kinds.filter((kind) => prng.chance(faultChances[kind]));
  // Without any fault there would be nothing to survive.
  const faults = on.length > 0 ? on : (['crash at flush'] as const);
  const chance = (low: number, high: number): number =>
    low + ((high - low) * prng.below(1_000)) / 1_000;
  const bursts = [3, 3, 6, 6, 12, 24] as const;
  const waits = [20, 120, 5_000, 3_600_000] as const;
  return {
    faults,
    mix: drawMix(prng),
    engine: { ...drawEngine(prng), ...apart },
    suite: drawSuite(prng),
    readersHaveAllKeys: prng.chance(0.5),
    tenants: tenantNames.slice(0, 1 + prng.below(tenantNames.length)),
    chances: {
      burst: chance(0, 0.5),
      settle: chance(0.2, 0.9),
      wait: chance(0, 0.3),
      look: chance(0, 0.35),
      fault: chance(0.02, 0.12),
      replay: chance(0, 0.15),
      keys: prng.chance(0.5) ? chance(0.05, 0.35) : 0,
      copy: prng.chance(0.45) ? chance(0.05, 0.2) : 0,
      repair: chance(0.4, 1),
    },
    waitMsMax: waits[prng.below(waits.length)] as number,
    burstMax: bursts[prng.below(bursts.length)] as number,
  };
}

/** Most seeds checkpoint the store all the time, in little memory; some never do. */
function drawCheckpoints(prng: Prng): EngineSettings['checkpoints'] {
  const cacheBytes = prng.chance(0.7) ? 400 << 10 : 4 << 20;
  if (prng.chance(0.2)) return { cacheBytes };
  return {
    cacheBytes,
    logBytesMax: 500 + prng.below(8_000),
    logBytesMin: prng.below(2_000),
    milliseconds: 1 + prng.below(2_000),
    pagesPerTurn: 1 + prng.below(8),
  };
}

function drawSuite(prng: Prng): Suite {
  const compression = prng.chance(0.25) ? { compression: 'brotli' as const } : {};
  if (prng.chance(0.15)) return { encryption: 'none', ...compression };
  if (prng.chance(0.3)) return { algorithm: 'chacha20-poly1305', ...compression };
  return compression;
}

function drawEngine(prng: Prng): Omit<EngineSettings, keyof DrawnApart> {
  const frames = [500, 3_000, 4 << 20] as const;
  return {
    logSizes: sizes[prng.below(sizes.length)] as EngineSettings['logSizes'],
    pace: {
      writersOnTurnMax: prng.below(6),
      overlapMicrosPerWriter: 0,
      cutCommandsMin: 1 + prng.below(4),
      frameBytesTarget: frames[prng.below(frames.length)] as number,
      commandsWaitingMax: prng.chance(0.3) ? 1 + prng.below(4) : 1_000,
      bytesWaitingMax: limits.commandsWaitingBytesMax,
    },
  };
}

export function generateEvents(seed: number): { swarm: Swarm; events: DatabaseEvent[] } {
  const prng = new Prng(seed);
  // Drawn apart: the events of a seed stay what they were.
  const proofs = new Prng(seed ^ 0x90f5);
  const swarm = drawSwarm(prng, {
    checkpoints: drawCheckpoints(new Prng(seed ^ 0x5706e)),
    proofs: drawProofs(proofs),
  });
  const generator = new EventGenerator(prng, swarm);
  const phases = 2 + prng.below(3);
  const events: DatabaseEvent[] = [];
  for (let phase = 0; phase < phases; phase++) {
    if (phase > 0) events.push(generator.restart());
    events.push(...generator.phase(phase === 0));
  }
  return { swarm, events: [...withProofs(events, proofs)] };
}

/** Some seeds sign checkpoints all the time, some only those that are asked for. */
function drawProofs(prng: Prng): EngineSettings['proofs'] {
  const checkpointEvents = prng.chance(0.6) ? 1 + prng.below(60) : 0;
  return { checkpointEvents, checkpointSeconds: prng.chance(0.5) ? 1 + prng.below(60) : 0 };
}

/** Checkpoints are asked for and their keys rotated beside the load, and their derived files are deleted. */
function* withProofs(events: readonly DatabaseEvent[], prng: Prng): Events {
  const often = prng.below(200) / 1_000;
  const keys = prng.chance(0.4) ? 0.02 : 0;
  const bulk = prng.chance(0.25) ? 0.2 : 0;
  for (const event of events) {
    if (event.kind !== 'restart' || !prng.chance(0.5)) yield event;
    else yield { ...event, without: prng.chance(0.5) ? 'tiles' : 'record of the tree' };
    // A few of them fill a tile of the tree.
    if (event.kind === 'send' && prng.chance(bulk)) {
      const texts = Array.from({ length: 60 + prng.below(60) }, (_, text) => `many ${text}`);
      yield { ...event, spec: { kind: 'notes', texts } };
    }
    if (prng.chance(often)) yield { kind: 'checkpoint' };
    if (prng.chance(keys)) yield { kind: 'rotate signing' };
  }
}

class EventGenerator {
  readonly #prng: Prng;
  readonly #swarm: Swarm;
  readonly #workload: Workload;
  readonly #tenants: string[] = [];
  #hasCopied = false;

  constructor(prng: Prng, swarm: Swarm) {
    this.#prng = prng;
    this.#swarm = swarm;
    this.#workload = new Workload(prng, swarm.mix);
  }

  restart(): DatabaseEvent {
    const ways = ['close', 'kill', 'power'] as const;
    const how = ways[this.#prng.below(ways.length)] as (typeof ways)[number];
    return { kind: 'restart', how, dice: this.#prng.nextUint32() };
  }

  *phase(isFirst: boolean): Events {
    const prng = this.#prng;
    const soon = prng.chance(0.3);
    // An end without a close may leave a keyring that no frame names.
    if (!isFirst && this.#swarm.chances.keys > 0 && prng.chance(0.5)) yield this.#rekey();
    if (!isFirst || prng.chance(0.3)) {
      if (prng.chance(0.5)) yield { kind: 'fault', fault: { kind: 'all clear' } };
      if (prng.chance(0.8)) yield this.#fault(soon);
    }
    const steps = soon ? 4 : 5 + prng.below(11);
    for (let step = 0; step < steps; step++) yield* this.#step();
    if (prng.chance(0.6)) yield { kind: 'settle' };
    if (prng.chance(this.#swarm.chances.replay)) yield { kind: 'replay' };
    if (prng.chance(this.#swarm.chances.replay)) yield { kind: 'verify' };
    if (this.#hasCopied && prng.chance(this.#swarm.chances.repair)) yield this.#repair();
  }

  *#step(): Events {
    const prng = this.#prng;
    const { chances, tenants } = this.#swarm;
    const known = this.#tenants.length;
    if (known === 0 || (known < tenants.length && prng.chance(0.15))) {
      yield* this.#newTenant(tenants[known] as string);
      return;
    }
    const tenant = this.#tenants[prng.below(known)] as string;
    if (prng.chance(0.02)) yield { kind: 'tenant', tenant };
    const burst = prng.chance(chances.burst) ? this.#burst() : 1;
    for (let count = 0; count < burst; count++) {
      const to = this.#tenants[prng.below(known)] as string;
      yield { kind: 'send', tenant: to, spec: this.#workload.next() };
    }
    if (prng.chance(chances.keys)) yield* this.#keyChange(tenant);
    if (prng.chance(chances.copy)) yield* this.#copy(tenant);
    if (prng.chance(chances.look)) yield { kind: 'look', tenant, back: prng.below(1_000) / 1_000 };
    if (prng.chance(chances.look / 2)) yield { kind: 'look', tenant, back: 0 };
    if (prng.chance(chances.look / 3)) yield { kind: 'reader', tenant };
    if (prng.chance(chances.settle)) yield { kind: 'settle' };
    if (prng.chance(chances.fault)) yield this.#fault(prng.chance(0.5));
    if (prng.chance(chances.wait)) {
      yield { kind: 'wait', milliseconds: prng.below(this.#swarm.waitMsMax) };
    }
  }

  /** Faults come often just before, so that they strike inside. */
  *#keyChange(tenant: string): Events {
    const prng = this.#prng;
    if (prng.chance(0.3)) yield { kind: 'reader', tenant };
    // An idle database marks its log: then a fresh segment holds frames, and no command.
    if (prng.chance(0.3)) yield* [{ kind: 'settle' }, { kind: 'wait', milliseconds: 200 }] as const;
    if (prng.chance(0.3)) yield this.#fault(true);
    if (prng.chance(0.6)) yield prng.chance(0.6) ? { kind: 'rotate' } : { kind: 'rotate', tenant };
    // So long that the new keyring is there, and no frame that names it.
    if (prng.chance(0.4)) yield { kind: 'wait', milliseconds: 0 };
    if (prng.chance(0.6)) yield this.#rekey();
    if (prng.chance(0.3)) yield { kind: 'wait', milliseconds: prng.below(8) };
    if (prng.chance(0.3)) yield { kind: 'reader', tenant };
  }

  #rekey(): DatabaseEvent {
    const prng = this.#prng;
    const rates = [1e9, 1e6, 100_000, 10_000] as const;
    const bytesPerSecond = rates[prng.below(rates.length)] as number;
    if (prng.chance(0.8)) return { kind: 'rekey', bytesPerSecond };
    return { kind: 'rekey', bytesPerSecond, stopAfterMs: prng.below(300) };
  }

  /** Often while keys change, too. */
  *#copy(tenant: string): Events {
    const prng = this.#prng;
    this.#hasCopied = true;
    const by = prng.chance(0.5) ? 'owner' : 'another process';
    const crash = prng.chance(0.25) ? { crashAtCall: 1 + prng.below(80) } : {};
    if (prng.chance(0.15)) yield this.#fault(true);
    if (this.#swarm.chances.keys > 0 && prng.chance(0.7)) {
      const rotations = prng.below(5);
      for (let count = 0; count < rotations; count++) yield { kind: 'rotate' };
      yield* this.#keyChange(tenant);
    }
    yield { kind: 'copy', by, ...crash, dice: prng.nextUint32() };
  }

  #repair(): DatabaseEvent {
    const prng = this.#prng;
    const damages = Array.from({ length: 1 + prng.below(3) }, (): Damage => {
      const lengths = [1, 1, 30, 700] as const;
      return {
        where: prng.chance(0.8) ? 'copied log' : 'any file',
        pick: prng.nextUint32(),
        lengthBytes: lengths[prng.below(lengths.length)] as number,
        mask: 1 + prng.below(255),
      };
    });
    const crash = prng.chance(0.4) ? { crashAtCall: 1 + prng.below(250) } : {};
    return { kind: 'repair', damages, ...crash, dice: prng.nextUint32() };
  }

  /** One of many is as large as can be: only then a frame goes out while another is on its way. */
  #burst(): number {
    const { burstMax } = this.#swarm;
    return burstMax > 12 && this.#prng.chance(0.5) ? burstMax : 1 + this.#prng.below(burstMax);
  }

  *#newTenant(tenant: string): Events {
    this.#tenants.push(tenant);
    yield { kind: 'tenant', tenant };
    // The first write of a tenant needs a keyring: another one may be on its way.
    if (this.#prng.chance(this.#swarm.chances.keys)) {
      yield { kind: 'rotate', tenant: this.#tenants[0] as string };
      yield { kind: 'wait', milliseconds: 0 };
    }
    for (const name of ['accounts', 'notes'] as const) {
      yield { kind: 'send', tenant, spec: { kind: 'table', name, ifNotExists: false } };
    }
    if (this.#prng.chance(0.5)) yield { kind: 'settle' };
  }

  #fault(soon: boolean): DatabaseEvent {
    const { faults } = this.#swarm;
    const kind = faults[this.#prng.below(faults.length)] as FaultKind;
    return { kind: 'fault', fault: this.#drawFault(kind, soon) };
  }

  #drawFault(kind: FaultKind, soon: boolean): Fault {
    const prng = this.#prng;
    const calls = 1 + prng.below(soon ? 45 : 300);
    const flushes = 1 + prng.below(soon ? 4 : 20);
    switch (kind) {
      case 'crash at call':
      case 'kill at call':
        return { kind, calls };
      case 'crash at flush':
      case 'failed flush':
        return { kind, flushes };
      case 'failed rename':
        return { kind, renames: 1 + prng.below(3) };
      case 'failed call':
      case 'full at call':
        return { kind, calls, forGood: prng.chance(0.3) };
      case 'full disk':
        return { kind, spareBytes: prng.below(soon ? 3_000 : 20_000) };
      case 'refused growth':
        return { kind, growths: 1 + prng.below(6) };
      case 'slow flushes':
        return { kind, micros: 5_000 + prng.below(2_000_000) };
      case 'clock step':
        return { kind, micros: (prng.below(2_000_001) - 1_000_000) * (soon ? 1 : 3_600) };
      case 'bit rot':
        return { kind, pick: prng.nextUint32(), mask: 1 << prng.below(8) };
      case 'lost write':
        return { kind, writes: flushes };
      case 'stray write':
        return { kind, writes: flushes, pick: prng.nextUint32() };
      case 'all clear':
        return { kind };
    }
  }
}
