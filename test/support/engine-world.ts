/** An engine on a simulated disk whose background flushes take simulated time. */
import { type Position, Prng, type TenantId, VerityError } from '../../src/base/index.ts';
import { SecretKey } from '../../src/crypto/index.ts';
import {
  type CheckpointSettings,
  type Engine,
  type EngineHost,
  type LogSizes,
  openEngine,
  type PaceSettings,
} from '../../src/engine/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';
import { SimClock, type SimDisk, type SimScheduler } from '../../src/sim/index.ts';

const provider = new HeldKeyProvider(
  'fixed',
  'fixed',
  () => new SecretKey(new Uint8Array(32).fill(7)),
);

/** Every frame is flushed in the background and cut at four commands, or at 4 KiB. */
export const eagerPace: PaceSettings = {
  writersOnTurnMax: 0,
  overlapMicrosPerWriter: 0,
  cutCommandsMin: 4,
  frameBytesTarget: 4_096,
  commandsWaitingMax: 1_000,
  bytesWaitingMax: 1 << 20,
};

export interface EngineWorld {
  readonly disk: SimDisk;
  readonly scheduler: SimScheduler;
  readonly engine: Engine;
  readonly tenant: TenantId;
}

export interface EngineOptions {
  readonly pace?: PaceSettings;
  readonly logSizes?: LogSizes;
  readonly checkpoints?: Partial<CheckpointSettings>;
  /** Another database for another seed. */
  readonly entropySeed?: number;
}

export async function openEngineOn(
  disk: SimDisk,
  scheduler: SimScheduler,
  options: EngineOptions = {},
): Promise<Engine> {
  const host: EngineHost = {
    disk,
    clock: new SimClock(),
    scheduler,
    entropy: new Prng(options.entropySeed ?? 3),
    pace: options.pace ?? eagerPace,
    checkpoints: { cacheBytes: 1 << 20, ...options.checkpoints },
    ...(options.logSizes !== undefined && { logSizes: options.logSizes }),
  };
  return scheduler.settle(openEngine(host, { provider, mode: 'owner', create: true }));
}

/** An engine with one tenant, whose keys are durable, and nothing on its way. */
export async function engineWorld(
  disk: SimDisk,
  scheduler: SimScheduler,
  options: EngineOptions = {},
): Promise<EngineWorld> {
  const engine = await openEngineOn(disk, scheduler, options);
  const created = await scheduler.settle(
    engine.submit({ kind: 'createTenant', name: 'amber', origin: {} }),
  );
  const world = { disk, scheduler, engine, tenant: created.outcome.tenant as TenantId };
  await scheduler.settle(append(world, 0));
  await idle(scheduler);
  return world;
}

/** Lets so much time pass that everything is done, and the last frame marked as durable. */
export function idle(scheduler: SimScheduler): Promise<void> {
  return scheduler.settle(new Promise((resolve) => void scheduler.delay(1_000, resolve)));
}

/** What became of a command: its position, or the code of the error. */
export type Answer = Position | string;

/** Appends one event to the stream `visits`. */
export async function append(
  { engine, tenant }: Pick<EngineWorld, 'engine' | 'tenant'>,
  sizeBytes = 10,
  expectedVersion?: number,
): Promise<Answer> {
  const event = new TextEncoder().encode(JSON.stringify('x'.repeat(sizeBytes)));
  try {
    const { position } = await engine.submit({
      kind: 'append',
      tenant,
      stream: 'visits',
      events: [event],
      expectedVersion,
      origin: {},
    });
    return position;
  } catch (error) {
    return error instanceof VerityError ? error.code : String(error);
  }
}

/** Sends commands of these sizes at once and notes the answers in the order in which they come. */
export function burst(
  world: Pick<EngineWorld, 'engine' | 'tenant'>,
  sizesBytes: readonly number[],
): Answer[] {
  const answers: Answer[] = [];
  for (const sizeBytes of sizesBytes)
    void append(world, sizeBytes).then((answer) => answers.push(answer));
  return answers;
}

/** Lets promises settle, and no flush end. */
export async function turn(): Promise<void> {
  for (let hop = 0; hop < 20; hop++) await Promise.resolve();
}
