import { type Disk, type DiskFile, type LeafIndex, type Op, type Position, type TenantId } from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import { decodeEvent } from '../codec/index.ts';
import {
  type CheckedFrame, checkFrame, decodeFrameHeader, type FrameHeader, isProblem, openFrame,
  segmentHeaderBytes, trustedFrameLength,
} from '../log/index.ts';
import { physicalHeaderBytes } from '../log/index.ts';
import { segmentPaths } from './files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import type { LogIndex, LogPlace } from './log-index.ts';
import { corruption } from './replay.ts';

/** A command of one tenant as the log holds it. */
export interface LoggedCommand {
  readonly position: Position;
  readonly events: readonly { readonly event: LogEvent; readonly leaf: LeafIndex }[];
}

interface LogSource {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  readonly index: LogIndex;
  /** The newest op that may be read. */
  readonly head: () => Op;
}

/** Reads committed commands back from the log's files, checking each frame again. */
export class LogReader {
  readonly #source: LogSource;

  constructor(source: LogSource) {
    this.#source = source;
  }

  /** The tenant's commands from position `from` on, oldest first, up to what is committed when each frame is reached. */
  *commands(tenant: TenantId, from: Position): Generator<LoggedCommand, void> {
    for (const frame of this.#frames(this.#source.index.before(from))) {
      if (frame.header.lastPosition < from) continue;
      for (const command of this.#commandsOf(frame, tenant)) {
        if (command.position >= from) yield command;
      }
    }
  }

  /** The newest position at which the tenant's state is as it was at `time` (microseconds since 1970). */
  positionAt(tenant: TenantId, time: number): Position {
    let position = 0 as Position;
    for (const frame of this.#frames(this.#source.index.beforeTime(time))) {
      if (frame.header.timestamp <= time) {
        position = frame.header.lastPosition;
        continue;
      }
      for (const command of this.#commandsOf(frame, tenant)) {
        const at = command.events[0]?.event.command?.time;
        if (at !== undefined && at <= time) position = command.position;
      }
      break;
    }
    return position;
  }

  #commandsOf(frame: CheckedFrame, tenant: TenantId): LoggedCommand[] {
    const { header } = frame;
    if (!frame.sections.some((section) => section.tenant === tenant)) return [];
    const opened = openFrame(frame, (section) =>
      section.tenant === tenant ? this.#source.hierarchy.sectionKey(tenant, header.epochSalt) : undefined);
    if (isProblem(opened)) throw corruption('log', opened);
    const commands: { position: Position; events: { event: LogEvent; leaf: LeafIndex }[] }[] = [];
    for (const { event: bytes, leaf } of opened) {
      const event = decodeEvent(bytes);
      const entry = { event, leaf: (header.firstLeaf + leaf) as LeafIndex };
      const last = commands.at(-1);
      if (last?.position === event.position) last.events.push(entry);
      else commands.push({ position: event.position, events: [entry] });
    }
    return commands;
  }

  *#frames(start: LogPlace | undefined): Generator<CheckedFrame, void> {
    if (start === undefined) return;
    const { disk, head } = this.#source;
    let { path, offset } = start;
    for (;;) {
      const file = disk.open(path, 'read');
      let ended: boolean;
      try {
        ended = yield* this.#framesOf(file, offset, head);
      } finally {
        file.close();
      }
      const next = segmentPaths(disk).find((candidate) => candidate > path);
      if (!ended || next === undefined) return;
      path = next;
      offset = segmentHeaderBytes;
    }
  }

  /** Returns whether the segment is finished, so that the next one follows. */
  *#framesOf(file: DiskFile, start: number, head: () => Op): Generator<CheckedFrame, boolean> {
    for (let offset = start; ; ) {
      const bytes = readFrame(file, offset);
      if (bytes === undefined) return false;
      const header = decodeFrameHeader(bytes, 0);
      if (typeof header === 'string') {
        throw corruption(file.path, { code: 'CHECKSUM_MISMATCH', offset, what: 'A frame header is damaged' });
      }
      if (header.op > head()) return false;
      yield checked(file.path, offset, bytes, header);
      if (header.kind === 'end') return true;
      offset += header.frameLength;
    }
  }
}

function checked(path: string, offset: number, bytes: Uint8Array, header: FrameHeader): CheckedFrame {
  const frame = checkFrame(bytes, header);
  if (isProblem(frame)) throw corruption(path, { ...frame, offset: offset + frame.offset });
  return frame;
}

/** The bytes of the frame at `offset`; undefined at the end of what is written. */
function readFrame(file: DiskFile, offset: number): Uint8Array | undefined {
  const physical = new Uint8Array(physicalHeaderBytes);
  if (file.read(physical, offset) < physicalHeaderBytes || physical.every((byte) => byte === 0)) return undefined;
  const length = trustedFrameLength(physical, 0);
  if (length === undefined) {
    throw corruption(file.path, { code: 'CHECKSUM_MISMATCH', offset, what: 'A frame header is damaged' });
  }
  const bytes = new Uint8Array(length);
  return file.read(bytes, offset) < length ? undefined : bytes;
}
