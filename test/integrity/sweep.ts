/** What happens to a database of which one byte was changed: for every byte, or a sample. */
import { CorruptionError, firstNonZero } from '../../src/base/index.ts';
import { auditDatabase } from '../../src/audit/index.ts';
import { type MasterKeyProvider, type OpenOptions, Verity } from '../../src/database/index.ts';
import { decodeFrameHeader, segmentHeaderBytes } from '../../src/log/index.ts';
import { type DiskImage, diskOf, flipByte, withFlip } from './disk-image.ts';
import { hostOn, type Sample, TestKey } from './sample-database.ts';

export interface Flip {
  readonly path: string;
  readonly offset: number;
  readonly mask: number;
}

export interface Counts {
  flips: number;
  /** Reported with file and offset. */
  found: number;
  /** Opened, with the damage reported as cut and every row there. */
  repaired: number;
  /** Nothing was said. */
  silent: string[];
  /** Said, but with another file, or an offset outside the damaged record. */
  misplaced: string[];
  /** Something else than a report or a CorruptionError. */
  crashed: string[];
}

function noCounts(): Counts {
  return { flips: 0, found: 0, repaired: 0, silent: [], misplaced: [], crashed: [] };
}

/** A finding, or an error that stands for one. */
interface Place {
  readonly file: string;
  readonly offset: number;
}

/** Start and end of what is checked as one piece, in the order of the file. */
type Extent = readonly [start: number, end: number];

/** Bytes up to here hold something; behind them lie only zeros for frames to come. */
export function endOfContents(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end -= 1;
  return end;
}

/**
 * The records of a file, found without the code that checks them where the format allows it. An
 * offset must lie in the record of the changed byte. Bytes that must be zero are records of one byte.
 */
export function recordsOf(path: string, bytes: Uint8Array): Extent[] {
  if (path === 'verity.json') return Array.from(bytes, (_, index) => [index, index + 1]);
  const lengths = recordLengths(path, bytes);
  const records: Extent[] = [];
  let start = 0;
  for (const length of lengths) {
    records.push([start, start + length]);
    start += length;
  }
  for (; start < bytes.length; start++) records.push([start, start + 1]);
  return records;
}

function recordLengths(path: string, bytes: Uint8Array): number[] {
  if (path === 'anchor') return [512, 512];
  if (path.startsWith('subjects/'))
    return Array.from({ length: bytes.length / 4_096 }, () => 4_096);
  return path === 'keyring' ? keyringRecordLengths(bytes) : segmentRecordLengths(bytes);
}

function keyringRecordLengths(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [slots, entries, tenants] = [32, 36, 40].map((at) => view.getUint32(at, true));
  const lengths = [52, view.getUint32(44, true) + 4];
  let offset = 52 + view.getUint32(44, true) + 4;
  for (let slot = 0; slot < (slots ?? 0); slot++) {
    lengths.push(4 + view.getUint32(offset, true) + 4);
    offset += 4 + view.getUint32(offset, true) + 4;
  }
  for (let entry = 0; entry < (entries ?? 0); entry++) {
    lengths.push(12 + view.getUint32(offset + 8, true) + 40 + 4);
    offset += lengths.at(-1) ?? 0;
  }
  for (let tenant = 0; tenant < (tenants ?? 0); tenant++) {
    lengths.push(48 + view.getUint32(offset + 44, true) * 44 + 4);
    offset += lengths.at(-1) ?? 0;
  }
  return [...lengths, 36];
}

function segmentRecordLengths(bytes: Uint8Array): number[] {
  const lengths = [segmentHeaderBytes];
  let offset = segmentHeaderBytes;
  while (firstNonZero(bytes, offset) !== -1) {
    const header = decodeFrameHeader(bytes, offset);
    if (typeof header === 'string') throw new Error(`no frame at ${offset}`);
    lengths.push(header.frameLength);
    offset += header.frameLength;
  }
  return lengths;
}

/** Whether `place` names the file of the flip and an offset at or before it, in the same record. */
export class Judge {
  readonly #records = new Map<string, Extent[]>();

  constructor(image: DiskImage) {
    for (const [path, bytes] of image) this.#records.set(path, recordsOf(path, bytes));
  }

  isRight(flip: Flip, place: Place): boolean {
    if (place.file !== flip.path || place.offset > flip.offset) return false;
    const records = this.#records.get(flip.path) as Extent[];
    const record = records.find(([start, end]) => flip.offset >= start && flip.offset < end);
    return record !== undefined && place.offset >= record[0];
  }
}

