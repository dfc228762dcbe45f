/** Making the trees of the store anew from the log while those that are there are used. docs/decisions/0017 argues it. */
import { CorruptionError, equalBytes, type Op, VerityError } from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import { DefinitionCache, KernelState } from '../kernel/index.ts';
import { emptyLogHead, isProblem, segmentHeaderBytes } from '../log/index.ts';
import { type RebuiltPages, TreeStore } from '../store/index.ts';
import { writeCounters } from './checkpoint-records.ts';
import type { Checkpointer } from './checkpointer.ts';
import { segmentPaths } from './files.ts';
import type { EngineHost } from './host.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import type { LogPlace } from './log-index.ts';
import type { LocatedFrame, LogReader } from './log-reader.ts';
import { corruption } from './log-walk.ts';
import { applyEvents, decodeFrame } from './replay.ts';
import type { StoredState } from './replay-store.ts';
import { StateHasher, stateKey } from './state-hasher.ts';

/** Events applied within one turn of the event loop: about a millisecond. */
const sliceMin = 64;
const sliceMax = 16_384;
/** After so many it is looked whether they are enough. */
const turnsBetween = 16;

export interface StoreRebuildParts {
  readonly host: EngineHost;
  readonly hierarchy: KeyHierarchy;
  readonly stored: StoredState;
  readonly checkpoints: Checkpointer;
  readonly reader: LogReader;
  /** The newest committed op. */
  readonly head: () => Op;
  /** Gives other work its turn. Throws unless the database goes on being written. */
  readonly turn: () => Promise<void>;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** New trees, as far as the log has been applied to them. */
interface Built {
  readonly pages: RebuiltPages;
  readonly store: TreeStore;
  readonly state: KernelState;
  readonly hasher: StateHasher;
}

/**
 * Builds new trees on free pages of the same file by applying the log from its beginning, catches up with what is
 * committed meanwhile, and has the store go on in them, all on one turn. Then a checkpoint names them.
 *
 * Invariant: until that checkpoint is durable the superblock names the trees before, none of whose pages is written.
 */
export class StoreRebuild {
  readonly #parts: StoreRebuildParts;

  constructor(parts: StoreRebuildParts) {
    this.#parts = parts;
  }

  /** Resolves when the checkpoint of the new trees is durable. Rejects with damage of the log, DISK_FULL and what `turn` throws: then all is as before. */
  async run(): Promise<void> {
    const { checkpoints } = this.#parts;
    await checkpoints.alone(async () => {
      await this.#replace();
      await checkpoints.writeRenewed();
    });
  }

  async #replace(): Promise<void> {
    const { stored } = this.#parts;
    const pages = stored.pages.beginRebuild();
    const { logId } = this.#parts.hierarchy.keyring;
    const frames = new LogFrames(this.#parts, emptyLogHead(logId).chainHash);
    try {
      const store = new TreeStore(pages, { cacheBytes: stored.settings.cacheBytes });
      const key = stateKey(this.#parts.hierarchy);
      const hasher = new StateHasher(() => store.meta, key, stored.settings);
      key.wipe();
      const built = { pages, store, state: new KernelState(new DefinitionCache(store)), hasher };
      await this.#catchUp(built, frames);
      this.#takeOver(built);
    } catch (error) {
      pages.giveUp();
      // Nobody's data was asked for.
      if (error instanceof CorruptionError) error.tree = undefined;
      throw error;
    } finally {
      frames.close();
    }
  }

  /** Applies what is committed, a slice a turn; at the end all of it, and no checkpoint is under way but one that cannot be finished. */
  async #catchUp(built: Built, frames: LogFrames): Promise<void> {
    const { stored, checkpoints, turn, head, onProgress } = this.#parts;
    let slice = sliceMin;
    let steps = applying(built, frames);
    let before = { head: head(), op: frames.op };
    for (let turns = 0; ;) {
      await turn();
      let isAtHead = false;
      for (let left = slice; left > 0 && !isAtHead;) {
        const step = steps.next();
        isAtHead = step.done === true;
        left -= step.value ?? 0;
      }
      onProgress?.(frames.op, head());
      if (stored.pages.isFull) throw noRoom();
      if (isAtHead) {
        if (checkpoints.isSettled) return;
        await checkpoints.settled();
        steps = applying(built, frames);
      }
      if (++turns % turnsBetween !== 0) continue;
      // Others commit faster than this comes after them.
      const now = { head: head(), op: frames.op };
      const grown = now.head - before.head;
      if (grown > 0 && grown >= now.op - before.op) slice = Math.min(2 * slice, sliceMax);
      before = now;
    }
  }

