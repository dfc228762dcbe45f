/**
 * The one way to files. Paths are relative to the database's directory and use `/`.
 * Implemented by host/ (Node) and sim/ (simulated, with crashes and faults).
 *
 * Contract
 * - Every method but `flushInBackground` is synchronous and complete: `write` writes all bytes or throws.
 * - Nothing is durable before `flush` of the file, and for a new, renamed or removed name also
 *   `flushDirectory` of its directory.
 * - Failures throw VerityError: IO_ERROR, DISK_FULL, READ_ONLY, each naming the path. After DISK_FULL a call may be
 *   tried again, so no flush fails with it: what a failed flush leaves on the disk is in doubt, and stays so.
 */
export interface Disk {
  /** Absolute path, or a name such as `:memory:`; for messages only. */
  readonly root: string;
  /** Names in `directory` (sorted), or undefined if it does not exist. '' is the root. */
  list(directory: string): readonly string[] | undefined;
  exists(path: string): boolean;
  /** Creates a directory (mode 0700) and its parents; no error if it is there. */
  makeDirectory(path: string): void;
  /** 'create' fails if the file exists; 'readwrite' and 'read' fail if it does not. New files get mode 0600. */
  open(path: string, mode: 'create' | 'readwrite' | 'read'): DiskFile;
  /** Atomic; replaces `to`. */
  rename(from: string, to: string): void;
  remove(path: string): void;
  flushDirectory(path: string): void;
}

export interface DiskFile {
  readonly path: string;
  sizeBytes(): number;
  /** Fills `target` from `offset`; returns the bytes read, fewer only at the end of the file. */
  read(target: Uint8Array, offset: number): number;
  write(bytes: Uint8Array, offset: number): void;
  /** Waits until all written bytes are durable (fdatasync). A failure must never be retried. */
  flush(): void;
  /** As `flush`, without blocking the event loop. One at a time per file. */
  flushInBackground(): Promise<void>;
  truncate(sizeBytes: number): void;
  close(): void;
}