function count(counts: Counts, flip: Flip, judge: Judge, places: readonly Place[]): void {
  const what = `${flip.path} byte ${flip.offset} mask ${flip.mask}`;
  const place = places[0];
  if (place === undefined) counts.silent.push(what);
  else if (judge.isRight(flip, place)) counts.found += 1;
  else counts.misplaced.push(`${what}: reported ${place.file} at ${place.offset}`);
}

/** Every flip through verify() of the open handle; each byte is put back before the next. */
export async function sweepOpen(
  sample: Sample,
  image: DiskImage,
  flips: Iterable<Flip>,
): Promise<Counts> {
  return sweep(flips, new Judge(image), async (flip) => {
    flipByte(sample.disk, flip.path, flip.offset, flip.mask);
    try {
      const report = await sample.db.verify();
      return report.ok ? [] : report.findings;
    } finally {
      flipByte(sample.disk, flip.path, flip.offset, flip.mask);
    }
  });
}

/** Every flip through the verification of files that nobody has open. */
export async function sweepClosed(
  image: DiskImage,
  flips: Iterable<Flip>,
  root: MasterKeyProvider = new TestKey(),
): Promise<Counts> {
  const disk = diskOf(image);
  return sweep(flips, new Judge(image), async (flip) => {
    flipByte(disk, flip.path, flip.offset, flip.mask);
    try {
      const report = await auditDatabase({ disk, root });
      const torn = report.tornTail === undefined ? [] : [report.tornTail];
      return report.ok ? torn : report.findings;
    } finally {
      flipByte(disk, flip.path, flip.offset, flip.mask);
    }
  });
}

/** Opens a copy with each flip: it must refuse, or say what it cut and serve what was there. */
export async function sweepOpening(
  image: DiskImage,
  flips: Iterable<Flip>,
  position: bigint,
  options: OpenOptions = { masterKey: new TestKey() },
): Promise<Counts> {
  const judge = new Judge(image);
  let repaired = 0;
  const counts = await sweep(flips, judge, async (flip) => {
    const disk = diskOf(withFlip(image, flip.path, flip.offset, flip.mask));
    let db: Verity;
    try {
      db = await Verity.openOn(hostOn(disk), options);
    } catch (error) {
      if (error instanceof CorruptionError) return [error];
      throw error;
    }
    const status = db.status();
    await db.close();
    // One slot of the anchor is enough to open; that the other was bad is told.
    const isTold = flip.path === 'anchor' && status.recovery.anchorRenewed === true;
    if (isTold && status.position === position) return [{ file: flip.path, offset: flip.offset }];
    const cut = status.recovery.cut.filter(
      ({ file, offset }) => file === flip.path && offset <= flip.offset,
    );
    if (cut.length === 0 || status.position !== position) return [];
    repaired += 1;
    return [{ file: flip.path, offset: flip.offset }];
  });
  return { ...counts, found: counts.found - repaired, repaired };
}

async function sweep(
  flips: Iterable<Flip>,
  judge: Judge,
  placesAfter: (flip: Flip) => Promise<readonly Place[]>,
): Promise<Counts> {
  const counts = noCounts();
  for (const flip of flips) {
    counts.flips += 1;
    try {
      count(counts, flip, judge, await placesAfter(flip));
    } catch (error) {
      counts.crashed.push(`${flip.path} byte ${flip.offset}: ${String(error)}`);
    }
  }
  return counts;
}

/** Zeros behind the contents of which each is taken: here the next frame's header would be. */
const nearBytes = 100;

export interface FlipChoice {
  /** Take each n-th byte of the contents. */
  readonly step: number;
  /** Take each n-th byte of the zeros behind them, but for the first hundred. */
  readonly zeroStep: number;
  masks(offset: number): readonly number[];
}

/** The flips of a choice, file by file. */
export function* flipsOf(image: DiskImage, choice: FlipChoice): Generator<Flip> {
  for (const [path, bytes] of image) {
    const end = endOfContents(bytes);
    for (let offset = 0; offset < bytes.length;) {
      for (const mask of choice.masks(offset)) yield { path, offset, mask };
      if (offset < end) offset = Math.min(offset + choice.step, end);
      else offset += offset < end + nearBytes ? 1 : choice.zeroStep;
    }
  }
}
