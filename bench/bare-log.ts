/**
 * The bare loop: what a durable insert costs without SQL and kernel, made as directly as JavaScript allows.
 *
 * For each row: its event (five columns, key, position, time and statement) and a salted commitment to it.
 * For all that wait together, in one frame: a chain hash over the commitments, a nonce that depends on
 * place and bytes, one seal (AES-256-GCM), a digest of the sealed bytes, a checksum, one write into a file
 * filled with zeros ahead, one flush. Then everybody who waited is answered through setImmediate. A frame is
 * made at the end of a turn's microtasks, so everybody woken by the last one is in it. The bytes are not
 * those of the log format, but as many.
 *
 * With `keepRows` a row can be read afterwards: a key that is there already is refused, and durable rows
 * are kept in memory under their keys. Without, this is the log alone.
 */
import { createCipheriv, createHmac, createSecretKey, hash, randomBytes } from 'node:crypto';
import { closeSync, fdatasyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { insertRow, type VisitRow } from './rows.ts';

const segmentBytes = 32 << 20;
const fillBytes = 4 << 20;
const frameBytesMax = 4 << 20;
const headerBytes = 256;
const digestBytes = 32;
const leafBytes = 2 + digestBytes;
const tagBytes = 16;
const saltBytes = 16;
const domain = Buffer.from('bare/commitment/v1', 'latin1');
const saltInputBytes = 56;
const statement = Buffer.from(insertRow, 'latin1');
const eventStart = domain.length + saltBytes;

interface Waiting {
  readonly row: VisitRow;
  readonly resolve: (position: number) => void;
}

export class BareLog {
  readonly #path: string;
  readonly #key = createSecretKey(randomBytes(32));
  readonly #nonceKey = createSecretKey(randomBytes(32));
  readonly #saltInput = randomBytes(saltInputBytes);
  /** Domain, salt, event: what a commitment is made of. */
  readonly #record = Buffer.alloc(4096);
  readonly #plaintext = Buffer.alloc(frameBytesMax);
  readonly #leaves = Buffer.alloc(frameBytesMax);
  readonly #frame = Buffer.alloc(frameBytesMax);
  readonly #zeros = Buffer.alloc(fillBytes);
  #descriptor = -1;
  #segment = 0;
  #tail = 0;
  #filled = 0;
  #length = 0;
  #count = 0;
  #position = 0;
  #chain = '';
  #waiting: Waiting[] = [];
  /** Rows by key, if they are kept. */
  readonly #rows: Map<string, VisitRow> | undefined;

  constructor(path: string, options: { readonly keepRows: boolean }) {
    this.#path = path;
    this.#rows = options.keepRows ? new Map() : undefined;
    this.#record.set(domain);
    this.#startSegment();
  }

  /** Resolves to the row's position when it is durable. */
  insert(row: VisitRow): Promise<number> {
    if (this.#rows?.has(row[0]) === true)
      return Promise.reject(new Error('There is a row with this key.'));
    this.#gather(row);
    if (this.#waiting.length === 0) queueMicrotask(() => this.#flush());
    return new Promise((resolve) => {
      this.#waiting.push({ row, resolve });
    });
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #gather(row: VisitRow): void {
    const record = this.#record;
    const end = this.#writeEvent(row);
    this.#saltInput.writeUInt32LE(this.#count, saltInputBytes - 8);
    writeBinary(record, domain.length, hash('sha256', this.#saltInput, 'binary'), saltBytes);
    record.copy(this.#plaintext, this.#length, eventStart, end);
    this.#length += end - eventStart;
    const digest = hash('sha256', record.subarray(0, end), 'binary');
    writeBinary(this.#leaves, this.#count * leafBytes + 2, digest, digestBytes);
    this.#count += 1;
  }

  /** Writes the event into the record; its end. */
  #writeEvent(row: VisitRow): number {
    const record = this.#record;
    let at = eventStart + 2;
    at = record.writeDoubleLE(++this.#position, at);
    at = record.writeDoubleLE(Date.now(), at);
    at += statement.copy(record, at);
    const key = at;
    writeUuid(record, at, row[0]);
    at = encodeRow(record, at + 16, row);
    record.copy(record, at, key, key + 16);
    at += 16;
    record.writeUInt16LE(at - eventStart, eventStart);
    return at;
  }

  #flush(): void {
    const frame = this.#build();
    this.#fill(frame.length);
    writeSync(this.#descriptor, frame, 0, frame.length, this.#tail);
    fdatasyncSync(this.#descriptor);
    this.#tail += frame.length;
    this.#length = 0;
    this.#count = 0;
    if (this.#tail >= segmentBytes) this.#startSegment();
    const waiting = this.#waiting;
    this.#waiting = [];
    if (this.#rows !== undefined) {
      for (const { row } of waiting) this.#rows.set(row[0], row);
    }
    const first = this.#position - waiting.length + 1;
    setImmediate(() => {
      for (let index = 0; index < waiting.length; index++)
        (waiting[index] as Waiting).resolve(first + index);
    });
  }

  /** Header, leaves, nonce, ciphertext, tag, digest, chain hash. */
  #build(): Buffer {
    const frame = this.#frame;
    const leavesEnd = headerBytes + this.#count * leafBytes;
    writeBinary(frame, 0, this.#chain, this.#chain.length);
    this.#leaves.copy(frame, headerBytes, 0, leavesEnd - headerBytes);
    this.#chain = hash('sha256', frame.subarray(0, leavesEnd), 'binary');
    const plaintext = this.#plaintext.subarray(0, this.#length);
    const nonce = createHmac('sha256', this.#nonceKey)
      .update(this.#chain, 'binary')
      .update(plaintext)
      .digest()
      .subarray(0, 12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce, { authTagLength: tagBytes });
    cipher.setAAD(Buffer.from(this.#chain, 'latin1'));
    let at = leavesEnd + nonce.copy(frame, leavesEnd);
    at += cipher.update(plaintext).copy(frame, at);
    cipher.final();
    at += cipher.getAuthTag().copy(frame, at);
    writeBinary(frame, at, hash('sha256', frame.subarray(leavesEnd, at), 'binary'), digestBytes);
    at += digestBytes;
    writeBinary(frame, at, this.#chain, digestBytes);
    at += digestBytes;
    frame.writeUInt32LE(crc32(frame.subarray(headerBytes, at)), headerBytes - 4);
    return frame.subarray(0, at);
  }

  /** Fills the file with zeros ahead of `count` more bytes: a flush that grows a file costs more. */
  #fill(count: number): void {
    if (this.#tail + count <= this.#filled) return;
    writeSync(this.#descriptor, this.#zeros, 0, fillBytes, this.#filled);
    this.#filled += fillBytes;
  }

  #startSegment(): void {
    if (this.#segment > 0) {
      ftruncateSync(this.#descriptor, this.#tail);
      fdatasyncSync(this.#descriptor);
      closeSync(this.#descriptor);
    }
    this.#segment += 1;
    this.#descriptor = openSync(`${this.#path}.${this.#segment}`, 'w');
    this.#tail = 0;
    this.#filled = 0;
  }
}

/** Key, text, whole number, time and digits; the end of it. */
function encodeRow(target: Buffer, start: number, row: VisitRow): number {
  let at = start;
  const textLength = target.write(row[1], at + 1, 'utf8');
  target[at] = textLength;
  at = target.writeInt32LE(row[2], at + 1 + textLength);
  at = target.writeDoubleLE(row[3].getTime(), at);
  const digitsLength = target.write(row[4], at + 1, 'latin1');
  target[at] = digitsLength;
  return at + 1 + digitsLength;
}

const digitValues = new Uint8Array(128);
for (let value = 0; value < 16; value++) digitValues['0123456789abcdef'.charCodeAt(value)] = value;

function writeUuid(target: Buffer, start: number, uuid: string): void {
  let at = start;
  for (let index = 0; index < 36; index += 2) {
    // Hyphens stand behind bytes 4, 6, 8 and 10.
    if (index === 8 || index === 13 || index === 18 || index === 23) index += 1;
    target[at++] =
      ((digitValues[uuid.charCodeAt(index)] as number) << 4) |
      (digitValues[uuid.charCodeAt(index + 1)] as number);
  }
}

function writeBinary(target: Buffer, offset: number, text: string, count: number): void {
  for (let index = 0; index < count; index++) target[offset + index] = text.charCodeAt(index);
}
