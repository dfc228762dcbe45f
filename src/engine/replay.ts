import {
  CorruptionError,
  type Disk,
  firstNonZero,
  systemTenant,
  type VerityError,
} from '../base/index.ts';
import { decodeEvent, type LogEvent } from '../codec/index.ts';
import type { KernelState } from '../kernel/index.ts';
import {
  type CheckedFrame,
  checkSegmentHeader,
  type FrameProblem,
  isProblem,
  type LogHead,
  openFrame,
  segmentHeaderBytes,
  type WalkEnd,
  type WalkProblem,
  walkSegment,
} from '../log/index.ts';
import { readStart, readWhole, segmentPaths } from './files.ts';
import { olderKeyring } from './key-files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import type { LogIndex } from './log-index.ts';

/** Enough of a segment to see whether it holds a frame: frames without events are smaller. */
const firstFrameBytes = 4096;

export interface LogTail {
  readonly head: LogHead;
  /** The last segment that belongs to the log, and where it ends. */
  readonly path: string;
  readonly offset: number;
  /** An unfinished write behind the tail, to be cut. */
  readonly torn: { readonly offset: number; readonly length: number } | undefined;
  /** A segment that a crash left while the log was about to continue in it; it holds no frame. */
  readonly abandoned: string | undefined;
}

export interface Replay {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  readonly state: KernelState;
  readonly index: LogIndex;
  readonly onSegment?: (done: number, total: number) => void;
}

/** What is done with each intact frame of the log; a returned problem is damage within the frame. */
type FrameVisitor = (
  frame: CheckedFrame,
  place: { readonly path: string; readonly offset: number; readonly after: LogHead },
) => FrameProblem | undefined;

/**
 * Walks the whole log, checks every byte and applies every event to the (empty) state. Throws
 * CorruptionError, naming file and offset, at the first damage; decides nothing about a torn tail.
 */
export function replayLog(replay: Replay, start: LogHead): LogTail {
  const apply: FrameVisitor = (frame, place) => applyFrame(replay, frame, place);
  return walkLog(replay.disk, start, apply, replay.onSegment);
}

/**
 * Checks all of the log that needs no key: checksums, digests, layout and chain, at the speed of the
 * hash. Throws CorruptionError, naming file and offset, at the first damage.
 */
export function checkLog(disk: Disk, start: LogHead): void {
  walkLog(disk, start, () => undefined);
}

function walkLog(
  disk: Disk,
  start: LogHead,
  visit: FrameVisitor,
  onSegment?: (done: number, total: number) => void,
): LogTail {
  const paths = segmentPaths(disk);
  if (paths.length === 0) {
    throw new CorruptionError('MISSING_DATA', 'log', 0, 'Every segment of the log is missing');
  }
  let head = start;
  let tail: LogTail | undefined;
  for (const [number, path] of paths.entries()) {
    onSegment?.(number, paths.length);
    const bytes = readWhole(disk, path) ?? new Uint8Array();
    if (tail !== undefined && !isFinished(tail)) {
      // Only a roll that crashed leaves a segment behind one that is not finished: it holds no frame yet.
      if (
        firstNonZero(bytes, Math.min(segmentHeaderBytes, bytes.length)) !== -1 ||
        !isLast(disk, paths, number)
      ) {
        throw new CorruptionError(
          'MISSING_DATA',
          tail.path,
          tail.offset,
          'The end of a segment is missing though frames follow it in the next; the gap lies',
        );
      }
      return { ...tail, abandoned: path };
    }
    const headerProblem = checkSegmentHeader(bytes, head);
    if (headerProblem !== undefined) throw corruption(path, headerProblem);
    const last = isLast(disk, paths, number);
    const walked = walkSegment(
      { bytes, offset: segmentHeaderBytes, head, last },
      (frame, offset, after) => visit(frame, { path, offset, after }),
    );
    head = walked.head;
    tail = tailOf(path, walked.end, head);
  }
  if (tail === undefined || isFinished(tail)) {
    throw new CorruptionError(
      'MISSING_DATA',
      paths.at(-1) as string,
      tail?.offset ?? 0,
      'The segment after a finished one is missing; a finished segment lies',
    );
  }
  return tail;
}

/** Whether the segment's own last frame says that the log goes on in another. */
function isFinished({ head, offset }: LogTail): boolean {
  return head.lastKind === 'end' && offset > segmentHeaderBytes;
}

/** Whether no later segment holds a frame. */
function isLast(disk: Disk, paths: readonly string[], number: number): boolean {
  return paths.slice(number + 1).every((path) => !holdsFrame(disk, path));
}

/** Whether a segment holds more than its header. */
export function holdsFrame(disk: Disk, path: string): boolean {
  const start = readStart(disk, path, segmentHeaderBytes + firstFrameBytes);
  return firstNonZero(start, Math.min(segmentHeaderBytes, start.length)) !== -1;
}

function tailOf(path: string, end: WalkEnd, head: LogHead): LogTail {
  switch (end.kind) {
    case 'damaged':
      throw corruption(path, end.problem);
    case 'tail':
      return { head, path, offset: end.offset, torn: undefined, abandoned: undefined };
    case 'torn':
      return {
        head,
        path,
        offset: end.offset,
        torn: { offset: end.offset, length: end.length },
        abandoned: undefined,
      };
  }
}

export function corruption(path: string, problem: WalkProblem): VerityError {
  return new CorruptionError(problem.code, path, problem.offset, problem.what);
}

/** Opens a frame's sections, checks each event against its commitment, and applies its commands. */
export function applyFrame(
  replay: Pick<Replay, 'hierarchy' | 'state' | 'index'>,
  frame: CheckedFrame,
  place: { readonly path: string; readonly offset: number; readonly after: LogHead },
): FrameProblem | undefined {
  const { header } = frame;
  replay.index.add({
    path: place.path,
    offset: place.offset,
    op: header.op,
    position: header.firstPosition,
    timestamp: header.timestamp,
  });
  if (frame.sections.length === 0) {
    return {
      code: 'AUTHENTICATION_FAILED',
      offset: header.bodyStart,
      what: 'A frame that nobody sealed',
    };
  }
  const events = decodeFrame(replay.hierarchy, frame);
  if (isProblem(events)) return events;
  let first = 0;
  while (first < events.length) {
    const count = commandLength(events, first);
    if (count === undefined) {
      return { code: 'STATE_MISMATCH', offset: header.bodyStart, what: 'A command is not whole' };
    }
    const command = events.slice(first, first + count);
    const changes = replay.state.evolve(command);
    replay.state.commit((command[0] as LogEvent).position, changes);
    first += count;
  }
  return undefined;
}

/** All events of a frame, opened and decoded, in log order. */
export function decodeFrame(
  hierarchy: KeyHierarchy,
  frame: CheckedFrame,
): LogEvent[] | FrameProblem {
  const { header } = frame;
  for (const section of frame.sections) {
    if (hierarchy.sectionKey(section.tenant, header.epochSalt) === undefined) {
      checkNotOlder(hierarchy, frame);
      return {
        code: 'MISSING_DATA',
        offset: section.offset,
        what: 'A section whose key the keyring lacks lies',
      };
    }
  }
  const opened = openFrame(frame, (section) =>
    hierarchy.sectionKey(section.tenant, header.epochSalt),
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
  const opened = openFrame(frame, ({ tenant }) =>
    tenant === systemTenant ? hierarchy.sectionKey(tenant, frame.header.epochSalt) : undefined,
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
