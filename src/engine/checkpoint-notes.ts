/**
 * The signed checkpoints on the disk: `proofs/checkpoints`, entries one behind the other, each from a new sector on.
 * docs/format/proofs.md draws them. Before a note is signed, what it says is durable: a log that was put back is found out.
 */
import {
  concatBytes,
  type Disk,
  type DiskFile,
  utf8Decode,
  utf8Encode,
  VerityError,
} from '../base/index.ts';
import { DecodeError, Reader, Writer } from '../codec/index.ts';
import { crc32 } from '../crypto/index.ts';
import { noteBytesMax, parseCheckpoint, parseNote } from '../proof/index.ts';
import { proofsDirectory, replaceFile } from './files.ts';

export const checkpointsPath = `${proofsDirectory}/checkpoints`;

const magic = 0x504b4356; // "VCKP"
const sectorBytes = 512;
const headerBytes = 13;
/** Looked through for the newest entries, from the end: far more than one note with all its cosignatures takes. */
const tailBytesMax = 4 << 20;

/** Size and root. */
const intentBytes = 40;

const kinds = { intent: 1, note: 2 } as const;

/** What is about to be signed: the tree of so many leaves. */
export interface SigningIntent {
  readonly size: number;
  readonly root: Uint8Array;
}

export interface NoteEntry {
  readonly kind: 'note';
  readonly size: number;
  readonly note: string;
}

export type Entry = ({ readonly kind: 'intent' } & SigningIntent) | NoteEntry;

interface FoundEntry {
  readonly entry: Entry;
  /** Without the zeros up to the next sector. */
  readonly length: number;
  readonly end: number;
}

interface NotePlace {
  readonly size: number;
  readonly offset: number;
}

export class CheckpointNotes {
  readonly #disk: Disk;
  readonly #isOwner: boolean;
  #file: DiskFile | undefined;
  #end = 0;
  #intent: SigningIntent | undefined;
  /** The notes among the newest entries, in the order in which they were written. */
  #places: NotePlace[] = [];
  /** Bytes of the file when it was read. */
  #readBytes = -1;
  /** What is before was flushed, since an entry behind it was written. */
  #flushedTo = 0;

  constructor(disk: Disk, isOwner: boolean) {
    this.#disk = disk;
    this.#isOwner = isOwner;
    this.refresh();
  }

  /** What was signed last, or was about to be; undefined before the first. */
  get intent(): SigningIntent | undefined {
    return this.#intent;
  }

  /** The newest notes, the largest size first; of one size the one that was written last. */
  *newestFirst(): Generator<string, void> {
    const bySize = this.#places.toReversed().toSorted((a, b) => b.size - a.size);
    for (const { offset } of bySize) {
      const found = this.#entryAt(offset);
      if (found?.entry.kind === 'note') yield found.entry.note;
    }
  }

