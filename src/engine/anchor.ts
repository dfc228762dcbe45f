/**
 * The anchor: the newest frame that is known to be durable, where nobody without the key can move it back.
 * Two slots of a sector each, written in turn, in place. docs/format/anchor.md draws their bytes.
 *
 * Invariants
 * - A slot is written only after the frame that it names is durable, so a log that ends before it, or has
 *   another frame there, lost what was acknowledged; no crash leaves that.
 * - A slot is flushed before the other one is written: a crash tears at most one of them.
 */
import {
  assert,
  CorruptionError,
  type Digest32,
  type Disk,
  type DiskFile,
  equalBytes,
  type LogId,
  type Op,
  type Position,
} from '../base/index.ts';
import { DecodeError, Reader, Writer } from '../codec/index.ts';
import { constantTimeEqual, crc32, hmac, pae, SecretKey } from '../crypto/index.ts';
import { formatRevision, genesisHash, type LogHead } from '../log/index.ts';
import { isDiskFull } from './commit-errors.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import { anchorPath, keyringPath, readStart, replaceFile } from './files.ts';

const magic = 0x434e_4156; // "VANC"
export const anchorSlotBytes = 512;
export const anchorFileBytes = 2 * anchorSlotBytes;
const macOffset = anchorSlotBytes - 36;
const macPurpose = 'veritydb/anchor-mac/v1';

/** A cut that `repair` made and the log does not record yet. */
export interface PendingCut {
  /** First position of the segment that was cut. */
  readonly segment: Position;
  readonly offset: number;
  readonly lengthBytes: number;
  /** The first op that was cut. */
  readonly firstOp: Op;
  /** The last op that was known to be durable. */
  readonly lastOp: Op;
}

/** A frame that is durable. */
export interface AnchoredFrame {
  readonly op: Op;
  readonly position: Position;
  readonly chainHash: Digest32;
  /** First position of the segment that holds the frame. */
  readonly segment: Position;
}

export interface Anchor extends AnchoredFrame {
  readonly sequence: number;
  readonly cut: PendingCut | undefined;
}

export interface AnchorReading {
  readonly newest: Anchor;
  /** Where it lies: 0 or 1. */
  readonly slot: number;
  /** Offsets of slots that a torn write, or damage, made unreadable. */
  readonly damaged: readonly number[];
  /** Those of them whose checksum holds: somebody else wrote them. */
  readonly forged: readonly CorruptionError[];
}

/** The anchor of a log without frames. */
export function emptyAnchor(logId: LogId): AnchoredFrame {
  return {
    op: 0 as Op,
    position: 0 as Position,
    chainHash: genesisHash(logId),
    segment: 1 as Position,
  };
}

/** What an anchor says of the log's head, whose frame lies in the segment of this first position. */
export function anchoredAt(head: LogHead, segment: Position): AnchoredFrame {
  const { op, position, chainHash } = head;
  return { op, position, chainHash, segment };
}

interface SlotProblem {
  readonly code: CorruptionError['code'];
  readonly what: string;
}

/**
 * Reads the anchor; one of its slots may be torn. Throws CorruptionError if the file is missing, longer than it
 * should be, or has no slot that a holder of one of the keys wrote for this log. Without keys only checksums are
 * checked.
 */
export function readAnchor(
  disk: Disk,
  logId: LogId,
  keys: SecretKey | readonly SecretKey[] | undefined,
): AnchorReading {
  if (!disk.exists(anchorPath)) {
    throw new CorruptionError(
      'MISSING_DATA',
      anchorPath,
      0,
      'The whole file is missing: nothing is left',
    );
  }
  const bytes = readStart(disk, anchorPath, anchorFileBytes + 1);
  if (bytes.length > anchorFileBytes) {
    throw new CorruptionError(
      'CHECKSUM_MISMATCH',
      anchorPath,
      anchorFileBytes,
      'More bytes than were ever written lie',
    );
  }
  const slots = [0, 1].map((slot) =>
    decodeSlot(bytes, slot * anchorSlotBytes, { logId, keys: asList(keys) }),
  );
  const damaged = [0, 1].filter((slot) => 'code' in (slots[slot] as object));
  const [first, second] = slots as [Anchor | SlotProblem, Anchor | SlotProblem];
  if ('code' in first && 'code' in second) {
    // A foreign or forged slot says more than a torn one.
    const isTorn = first.code === 'CHECKSUM_MISMATCH' && second.code !== 'CHECKSUM_MISMATCH';
    const telling = isTorn ? second : first;
    const offset = telling === first ? 0 : anchorSlotBytes;
    throw new CorruptionError(telling.code, anchorPath, offset, telling.what);
  }
  const slot = 'code' in first || (!('code' in second) && second.sequence > first.sequence) ? 1 : 0;
  return {
    newest: slots[slot] as Anchor,
    slot,
    damaged: damaged.map((index) => index * anchorSlotBytes),
    forged: slots.flatMap((found, index) =>
      'code' in found && found.code !== 'CHECKSUM_MISMATCH'
        ? [new CorruptionError(found.code, anchorPath, index * anchorSlotBytes, found.what)]
        : [],
    ),
  };
}

