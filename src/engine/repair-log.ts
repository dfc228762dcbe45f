/** Making one good log of a damaged one and another copy of it, frame by frame. */
import {
  concatBytes,
  CorruptionError,
  type Disk,
  equalBytes,
  firstNonZero,
  type Op,
  type Position,
} from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import {
  advance,
  checkSegmentHeader,
  decodeSegmentHeader,
  type DurableFrame,
  emptyLogHead,
  encodeSegmentHeader,
  findFrames,
  type FoundFrame,
  frameProblemAfter,
  type LogHead,
  segmentHeaderAt,
  segmentHeaderBytes,
  segmentPath,
  type WalkEnd,
  type WalkProblem,
  walkSegment,
} from '../log/index.ts';
import { readStart, readWhole, segmentPaths } from './files.ts';
import { holdsFrame } from './log-walk.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import type { Replacement } from './overlay-disk.ts';
import { decodeFrame } from './replay.ts';

/** A run of frames, or a whole segment, that was taken from the copy. */
export interface ReplacedPart {
  readonly file: string;
  /** In the repaired file. */
  readonly offset: number;
  readonly lengthBytes: number;
  readonly firstOp: Op;
  readonly lastOp: Op;
}

export interface LogRepair {
  readonly replacements: Map<string, Replacement>;
  readonly replaced: ReplacedPart[];
  readonly head: LogHead;
}

export interface LogRepairSettings {
  readonly disk: Disk;
  readonly copy: Disk;
  readonly hierarchy: KeyHierarchy;
  /** What the anchor says; the repaired log must reach it. */
  readonly durable: DurableFrame;
  /** Whether frames behind the log's own end are taken, too. */
  readonly extend: boolean;
}

/** How far the log's own bytes are good within one segment. */
interface OwnWalk {
  readonly head: LogHead;
  readonly end: WalkEnd;
  readonly offset: number;
}

/** Walks one segment, and opens every frame. A file that is missing, or of another place, is damage at its start. */
export function walkOwn(hierarchy: KeyHierarchy, bytes: Uint8Array, head: LogHead): OwnWalk {
  const problem: WalkProblem | undefined = checkSegmentHeader(bytes, head);
  if (problem !== undefined) return { head, end: { kind: 'damaged', problem }, offset: 0 };
  let offset = segmentHeaderBytes;
  const walked = walkSegment({ bytes, offset, head, last: true }, (frame, at) => {
    const events = decodeFrame(hierarchy, frame);
    if ('code' in events) return events;
    offset = at + frame.header.frameLength;
    return undefined;
  });
  return { ...walked, offset };
}

export function isFinishedWalk({ head, end, offset }: OwnWalk): boolean {
  return end.kind === 'tail' && head.lastKind === 'end' && offset > segmentHeaderBytes;
}

/**
 * Goes through the log and takes each frame that is damaged or missing from the copy. Every frame taken must continue
 * the chain and open, and what follows it must continue it. Throws CorruptionError where neither has a good frame.
 */
export function repairLog(settings: LogRepairSettings): LogRepair {
  const { disk, hierarchy, durable, extend } = settings;
  const replacements = new Map<string, Replacement>();
  const replaced: ReplacedPart[] = [];
  const visited = new Set<string>();
  let head = emptyLogHead(hierarchy.keyring.logId);
  for (;;) {
    const path = segmentPath((head.position + 1) as Position);
    visited.add(path);
    const own = readWhole(disk, path) ?? new Uint8Array();
    const walked = walkOwn(hierarchy, own, head);
    if (isFinishedWalk(walked)) {
      head = walked.head;
      continue;
    }
    const goesOn = holdsLater(disk, path, head);
    const isEnd = walked.end.kind !== 'damaged' && !goesOn && walked.head.op >= durable.op;
    if (isEnd && !extend)
      return finish(settings, { replacements, replaced, head: walked.head }, visited);
    // Bytes that are no unfinished write were a frame: it is asked for, too.
    const isBroken = walked.end.kind === 'damaged' && firstNonZero(own, segmentHeaderBytes) !== -1;
    const broken = isBroken ? walked.head.op + 1 : 0;
    const required = Math.max(durable.op, broken) as Op;
    const merged = mergeSegment(settings, { path, own, head, goesOn, required });
    if (merged.parts.length > 0) {
      replaced.push(...merged.parts);
      replacements.set(path, merged.replacement);
    }
    head = merged.head;
    if (head.lastKind !== 'end') {
      return finish(settings, { replacements, replaced, head }, visited);
    }
  }
}

/** What lies beside the log that was put together belongs to no place in it. */
function finish(settings: LogRepairSettings, repair: LogRepair, visited: Set<string>): LogRepair {
  for (const path of segmentPaths(settings.disk)) {
    if (!visited.has(path) && holdsFrame(settings.disk, path))
      repair.replacements.set(path, { kind: 'nothing' });
  }
  return repair;
}

