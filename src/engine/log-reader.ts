import {
  type Disk,
  type DiskFile,
  equalBytes,
  type LeafIndex,
  type Op,
  type Position,
  type TenantId,
} from '../base/index.ts';
import type { LogEvent } from '../codec/index.ts';
import { decodeEvent } from '../codec/index.ts';
import {
  type CheckedFrame,
  checkFrame,
  decodeFrameHeader,
  type FrameHeader,
  isProblem,
  type OpenedEvent,
  openFrame,
  segmentHeaderBytes,
  trustedFrameLength,
} from '../log/index.ts';
import { physicalHeaderBytes } from '../log/index.ts';
import { segmentPaths } from './files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import type { LogIndex, LogPlace } from './log-index.ts';
import { corruption } from './log-walk.ts';

/** A command of one tenant as the log holds it. */
export interface LoggedCommand {
  readonly position: Position;
  readonly events: readonly { readonly event: LogEvent; readonly leaf: LeafIndex }[];
}

/** A frame, and where it lies. */
export interface LocatedFrame {
  readonly frame: CheckedFrame;
  readonly path: string;
  readonly offset: number;
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
    try {
      yield* this.#commands(tenant, from);
    } catch (error) {
      this.#source.hierarchy.security.observe(error);
      throw error;
    }
  }

  *#commands(tenant: TenantId, from: Position): Generator<LoggedCommand, void> {
    for (const located of this.frames(this.#source.index.before(from))) {
      const { frame } = located;
      const opened = this.#open(located, tenant);
      if (frame.header.lastPosition < from) continue;
      for (const command of commandsOf(frame, opened)) {
        if (command.position >= from) yield command;
      }
    }
  }

  /** The newest position at which the tenant's state is as it was at `time` (microseconds since 1970). */
  positionAt(tenant: TenantId, time: number): Position {
    return this.#source.hierarchy.security.watch(() => this.#positionAt(tenant, time));
  }

  #positionAt(tenant: TenantId, time: number): Position {
    let position = 0 as Position;
    for (const located of this.frames(this.#source.index.beforeTime(time))) {
      const { frame } = located;
      const opened = this.#open(located, tenant);
      if (frame.header.timestamp <= time) {
        position = frame.header.lastPosition;
        continue;
      }
      for (const command of commandsOf(frame, opened)) {
        const at = command.events[0]?.event.command?.time;
        if (at !== undefined && at <= time) position = command.position;
      }
      break;
    }
    return position;
  }

  /**
   * The tenant's events in the frame. What a frame says of itself is believed only when one of its sections
   * opens – each is sealed together with the chain hash – so another tenant's stands in where there is no own.
   */
  #open(located: LocatedFrame, tenant: TenantId): readonly OpenedEvent[] {
    const opened = this.#tryOpen(located, tenant);
    // Sealed anew since the file was opened, and the old secret is gone: the new file has the same frames in the same places.
    const again = opened ?? this.#tryOpen(this.readAgain(located), tenant);
    if (again !== undefined) return again;
    throw corruption(located.path, {
      code: 'AUTHENTICATION_FAILED',
      offset: located.offset,
      what: 'A frame that nobody sealed lies',
    });
  }

  /** The same frame as its file has it now, which may have been sealed anew since. */
  readAgain({ frame, path, offset }: LocatedFrame): LocatedFrame {
    const file = this.#source.disk.open(path, 'read');
    try {
      const bytes = readFrame(file, offset);
      const header = bytes === undefined ? 'short' : decodeFrameHeader(bytes, 0);
      if (bytes === undefined || typeof header === 'string') throw missing(path, offset);
      const found = checked(path, offset, bytes, header);
      const isSame = equalBytes(found.chainHash, frame.chainHash);
      return isSame ? { frame: found, path, offset } : { frame, path, offset };
    } finally {
      file.close();
    }
  }

  /** Undefined if the keyring lacks the key. */
  #tryOpen(
    { frame, path, offset }: LocatedFrame,
    tenant: TenantId,
  ): readonly OpenedEvent[] | undefined {
    const own = frame.sections.find((section) => section.tenant === tenant);
    const witness = own ?? frame.sections[0];
    const key =
      witness === undefined
        ? undefined
        : this.#source.hierarchy.sectionKey(
            witness.tenant,
            witness.secretNumber,
            frame.header.epochSalt,
          );
    if (witness === undefined || key === undefined) return undefined;
    const opened = openFrame(frame, (section) => (section === witness ? key : undefined));
    if (isProblem(opened)) throw corruption(path, { ...opened, offset: offset + opened.offset });
    return own === undefined ? [] : opened;
  }

  /** The frames from `start` up to what is committed when each is reached, each of them once and none left out. */
  *frames(
    start: Pick<LogPlace, 'path' | 'offset' | 'op'> | undefined,
  ): Generator<LocatedFrame, void> {
    if (start === undefined) return;
    const { disk, head } = this.#source;
    let { path, offset, op } = start;
    while (op <= head()) {
      const file = disk.open(path, 'read');
      try {
        op = yield* this.#framesOf(file, offset, op);
      } finally {
        file.close();
      }
      if (op > head()) return;
      const next = segmentPaths(disk).find((candidate) => candidate > path);
      if (next === undefined) throw missing(path, offset);
      path = next;
      offset = segmentHeaderBytes;
    }
  }

  /** The frames of one segment from `start`, where frame `first` lies; returns the op after the last. */
  *#framesOf(file: DiskFile, start: number, first: Op): Generator<LocatedFrame, Op> {
    let op = first;
    for (let offset = start; op <= this.#source.head();) {
      const bytes = readFrame(file, offset);
      if (bytes === undefined) throw missing(file.path, offset);
      const header = decodeFrameHeader(bytes, 0);
      if (typeof header === 'string') {
        throw corruption(file.path, {
          code: 'CHECKSUM_MISMATCH',
          offset,
          what: 'A frame header is damaged',
        });
      }
      if (header.op !== op) {
        throw corruption(file.path, {
          code: 'CHAIN_BROKEN',
          offset,
          what: 'A frame does not continue the one before it',
        });
      }
      yield { frame: checked(file.path, offset, bytes, header), path: file.path, offset };
      op = (op + 1) as Op;
      if (header.kind === 'end') return op;
      offset += header.frameLength;
    }
    return op;
  }
}

function missing(path: string, offset: number): Error {
  return corruption(path, {
    code: 'MISSING_DATA',
    offset,
    what: 'A frame that was committed is missing',
  });
}

function commandsOf({ header }: CheckedFrame, opened: readonly OpenedEvent[]): LoggedCommand[] {
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

function checked(
  path: string,
  offset: number,
  bytes: Uint8Array,
  header: FrameHeader,
): CheckedFrame {
  const frame = checkFrame(bytes, header);
  if (isProblem(frame)) throw corruption(path, { ...frame, offset: offset + frame.offset });
  return frame;
}

/** The bytes of the frame at `offset`; undefined at the end of what is written. */
function readFrame(file: DiskFile, offset: number): Uint8Array | undefined {
  const physical = new Uint8Array(physicalHeaderBytes);
  if (file.read(physical, offset) < physicalHeaderBytes || physical.every((byte) => byte === 0))
    return undefined;
  const length = trustedFrameLength(physical, 0);
  if (length === undefined) {
    throw corruption(file.path, {
      code: 'CHECKSUM_MISMATCH',
      offset,
      what: 'A frame header is damaged',
    });
  }
  const bytes = new Uint8Array(length);
  return file.read(bytes, offset) < length ? undefined : bytes;
}