function decodeSlot(
  file: Uint8Array,
  start: number,
  expected: { readonly logId: LogId; readonly keys: readonly SecretKey[] | undefined },
): Anchor | SlotProblem {
  const bytes = file.subarray(start, start + anchorSlotBytes);
  const torn = {
    code: 'CHECKSUM_MISMATCH',
    what: 'A slot that does not match its checksum lies',
  } as const;
  if (bytes.length < anchorSlotBytes) return torn;
  const reader = new Reader(bytes);
  const crc = new Reader(bytes, anchorSlotBytes - 4, anchorSlotBytes).u32();
  if (crc32(bytes.subarray(0, anchorSlotBytes - 4)) !== crc) return torn;
  if (reader.u32() !== magic || reader.u32() !== formatRevision) return torn;
  if (!equalBytes(reader.raw(16), expected.logId)) {
    return { code: 'FOREIGN_FILE', what: 'The anchor of another log lies' };
  }
  const mac = bytes.subarray(macOffset, macOffset + 32);
  const { keys } = expected;
  if (keys !== undefined && !keys.some((key) => constantTimeEqual(mac, macOf(bytes, key)))) {
    return {
      code: 'AUTHENTICATION_FAILED',
      what: 'A slot that this database did not write lies',
    };
  }
  try {
    return decodeFields(reader);
  } catch (error) {
    // Without the key anybody may have written it.
    if (error instanceof DecodeError) return torn;
    throw error;
  }
}

function decodeFields(reader: Reader): Anchor {
  const sequence = reader.u64();
  const op = reader.u64() as Op;
  const position = reader.u64() as Position;
  const chainHash = reader.raw(32).slice() as Digest32;
  const segment = reader.u64() as Position;
  const cut = {
    segment: reader.u64() as Position,
    offset: reader.u64(),
    lengthBytes: reader.u64(),
    firstOp: reader.u64() as Op,
    lastOp: reader.u64() as Op,
  };
  const frame = { op, position, chainHash, segment };
  return { sequence, ...frame, cut: cut.segment === 0 ? undefined : cut };
}

/** The keys that the anchor may be authenticated with, the newest first: one, but for a while after a rotation. */
export function anchorKeys({ keyring, root }: Pick<KeyHierarchy, 'keyring' | 'root'>): SecretKey[] {
  const keys = keyring
    .entryNumbers('anchor')
    .map((number) => keyring.entryKey('anchor', number, root))
    .filter((key) => key !== undefined);
  if (keys.length > 0) return keys;
  throw new CorruptionError(
    'AUTHENTICATION_FAILED',
    keyringPath,
    0,
    'A keyring without the key of the anchor lies',
  );
}

/** The key that anchors are written with; the caller wipes it. */
export function anchorKey(hierarchy: Pick<KeyHierarchy, 'keyring' | 'root'>): SecretKey {
  const [newest, ...older] = anchorKeys(hierarchy);
  for (const key of older) key.wipe();
  return newest as SecretKey;
}

function asList(
  keys: SecretKey | readonly SecretKey[] | undefined,
): readonly SecretKey[] | undefined {
  return keys instanceof SecretKey ? [keys] : keys;
}

function macOf(slot: Uint8Array, key: SecretKey): Uint8Array {
  return hmac(key, pae(macPurpose, slot.subarray(0, macOffset)));
}

