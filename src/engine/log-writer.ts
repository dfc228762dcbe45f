import { assert, type Disk, type DiskFile, VerityError } from '../base/index.ts';
import {
  encodeSegmentHeader,
  type LogHead,
  segmentHeaderAt,
  segmentHeaderBytes,
  segmentPath,
} from '../log/index.ts';
import { logDirectory } from './files.ts';

/** How the log's files grow. */
export interface LogSizes {
  /** A segment is finished when it has grown past this. */
  readonly segmentBytes: number;
  /** How far ahead of the tail a file is filled with zeros: as much again as it holds, within these bounds. */
  readonly fillBytesMin: number;
  readonly fillBytesMax: number;
}

export const defaultLogSizes: LogSizes = {
  segmentBytes: 32 << 20,
  fillBytesMin: 64 << 10,
  fillBytesMax: 4 << 20,
};

/**
 * Appends frames to the last segment. The file is filled with zeros ahead of the tail, because a flush
 * inside a filled file costs less than one that grows it, and because room is then taken before any
 * byte of a frame is written: a full disk refuses a command and damages nothing.
 *
 * Invariants: bytes from `tail` to the end of the file are zero; nothing before `tail` is written twice;
 * while frames are appended there is at least one such byte, so that a file that ends with its last
 * frame was closed or finished after that frame was flushed.
 */
export class LogWriter {
  readonly #disk: Disk;
  readonly #sizes: LogSizes;
  #file: DiskFile;
  #path: string;
  #tail: number;
  #filled: number;

  constructor(disk: Disk, at: { readonly path: string; readonly tail: number }, sizes: LogSizes) {
    this.#disk = disk;
    this.#sizes = sizes;
    this.#path = at.path;
    this.#file = disk.open(at.path, 'readwrite');
    this.#tail = at.tail;
    this.#filled = this.#file.sizeBytes();
    assert(this.#filled >= this.#tail, 'a segment reaches its tail');
  }

  get path(): string {
    return this.#path;
  }
  /** Where the next frame goes. */
  get tail(): number {
    return this.#tail;
  }
  /** Whether the segment is full and the log should go on in a new one. */
  get full(): boolean {
    return this.#tail >= this.#sizes.segmentBytes;
  }

  /** Makes sure that `count` bytes have room. Throws DISK_FULL with nothing of a frame written. */
  reserve(count: number): void {
    const needed = this.#tail + count + 1;
    if (needed <= this.#filled) return;
    const { fillBytesMin, fillBytesMax } = this.#sizes;
    const step = Math.min(Math.max(fillBytesMin, this.#tail), fillBytesMax);
    const target = Math.ceil(needed / step) * step;
    try {
      this.#file.write(new Uint8Array(target - this.#filled), this.#filled);
    } catch (error) {
      if (!(error instanceof VerityError) || error.code !== 'DISK_FULL') throw error;
      // Less will do: exactly what this frame needs.
      this.#file.write(new Uint8Array(needed - this.#filled), this.#filled);
      this.#filled = needed;
      return;
    }
    this.#filled = target;
  }

  /** Writes one frame at the tail. After a failure the writer must not be used again. */
  write(frame: Uint8Array): void {
    assert(this.#tail + frame.length < this.#filled, 'room was reserved for the frame');
    this.#file.write(frame, this.#tail);
    this.#tail += frame.length;
  }

  /** Waits until the frames written are durable. After a failure the writer must not be used again. */
  flush(): void {
    this.#file.flush();
  }

  /** As `flush`, without blocking the event loop: of the frames written until now. One at a time. */
  flushInBackground(): Promise<void> {
    return this.#file.flushInBackground();
  }

  /** Closes this segment, whose end frame brought the log to `head`, and goes on in the segment `startSegment` made. */
  continueIn(path: string): void {
    this.#trim();
    const finished = this.#file;
    // Whatever fails from here on, the writer holds an open file that it can close.
    this.#file = this.#disk.open(path, 'readwrite');
    this.#path = path;
    this.#tail = segmentHeaderBytes;
    this.#filled = this.#tail;
    finished.close();
  }

  /** Cuts the zeros behind the tail off and closes. */
  close(): void {
    try {
      this.#trim();
    } finally {
      this.#file.close();
    }
  }

  /** Closes without touching the file: after a failed flush. */
  abandon(): void {
    this.#file.close();
  }

  #trim(): void {
    if (this.#filled === this.#tail) return;
    this.#file.truncate(this.#tail);
    this.#file.flush();
    this.#filled = this.#tail;
  }
}

/** Creates the segment that continues `head`; its path. If it fails with DISK_FULL, nothing is left of it. */
export function writeSegment(disk: Disk, head: LogHead): string {
  const header = segmentHeaderAt(head);
  const path = segmentPath(header.firstPosition);
  disk.makeDirectory(logDirectory);
  removeSegment(disk, path);
  try {
    const file = disk.open(path, 'create');
    try {
      file.write(encodeSegmentHeader(header), 0);
    } finally {
      file.close();
    }
  } catch (error) {
    removeSegment(disk, path);
    throw error;
  }
  return path;
}

function removeSegment(disk: Disk, path: string): void {
  try {
    if (disk.exists(path)) disk.remove(path);
  } catch (cause) {
    if (!(cause instanceof VerityError) || cause.code !== 'DISK_FULL') throw cause;
    // Not for a full disk either may the log go on beside a segment that is only begun.
    throw new VerityError(
      'IO_ERROR',
      `The segment ${path}, which was only begun, could not be removed.`,
      { cause },
    );
  }
}

/** Makes a new segment and its name durable. After a failure the name is in doubt. */
export function publishSegment(disk: Disk, path: string): void {
  const file = disk.open(path, 'readwrite');
  try {
    file.flush();
  } finally {
    file.close();
  }
  disk.flushDirectory(logDirectory);
}