  #takeOver({ pages, store, state, hasher }: Built): void {
    const { stored, checkpoints } = this.#parts;
    stored.store.takeOver(store, stored.pages);
    stored.pages.takeOver(pages);
    stored.hasher.takeOver(hasher);
    stored.walk?.stop();
    stored.damage.clear();
    // Of tenants that this handle has not used: theirs were not read from the trees before.
    for (const counters of state.takeChangedCounters()) writeCounters(store.meta, counters);
    stored.state.retakeCounters();
    checkpoints.renewed();
  }
}

/** Applies what is committed, a command a step, until nothing is left; yields what a step cost, in events. */
function* applying({ state, hasher }: Built, frames: LogFrames): Generator<number, void> {
  for (let events = frames.next(); events !== undefined; events = frames.next()) {
    // To read and open a frame costs about half as much as to apply it.
    yield events.length >> 1;
    const isWhole = yield* applyEvents(state, events);
    if (!isWhole) throw frames.problem('A command that is not whole lies');
    frames.noteLast(hasher, events);
  }
}

/** The events of all frames from the beginning of the log on, checked; up to what is committed when each is asked for. */
class LogFrames {
  readonly #parts: StoreRebuildParts;
  #chainHash: Uint8Array;
  #steps: Generator<LocatedFrame, void> | undefined;
  #last: LocatedFrame | undefined;

  constructor(parts: StoreRebuildParts, chainHash: Uint8Array) {
    this.#parts = parts;
    this.#chainHash = chainHash;
  }

  /** Of the last frame; 0 before the first. */
  get op(): number {
    return this.#last?.frame.header.op ?? 0;
  }

  /** The next frame's events; undefined if no other is committed by now. Throws CorruptionError. */
  next(): LogEvent[] | undefined {
    this.#steps ??= this.#parts.reader.frames(this.#nextPlace());
    const step = this.#steps.next();
    if (step.done === true) {
      this.#steps = undefined;
      return undefined;
    }
    const located = step.value;
    const { header, chainHash } = located.frame;
    this.#last = located;
    if (!equalBytes(header.parent, this.#chainHash))
      throw this.problem('A frame that does not continue the one before it lies');
    this.#chainHash = chainHash;
    return this.#eventsOf(located);
  }

  /** Has the last frame, which holds these events, noted. */
  noteLast(hasher: StateHasher, events: readonly LogEvent[]): void {
    const frame = this.#last?.frame;
    if (frame !== undefined) hasher.note(events, frame.leaves, frame.header.lastPosition);
  }

  problem(what: string): VerityError {
    const { path = 'log', offset = 0 } = this.#last ?? {};
    return corruption(path, { code: 'CHAIN_BROKEN', offset, what });
  }

  close(): void {
    this.#steps?.return();
  }

  #eventsOf(located: LocatedFrame): LogEvent[] {
    const { hierarchy, reader } = this.#parts;
    const { path, offset } = located;
    let events = decodeFrame(hierarchy, located.frame);
    if (isProblem(events)) events = decodeFrame(hierarchy, reader.readAgain(located).frame);
    if (isProblem(events)) throw corruption(path, { ...events, offset: offset + events.offset });
    return events;
  }

  #nextPlace(): Pick<LogPlace, 'path' | 'offset' | 'op'> | undefined {
    const paths = segmentPaths(this.#parts.host.disk);
    const last = this.#last;
    const header = last?.frame.header;
    const op = (this.op + 1) as Op;
    if (last !== undefined && header !== undefined && header.kind !== 'end')
      return { path: last.path, offset: last.offset + header.frameLength, op };
    const path = paths.find((each) => each > (last?.path ?? ''));
    return path === undefined ? undefined : { path, offset: segmentHeaderBytes, op };
  }
}

function noRoom(): VerityError {
  return new VerityError(
    'DISK_FULL',
    'There is no room to make the store anew beside the one that is there. Nothing was changed; make room and try again.',
  );
}
