/** Bytes of a page: what is read, sealed and written at once. */
export const pageBytes = 4096;
/** Bytes that prove a page or run: epoch (4), nonce (12), tag (16). Whoever refers to a page holds them. */
export const pageRefBytes = 32;

/**
 * Where the pages of a TreeStore are kept. Page numbers are below 2^31. A reference is `pageRefBytes` bytes in a
 * buffer of the caller's at `refOffset`; only the content written last under a reference is read by it.
 *
 * The store never overwrites what a checkpoint may hold: a page is written again only while it is newer than the
 * last freeze, and numbers that a frozen state may use go through `retire`.
 */
export interface PageDevice {
  /** The first number of `count` consecutive free pages, now taken. */
  allocate(count: number): number;
  /** Gives back pages that came after the last freeze: they may be taken again at once. */
  free(page: number, count: number): void;
  /** Gives back pages that a frozen state may hold: they may be taken once the checkpoint of the *next* freeze is durable. */
  retire(page: number, count: number): void;
  /** The store froze: the checkpoint that begins now drops everything retired up to here. */
  freeze(): void;
  /** Fills `target` (pageBytes). Throws CorruptionError when the page is not the one that the reference proves. */
  readPage(page: number, ref: Uint8Array, refOffset: number, target: Uint8Array): void;
  /** Seals and writes `content` (pageBytes, kept untouched) at `page` and fills in its reference. */
  writePage(page: number, content: Uint8Array, ref: Uint8Array, refOffset: number): void;
  /** As readPage for a run: fills `target`, whose length is that of the run's content. */
  readRun(page: number, ref: Uint8Array, refOffset: number, target: Uint8Array): void;
  /** As writePage, for `content` of any length over the `runPages(content.length)` pages from `page` on, as one message. */
  writeRun(page: number, content: Uint8Array, ref: Uint8Array, refOffset: number): void;
}

/** Pages that a run of `byteLength` bytes takes. */
export function runPages(byteLength: number): number {
  return Math.ceil(byteLength / pageBytes);
}
