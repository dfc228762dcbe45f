/**
 * The signed checkpoints on the disk: `proofs/checkpoints`, entries one behind the other, each from a new sector on.
 * docs/format/proofs.md draws them. Before a note is signed, what it says is durable: a log that was put back is found out.
 */
import { type Disk, type DiskFile, utf8Decode, utf8Encode, VerityError } from '../base/index.ts';
import { DecodeError, Reader, Writer } from '../codec/index.ts';
import { crc32 } from '../crypto/index.ts';
import { noteBytesMax, parseCheckpoint, parseNote } from '../proof/index.ts';
import { proofsDirectory } from './files.ts';

export const checkpointsPath = `${proofsDirectory}/checkpoints`;

const magic = 0x504b4356; // "VCKP"
const sectorBytes = 512;
const headerBytes = 13;
/** Looked through for the newest entries, from the end: far more than one note with all its cosignatures takes. */
const tailBytesMax = 4 << 20;

const kinds = { intent: 1, note: 2 } as const;

/** What is about to be signed: the tree of so many leaves. */
export interface SigningIntent {
  readonly size: number;
  readonly root: Uint8Array;
}

type Entry =
  | ({ readonly kind: 'intent' } & SigningIntent)
  | { readonly kind: 'note'; readonly size: number; readonly note: string };

interface FoundEntry {
  readonly entry: Entry;
  /** Without the zeros up to the next sector. */
  readonly length: number;
  readonly end: number;
}

export class CheckpointNotes {
  readonly #disk: Disk;
  readonly #isOwner: boolean;
  #file: DiskFile | undefined;
  #end = 0;
  #intent: SigningIntent | undefined;
  #newest: string | undefined;

  constructor(disk: Disk, isOwner: boolean) {
    this.#disk = disk;
    this.#isOwner = isOwner;
    this.refresh();
  }

  /** What was signed last, or was about to be; undefined before the first. */
  get intent(): SigningIntent | undefined {
    return this.#intent;
  }
  /** The note of the largest size, with the signatures that were added last. */
  get newest(): string | undefined {
    return this.#newest;
  }

  /** Reads what the owner has written since. */
  refresh(): void {
    const file = this.#opened();
    if (file === undefined) return;
    const size = Math.floor(file.sizeBytes() / sectorBytes) * sectorBytes;
    const start = Math.max(0, size - tailBytesMax);
    const bytes = new Uint8Array(size - start);
    const tail = bytes.subarray(0, file.read(bytes, start));
    this.#end = 0;
    this.#intent = undefined;
    this.#newest = undefined;
    let newestSize = -1;
    for (let at = 0; at + sectorBytes <= tail.length; at += sectorBytes) {
      const found = noteEntryAt(tail, at);
      if (found === undefined) continue;
      this.#end = start + found.end;
      const { entry } = found;
      if (entry.kind === 'intent') this.#intent = entry;
      else if (entry.size >= newestSize) {
        newestSize = entry.size;
        this.#newest = entry.note;
      }
    }
  }

  /** Every note, the oldest first; one that got further signatures appears again with them. */
  *all(): Generator<string, void> {
    const file = this.#opened();
    if (file === undefined) return;
    const end = file.sizeBytes();
    for (let offset = 0; offset + sectorBytes <= end;) {
      const header = new Uint8Array(headerBytes);
      file.read(header, offset);
      const reader = new Reader(header);
      const length = reader.u32() === magic ? reader.u32() : 0;
      const bytes = new Uint8Array(Math.min(end - offset, sectorsOf(headerBytes + length)));
      const found =
        length > noteBytesMax
          ? undefined
          : noteEntryAt(bytes.subarray(0, file.read(bytes, offset)), 0);
      if (found?.entry.kind === 'note') yield found.entry.note;
      offset += found?.end ?? sectorBytes;
    }
  }

  /** Makes durable what is about to be signed. Throws what the disk throws. */
  intend(intent: SigningIntent): void {
    const content = new Writer(40);
    content.u64(intent.size);
    content.raw(intent.root);
    this.#append(kinds.intent, content.finish());
    this.#opened()?.flush();
    this.#intent = intent;
  }

  /** Makes what was added durable. Throws what the disk throws. */
  flush(): void {
    this.#opened()?.flush();
  }

  /** Adds a note, or one of before with more signatures; durable with the next flush or intent. */
  add(note: string): void {
    this.#append(kinds.note, utf8Encode(note));
    const isNewest = this.#newest === undefined || sizeOf(this.#newest) <= sizeOf(note);
    if (isNewest) this.#newest = note;
  }

  /** Forgets all notes but those, and what was about to be signed. Throws what the disk throws. */
  keepOnly(isKept: (note: string) => boolean): void {
    const kept = [...this.all()].filter(isKept);
    const file = this.#opened();
    if (file === undefined) return;
    file.truncate(0);
    this.#end = 0;
    this.#intent = undefined;
    this.#newest = undefined;
    for (const note of kept) this.add(note);
    file.flush();
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #append(kind: number, content: Uint8Array): void {
    const length = headerBytes + content.length;
    const entry = new Writer(sectorsOf(length));
    entry.u32(magic);
    entry.u32(content.length);
    entry.u32(0);
    entry.u8(kind);
    entry.raw(content);
    entry.skip(sectorsOf(length) - length);
    const bytes = entry.finish();
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(8, checksumOf(bytes, length), true);
    const file = this.#opened() ?? this.#created();
    file.write(bytes, this.#end);
    this.#end += bytes.length;
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
    this.#disk.flushDirectory('');
    return this.#file;
  }
}

const sectorsOf = (length: number): number => Math.ceil(length / sectorBytes) * sectorBytes;

function checksumOf(entry: Uint8Array, length: number): number {
  return crc32(entry.subarray(12, length), crc32(entry.subarray(0, 8)));
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