/** Whether a segment of this log behind `path` holds a frame. */
function holdsLater(disk: Disk, path: string, head: LogHead): boolean {
  return segmentPaths(disk).some((later) => {
    if (later <= path) return false;
    const start = readStart(disk, later, segmentHeaderBytes + 4_096);
    const header = decodeSegmentHeader(start);
    return (
      typeof header !== 'string' &&
      equalBytes(header.logId, head.logId) &&
      header.firstOp > head.op &&
      firstNonZero(start, segmentHeaderBytes) !== -1
    );
  });
}

interface Merging {
  readonly path: string;
  readonly own: Uint8Array;
  readonly head: LogHead;
  /** Whether later segments say that this one is finished. */
  readonly goesOn: boolean;
  /** The log must reach this op, if not more. */
  readonly required: Op;
}

interface Merged {
  readonly head: LogHead;
  readonly replacement: Replacement;
  readonly parts: ReplacedPart[];
}

function mergeSegment(settings: LogRepairSettings, merging: Merging): Merged {
  const { copy, durable, extend } = settings;
  const { path, own, goesOn, required } = merging;
  const other = readWhole(copy, path) ?? new Uint8Array();
  const { logId } = merging.head;
  const ownFrames = findFrames(own, logId);
  const otherFrames = findFrames(other, logId);
  const lastOwn = goesOn || extend ? Infinity : Math.max(required, ...ownFrames.keys());
  const pieces = [encodeSegmentHeader(segmentHeaderAt(merging.head))];
  const parts: ReplacedPart[] = headerPart(merging);
  let offset = segmentHeaderBytes;
  let { head } = merging;
  while (head.lastKind !== 'end' || head === merging.head) {
    const op = (head.op + 1) as Op;
    const mine = fitting(settings, ownFrames.get(op), head);
    const theirs =
      mine === undefined && op <= lastOwn
        ? fitting(settings, otherFrames.get(op), head)
        : undefined;
    const frame = mine ?? theirs;
    if (frame === undefined) {
      if (op > required && !goesOn && !hasLater(ownFrames, op)) break;
      throw new CorruptionError(
        'MISSING_DATA',
        path,
        offset,
        `Frame ${op} is good neither here nor in the copy: it would lie`,
      );
    }
    const source = frame === mine ? own : other;
    const bytes = source.subarray(frame.offset, frame.offset + frame.header.frameLength);
    pieces.push(bytes);
    if (frame === theirs)
      addPart(parts, { file: path, offset, lengthBytes: bytes.length, firstOp: op, lastOp: op });
    offset += bytes.length;
    head = advance(head, frame.checked);
    if (head.op === durable.op && !equalBytes(head.chainHash, durable.chainHash)) {
      throw new CorruptionError(
        'CHAIN_BROKEN',
        path,
        offset - bytes.length,
        'Another frame than the one that was durable lies',
      );
    }
  }
  return { head, parts, replacement: replacementOf(concatBytes(...pieces), { copy, path, other }) };
}

/** Bytes that the copy holds just so need not be kept. */
function replacementOf(
  bytes: Uint8Array,
  from: { readonly copy: Disk; readonly path: string; readonly other: Uint8Array },
): Replacement {
  return equalBytes(bytes, from.other)
    ? { kind: 'file', disk: from.copy, path: from.path, digest: sha256(bytes) }
    : { kind: 'bytes', bytes };
}

/** A damaged segment header follows from the log before it. */
function headerPart({ path, own, head }: Merging): ReplacedPart[] {
  if (checkSegmentHeader(own, head) === undefined) return [];
  const op = (head.op + 1) as Op;
  return [{ file: path, offset: 0, lengthBytes: segmentHeaderBytes, firstOp: op, lastOp: head.op }];
}

function addPart(parts: ReplacedPart[], part: ReplacedPart): void {
  const last = parts.at(-1);
  if (last === undefined || last.offset + last.lengthBytes !== part.offset) {
    parts.push(part);
    return;
  }
  parts[parts.length - 1] = {
    ...last,
    lengthBytes: last.lengthBytes + part.lengthBytes,
    lastOp: part.lastOp,
  };
}

function hasLater(frames: ReadonlyMap<Op, unknown>, op: Op): boolean {
  for (const later of frames.keys()) if (later > op) return true;
  return false;
}

/** The one of several frames of an op that continues the log and opens. */
function fitting(
  { hierarchy }: LogRepairSettings,
  candidates: readonly FoundFrame[] | undefined,
  head: LogHead,
): FoundFrame | undefined {
  return candidates?.find(
    ({ checked }) =>
      frameProblemAfter(checked.header, head) === undefined &&
      !('code' in decodeFrame(hierarchy, checked)),
  );
}