  /** Reads what the owner has written since. */
  refresh(): void {
    // An owner may have put another file in its place.
    if (!this.#isOwner) this.close();
    const file = this.#opened();
    if (file === undefined || file.sizeBytes() === this.#readBytes) return;
    this.#readBytes = file.sizeBytes();
    const size = Math.floor(this.#readBytes / sectorBytes) * sectorBytes;
    const start = Math.max(0, size - tailBytesMax);
    const bytes = new Uint8Array(size - start);
    const tail = bytes.subarray(0, file.read(bytes, start));
    this.#forget();
    this.#end = start;
    let intentEnd = start;
    for (let at = 0; at + sectorBytes <= tail.length; at += sectorBytes) {
      const found = noteEntryAt(tail, at);
      if (found === undefined) continue;
      this.#end = start + found.end;
      const { entry } = found;
      if (entry.kind === 'intent') {
        this.#intent = entry;
        this.#flushedTo = intentEnd;
        intentEnd = this.#end;
      } else this.#places.push({ size: entry.size, offset: start + at });
    }
    // What a crash left of the entry that was written last is written over; damage is left as it lies.
    const rest = tail.subarray(this.#end - start);
    if (rest.length > tornBytes(rest)) this.#end += rest.length;
  }

  /**
   * Makes durable what was read. A process before this one may have ended before a flush, or have been told that it failed: then
   * the system may hold bytes that it never writes, until they are written again. Throws what the disk throws.
   */
  secure(): void {
    const file = this.#opened();
    if (file === undefined || this.#end === this.#flushedTo) return;
    for (let offset = this.#flushedTo; offset < this.#end;) {
      const found = this.#entryAt(offset);
      // Anew, so that no damage behind an entry is made durable as if it were ours.
      if (found !== undefined) file.write(bytesOf(found.entry), offset);
      offset += found?.end ?? sectorBytes;
    }
    file.flush();
  }

  /** Every note, the oldest first; one that got further signatures appears again with them. */
  *all(): Generator<string, void> {
    const end = this.#opened()?.sizeBytes() ?? 0;
    for (let offset = 0; offset + sectorBytes <= end;) {
      const found = this.#entryAt(offset);
      if (found?.entry.kind === 'note') yield found.entry.note;
      offset += found?.end ?? sectorBytes;
    }
  }

  /**
   * Takes room for what is about to be signed and its note, of so many bytes: no record is to be logged whose note the disk has
   * no room for. Throws what the disk throws.
   */
  reserve(noteBytes: number): void {
    const file = this.#opened() ?? this.#created();
    const end = this.#end + entryBytes(intentBytes) + entryBytes(noteBytes);
    const size = Math.max(this.#end, file.sizeBytes());
    if (size < end) file.write(new Uint8Array(end - size), size);
  }

  /** Adds what is about to be signed; durable with the next flush. Throws what the disk throws. */
  intend(intent: SigningIntent): void {
    this.#append({ kind: 'intent', ...intent });
    this.#intent = intent;
  }

  /** Makes what was added durable. Throws what the disk throws. */
  flush(): void {
    this.#opened()?.flush();
  }

  /** Adds a note, or one of before with more signatures; durable with the next flush. Throws what the disk throws. */
  add(note: string): void {
    const offset = this.#end;
    const size = sizeOf(note);
    this.#append({ kind: 'note', note, size });
    this.#places.push({ size, offset });
  }

  /** Forgets all notes but those, and what was about to be signed. Throws what the disk throws, and all are kept then. */
  keepOnly(isKept: (note: string) => boolean): void {
    const kept = [...this.all()].filter(isKept);
    if (this.#opened() === undefined) return;
    this.close();
    const entries = kept.map((note): Entry => ({ kind: 'note', note, size: sizeOf(note) }));
    replaceFile(this.#disk, checkpointsPath, notesFile(entries));
    this.#forget();
    this.#readBytes = -1;
    this.refresh();
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #forget(): void {
    this.#end = 0;
    this.#flushedTo = 0;
    this.#intent = undefined;
    this.#places = [];
  }

  #append(entry: Entry): void {
    const bytes = bytesOf(entry);
    const file = this.#opened() ?? this.#created();
    file.write(bytes, this.#end);
    this.#end += bytes.length;
  }

  #entryAt(offset: number): FoundEntry | undefined {
    const file = this.#opened();
    const header = new Uint8Array(headerBytes);
    if (file === undefined || file.read(header, offset) < headerBytes) return undefined;
    const reader = new Reader(header);
    const length = reader.u32() === magic ? reader.u32() : Number.POSITIVE_INFINITY;
    if (length > noteBytesMax) return undefined;
    const bytes = new Uint8Array(headerBytes + length);
    return noteEntryAt(bytes.subarray(0, file.read(bytes, offset)), 0);
  }

  #opened(): DiskFile | undefined {
    if (this.#file !== undefined || !this.#disk.exists(checkpointsPath)) return this.#file;
    this.#file = this.#disk.open(checkpointsPath, this.#isOwner ? 'readwrite' : 'read');
    return this.#file;
  }

  #created(): DiskFile {
    this.#disk.makeDirectory(proofsDirectory);
    this.#file = this.#disk.open(checkpointsPath, 'create');
    this.#disk.flushDirectory(proofsDirectory);
    return this.#file;
  }
}

/** The good entries of a file. */
export function* entriesOf(bytes: Uint8Array): Generator<Entry, void> {
  for (let at = 0; at + sectorBytes <= bytes.length;) {
    const found = noteEntryAt(bytes, at);
    if (found !== undefined) yield found.entry;
    at = found?.end ?? at + sectorBytes;
  }
}

/** A file of these entries. */
export function notesFile(entries: readonly Entry[]): Uint8Array {
  return concatBytes(...entries.map(bytesOf));
}

function bytesOf(of: Entry): Uint8Array {
  const content = contentOf(of);
  const length = headerBytes + content.length;
  const entry = new Writer(sectorsOf(length));
  entry.u32(magic);
  entry.u32(content.length);
  entry.u32(0);
  entry.u8(kinds[of.kind]);
  entry.raw(content);
  entry.skip(sectorsOf(length) - length);
  const bytes = entry.finish();
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(8, checksumOf(bytes, length), true);
  return bytes;
}

/** What one entry takes that begins here and did not arrive whole; without its header, as much as is reserved for a note and its intent. */
function tornBytes(bytes: Uint8Array): number {
  const reader = new Reader(bytes);
  if (bytes.length < headerBytes || reader.u32() !== magic) return 3 * sectorBytes;
  return entryBytes(Math.min(reader.u32(), noteBytesMax)) + 2 * sectorBytes;
}

const sectorsOf = (length: number): number => Math.ceil(length / sectorBytes) * sectorBytes;
const entryBytes = (contentBytes: number): number => sectorsOf(headerBytes + contentBytes);

function checksumOf(entry: Uint8Array, length: number): number {
  return crc32(entry.subarray(12, length), crc32(entry.subarray(0, 8)));
}

function contentOf(of: Entry): Uint8Array {
  if (of.kind === 'note') return utf8Encode(of.note);
  const content = new Writer(intentBytes);
  content.u64(of.size);
  content.raw(of.root);
  return content.finish();
}

/** The entry that begins here; undefined where none does, or it is torn. */
export function noteEntryAt(bytes: Uint8Array, at: number): FoundEntry | undefined {
  try {
    const reader = new Reader(bytes, at);
    if (reader.u32() !== magic) return undefined;
    const length = reader.u32();
    const checksum = reader.u32();
    const kind = reader.u8();
    if (length > noteBytesMax) return undefined;
    const content = reader.raw(length);
    const whole = bytes.subarray(at, at + headerBytes + length);
    if (checksumOf(whole, whole.length) !== checksum) return undefined;
    const end = at + sectorsOf(headerBytes + length);
    if (kind === kinds.intent) {
      const fields = new Reader(content);
      const intent = { kind: 'intent', size: fields.u64(), root: fields.raw(32).slice() } as const;
      return { entry: intent, length: whole.length, end };
    }
    const note = utf8Decode(content);
    return { entry: { kind: 'note', note, size: sizeOf(note) }, length: whole.length, end };
  } catch (error) {
    if (error instanceof DecodeError || error instanceof VerityError) return undefined;
    throw error;
  }
}

/** The size that a note of ours is of. */
function sizeOf(note: string): number {
  return parseCheckpoint(parseNote(note).text).size;
}
