/**
 * The bare loop: what a durable, sealed, chained insert costs without SQL, kernel and store.
 *
 * A row's five columns are encoded and committed to (SHA-256), the commitments of all that wait are
 * chained (SHA-256), their bytes sealed in one piece (AES-256-GCM) and written into a file that was filled
 * with zeros beforehand, and flushed; then everybody who waited is answered through setImmediate. What
 * waits is written at the end of each turn's microtasks: everybody woken by the last frame is in the next.
 */
import { createCipheriv, createSecretKey, hash, randomBytes, randomFillSync } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import type { VisitRow } from './rows.ts';

const segmentBytes = 32 << 20;
const frameRoomBytes = 4 << 20;
const headerBytes = 64;
const domain = Buffer.from('bare/commitment', 'latin1');
const recordStart = domain.length;

export class BareLog {
  readonly #key = createSecretKey(randomBytes(32));
  readonly #record = Buffer.alloc(4096);
  readonly #plaintext = Buffer.alloc(frameRoomBytes);
  readonly #frame = Buffer.alloc(frameRoomBytes);
  readonly #commitments = Buffer.alloc(frameRoomBytes);
  readonly #nonce = Buffer.alloc(12);
  readonly #path: string;
  #descriptor: number;
  #tail = 0;
  #length = 0;
  #count = 0;
  #chain = '';
  #waiting: ((position: number) => void)[] = [];
  #scheduled = false;
  #position = 0;
  #segment = 0;

  constructor(path: string) {
    this.#path = path;
    this.#record.set(domain);
    this.#descriptor = this.#startSegment();
  }

  /** Resolves to the row's position when it is durable. */
  insert(row: VisitRow): Promise<number> {
    this.#gather(row);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#scheduled) return;
      this.#scheduled = true;
      queueMicrotask(() => this.#flush());
    });
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #gather(row: VisitRow): void {
    const record = this.#record;
    const end = encodeRow(record, recordStart, row);
    record.copy(this.#plaintext, this.#length, recordStart, end);
    this.#length += end - recordStart;
    const digest = hash('sha256', record.subarray(0, end), 'binary');
    writeDigest(this.#commitments, this.#count * 32, digest);
    this.#count += 1;
  }

  #flush(): void {
    this.#scheduled = false;
    const commitmentsEnd = this.#count * 32;
    this.#commitments.write(this.#chain, commitmentsEnd, 'latin1');
    this.#chain = hash('sha256', this.#commitments.subarray(0, commitmentsEnd + 32), 'binary');
    const frame = this.#seal();
    writeSync(this.#descriptor, frame, 0, frame.length, this.#tail);
    fdatasyncSync(this.#descriptor);
    this.#tail += frame.length;
    this.#length = 0;
    this.#count = 0;
    if (this.#tail + frameRoomBytes > segmentBytes) this.#descriptor = this.#startSegment();
    const waiting = this.#waiting;
    this.#waiting = [];
    setImmediate(() => {
      for (let index = 0; index < waiting.length; index++) {
        (waiting[index] as (position: number) => void)(++this.#position);
      }
    });
  }

  /** Header, commitments, ciphertext, tag: one frame. */
  #seal(): Buffer {
    const commitmentBytes = this.#count * 32;
    const frame = this.#frame;
    randomFillSync(this.#nonce);
    const cipher = createCipheriv('aes-256-gcm', this.#key, this.#nonce, { authTagLength: 16 });
    frame.writeUInt32LE(commitmentBytes, 0);
    frame.writeUInt32LE(this.#length, 4);
    this.#nonce.copy(frame, 8);
    frame.write(this.#chain, 20, 'latin1');
    cipher.setAAD(frame.subarray(0, headerBytes));
    this.#commitments.copy(frame, headerBytes, 0, commitmentBytes);
    const ciphertext = cipher.update(this.#plaintext.subarray(0, this.#length));
    cipher.final();
    const sealedStart = headerBytes + commitmentBytes;
    ciphertext.copy(frame, sealedStart);
    cipher.getAuthTag().copy(frame, sealedStart + this.#length);
    return frame.subarray(0, sealedStart + this.#length + 16);
  }

  /** Begins a file, filled with zeros and flushed. */
  #startSegment(): number {
    if (this.#segment > 0) closeSync(this.#descriptor);
    this.#segment += 1;
    const descriptor = openSync(`${this.#path}.${this.#segment}`, 'w');
    writeSync(descriptor, Buffer.alloc(segmentBytes), 0, segmentBytes, 0);
    fdatasyncSync(descriptor);
    this.#tail = 0;
    return descriptor;
  }
}

/** Length, then key (16 bytes), text, whole number, time and digits; the end of it. */
function encodeRow(target: Buffer, start: number, row: VisitRow): number {
  let at = start + 2;
  at += writeUuid(target, at, row[0]);
  const textLength = target.write(row[1], at + 1, 'utf8');
  target[at] = textLength;
  at += 1 + textLength;
  at = target.writeInt32LE(row[2], at);
  at = target.writeDoubleLE(row[3].getTime(), at);
  const digits = row[4];
  target[at] = digits.length;
  at += 1 + target.write(digits, at + 1, 'latin1');
  target.writeUInt16LE(at - start, start);
  return at;
}

const digitValues = new Uint8Array(128);
for (let value = 0; value < 16; value++) digitValues['0123456789abcdef'.charCodeAt(value)] = value;

function writeUuid(target: Buffer, start: number, uuid: string): number {
  let at = start;
  for (let index = 0; index < 36; index += 2) {
    // Hyphens stand behind bytes 4, 6, 8 and 10.
    if (index === 8 || index === 13 || index === 18 || index === 23) index += 1;
    target[at++] =
      ((digitValues[uuid.charCodeAt(index)] as number) << 4) |
      (digitValues[uuid.charCodeAt(index + 1)] as number);
  }
  return 16;
}

function writeDigest(target: Buffer, offset: number, digest: string): void {
  for (let index = 0; index < 32; index++) target[offset + index] = digest.charCodeAt(index);
}
