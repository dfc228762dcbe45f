import { type Disk, systemTenant } from '../base/index.ts';
import { decodeEvent, type LogEvent } from '../codec/index.ts';
import type { KernelState } from '../kernel/index.ts';
import {
  type CheckedFrame,
  type DurableFrame,
  type FrameHeader,
  type FrameProblem,
  isProblem,
  type LogHead,
  openFrame,
} from '../log/index.ts';
import { olderKeyring } from './key-files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { loggedKeyring } from './keyring-record.ts';
import type { LogIndex } from './log-index.ts';
import {
  frameCorruption,
  type FramePlace,
  type FrameSpan,
  type LogTail,
  LogWalk,
} from './log-walk.ts';
import type { StateHasher } from './state-hasher.ts';

export interface Replay {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  readonly state: KernelState;
  readonly index: LogIndex;
  /** What the anchor says; the log must reach it. */
  readonly durable?: DurableFrame | undefined;
  readonly onSegment?: ((done: number, total: number) => void) | undefined;
  /** Called behind each frame that was applied. */
  readonly onFrame?: ((place: FramePlace, end: number) => void) | undefined;
  /** Is told what a frame holds before it is applied. */
  readonly onEvents?: ((events: readonly LogEvent[], header: FrameHeader) => void) | undefined;
  /** Is told what each frame holds that was applied. */
  readonly hasher?: Pick<StateHasher, 'note'> | undefined;
}

/**
 * Walks the log from its beginning, or from behind the last frame of `start`, to its end; checks every byte of that and
 * applies every event to the state, which is that of `start`. Throws CorruptionError, naming file and offset, at the
 * first damage; decides nothing about a torn tail.
 */
export function replayLog(replay: Replay, start: LogHead, behind?: FrameSpan): LogTail {
  const { disk, durable, onSegment, onFrame } = replay;
  const walk = new LogWalk({ disk, start, behind, durable, onSegment });
  for (let step = walk.next(); step !== undefined; step = walk.next()) {
    if (step.kind !== 'frame') continue;
    const problem = applyFrame(replay, step.frame, step.place);
    if (problem !== undefined) throw frameCorruption(step.place, problem);
    onFrame?.(step.place, step.place.offset + step.frame.header.frameLength);
  }
  return walk.tail;
}

/** Opens a frame's sections, checks each event against its commitment, and applies its commands. */
export function applyFrame(
  replay: Pick<Replay, 'hierarchy' | 'state' | 'index' | 'onEvents' | 'hasher'>,
  frame: CheckedFrame,
  place: FramePlace,
): FrameProblem | undefined {
  const { header } = frame;
  replay.index.add({
    path: place.path,
    offset: place.offset,
    op: header.op,
    position: header.firstPosition,
    timestamp: header.timestamp,
  });
  const events = decodeFrame(replay.hierarchy, frame);
  if (isProblem(events)) {
    const logged = loggedKeyring(replay.state)?.generation ?? 0;
    const { generation } = replay.hierarchy.keyring;
    if (events.code === 'MISSING_DATA' && generation < logged)
      throw olderKeyring(generation, logged);
    return events;
  }
  replay.onEvents?.(events, header);
  const steps = applyEvents(replay.state, events);
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  if (!step.value)
    return { code: 'STATE_MISMATCH', offset: header.bodyStart, what: 'A command is not whole' };
  replay.hasher?.note(events, frame.leaves, header.lastPosition);
  return undefined;
}

/** Applies the commands of a frame, given all its events, one a step; false if one is not whole. Yields how many events it had. */
export function* applyEvents(
  state: KernelState,
  events: readonly LogEvent[],
): Generator<number, boolean> {
  let first = 0;
  while (first < events.length) {
    const count = commandLength(events, first);
    if (count === undefined) return false;
    const command = events.slice(first, first + count);
    const changes = state.evolve(command);
    state.commit((command[0] as LogEvent).position, changes);
    first += count;
    yield count;
  }
  return true;
}

/** All events of a frame, opened and decoded, in log order. */
export function decodeFrame(
  hierarchy: KeyHierarchy,
  frame: CheckedFrame,
): LogEvent[] | FrameProblem {
  const { header } = frame;
  if (frame.sections.length === 0) {
    return {
      code: 'AUTHENTICATION_FAILED',
      offset: header.bodyStart,
      what: 'A frame that nobody sealed',
    };
  }
  for (const section of frame.sections) {
    if (
      hierarchy.sectionKey(section.tenant, section.secretNumber, header.epochSalt) === undefined
    ) {
      checkNotOlder(hierarchy, frame);
      return {
        code: 'MISSING_DATA',
        offset: section.offset,
        what: 'A section whose key the keyring lacks lies',
      };
    }
  }
  const opened = openFrame(frame, (section) =>
    hierarchy.sectionKey(section.tenant, section.secretNumber, header.epochSalt),
  );
  if (isProblem(opened)) return opened;
  const events: LogEvent[] = [];
  for (const { event: bytes, tenant } of opened) {
    const event = decodeChecked(bytes);
    const fits =
      event !== undefined &&
      event.tenant === tenant &&
      event.position >= header.firstPosition &&
      event.position <= header.lastPosition;
    if (!fits)
      return {
        code: 'STATE_MISMATCH',
        offset: header.bodyStart,
        what: 'An event does not belong to its frame',
      };
    events.push(event);
  }
  return events;
}

/** A keyring that lacks keys which the same frame says it has was put back from an older copy. */
function checkNotOlder(hierarchy: KeyHierarchy, frame: CheckedFrame): void {
  const opened = openFrame(frame, ({ tenant, secretNumber }) =>
    tenant === systemTenant
      ? hierarchy.sectionKey(tenant, secretNumber, frame.header.epochSalt)
      : undefined,
  );
  if (isProblem(opened)) return;
  const { generation } = hierarchy.keyring;
  for (const { event: bytes } of opened) {
    const event = decodeChecked(bytes);
    if (event?.type === 'keyringChanged' && event.generation > generation)
      throw olderKeyring(generation, event.generation);
  }
}

function decodeChecked(bytes: Uint8Array): LogEvent | undefined {
  try {
    return decodeEvent(bytes);
  } catch {
    return undefined;
  }
}

/** How many events the command that starts at `first` has; undefined if they are not all there. */
function commandLength(events: readonly LogEvent[], first: number): number | undefined {
  const { command, position } = events[first] as LogEvent;
  if (
    command === undefined ||
    command.eventCount > events.length - first ||
    command.eventCount === 0
  )
    return undefined;
  for (let index = first + 1; index < first + command.eventCount; index++) {
    const event = events[index] as LogEvent;
    if (event.position !== position || event.command !== undefined) return undefined;
  }
  return command.eventCount;
}