function encodeSlot(logId: LogId, anchor: Anchor, key: SecretKey): Uint8Array {
  const writer = new Writer(anchorSlotBytes);
  writer.u32(magic);
  writer.u32(formatRevision);
  writer.raw(logId);
  writer.u64(anchor.sequence);
  writer.u64(anchor.op);
  writer.u64(anchor.position);
  writer.raw(anchor.chainHash);
  writer.u64(anchor.segment);
  const { cut } = anchor;
  writer.u64(cut?.segment ?? 0);
  writer.u64(cut?.offset ?? 0);
  writer.u64(cut?.lengthBytes ?? 0);
  writer.u64(cut?.firstOp ?? 0);
  writer.u64(cut?.lastOp ?? 0);
  writer.skip(macOffset - writer.length);
  writer.raw(macOf(writer.view(), key));
  writer.u32(crc32(writer.view()));
  return writer.finish();
}

/** The bytes of a new anchor file: both slots say the same. */
function encodeAnchorFile(
  logId: LogId,
  anchor: Omit<Anchor, 'sequence'>,
  key: SecretKey,
): Uint8Array {
  const bytes = new Uint8Array(anchorFileBytes);
  bytes.set(encodeSlot(logId, { ...anchor, sequence: 1 }, key), 0);
  bytes.set(encodeSlot(logId, { ...anchor, sequence: 2 }, key), anchorSlotBytes);
  return bytes;
}

/** Creates, or atomically replaces, the anchor file. */
export function writeNewAnchor(
  disk: Disk,
  anchor: AnchoredFrame & { readonly cut?: PendingCut | undefined },
  keys: { readonly logId: LogId; readonly key: SecretKey },
): void {
  replaceFile(
    disk,
    anchorPath,
    encodeAnchorFile(keys.logId, { ...anchor, cut: anchor.cut }, keys.key),
  );
}

/** An owner's anchor: moves it forward, slot by slot. */
export class AnchorFile {
  readonly #disk: Disk;
  readonly #logId: LogId;
  #key: SecretKey;
  #newest: Anchor;
  #slot: number;
  #file: DiskFile | undefined;

  /** Takes the key over. */
  constructor(disk: Disk, reading: AnchorReading, keys: { logId: LogId; key: SecretKey }) {
    this.#disk = disk;
    this.#logId = keys.logId;
    this.#key = keys.key;
    this.#newest = reading.newest;
    this.#slot = reading.slot;
  }

  /** The frame it names. */
  get frame(): AnchoredFrame {
    return this.#newest;
  }

  /** A cut that the log must still record. */
  get pendingCut(): PendingCut | undefined {
    return this.#newest.cut;
  }

  /** The log records the cut durably: it is forgotten. */
  cutRecorded(): void {
    this.#newest = { ...this.#newest, cut: undefined };
    this.settle();
  }

  /** Names a durable frame in one slot, durably; the other one stays as it was. */
  advance(frame: AnchoredFrame): void {
    const next = {
      ...frame,
      sequence: this.#newest.sequence + 1,
      cut: this.#newest.cut,
    };
    assert(frame.op >= this.#newest.op, 'an anchor never goes back');
    const slot = 1 - this.#slot;
    this.#file ??= this.#disk.open(anchorPath, 'readwrite');
    try {
      this.#file.write(encodeSlot(this.#logId, next, this.#key), slot * anchorSlotBytes);
    } catch (error) {
      // On a file system that copies on write. What is durable stays so; the anchor follows later.
      if (isDiskFull(error)) return;
      throw error;
    }
    this.#file.flush();
    this.#newest = next;
    this.#slot = slot;
  }

  /** Names a durable frame in both slots, one after the other: at a clean close, and after a crash. */
  settle(frame: AnchoredFrame = this.#newest): void {
    this.advance(frame);
    this.advance(frame);
  }

  /** Goes on with another key, which it takes over; whether both slots are written with it. */
  renew(key: SecretKey): boolean {
    this.#key.wipe();
    this.#key = key;
    this.settle();
    const [first, second] = [0, 1].map((slot) => {
      const bytes = readStart(this.#disk, anchorPath, anchorFileBytes);
      return decodeSlot(bytes, slot * anchorSlotBytes, { logId: this.#logId, keys: [key] });
    }) as [object, object];
    return !('code' in first) && !('code' in second);
  }

  /** Closes the file and wipes the key. */
  close(): void {
    this.#key.wipe();
    this.#file?.close();
    this.#file = undefined;
  }
}
