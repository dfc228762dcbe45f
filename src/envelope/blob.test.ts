import { readFileSync } from 'node:fs';
import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type Message,
  toBinary,
} from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { VerityError } from '../base/index.ts';
import { decodeBlob, type EncryptedBlob, encodeBlob, envelopeLimits } from './index.ts';

const protoPath = '../../proto/veritydb/envelope/v1/encrypted_blob.proto';

const blob: EncryptedBlob = {
  kekId: 'kek-1',
  encryptedDek: new Uint8Array(40).fill(1),
  nonce: new Uint8Array(12).fill(2),
  ciphertext: new Uint8Array(200).fill(3),
};
const bytes = encodeBlob(blob);
/** Where each field starts: its tag's byte. */
const starts = { revision: 0, kekId: 2, encryptedDek: 9, nonce: 51, ciphertext: 65 };

function codeOf(input: Uint8Array): string | undefined {
  try {
    decodeBlob(input);
    return undefined;
  } catch (error) {
    if (error instanceof VerityError) return error.code;
    throw error;
  }
}

/** The message as the shipped .proto file declares it, for another implementation of Protobuf. */
function declaredMessage(): DescMessage {
  const source = readFileSync(new URL(protoPath, import.meta.url), 'utf8');
  const types: Record<string, FieldDescriptorProto_Type> = {
    uint32: FieldDescriptorProto_Type.UINT32,
    string: FieldDescriptorProto_Type.STRING,
    bytes: FieldDescriptorProto_Type.BYTES,
  };
  const field = [...source.matchAll(/^ {2}(\w+) (\w+) = (\d+);$/gm)].map(
    ([, type = '', name = '', number = '']) => ({
      name,
      number: Number(number),
      type: types[type] as FieldDescriptorProto_Type,
      label: FieldDescriptorProto_Label.OPTIONAL,
    }),
  );
  const file = {
    name: 'encrypted_blob.proto',
    package: /^package ([\w.]+);$/m.exec(source)?.[1] ?? '',
    syntax: 'proto3',
    messageType: [{ name: /^message (\w+) \{$/m.exec(source)?.[1] ?? '', field }],
  };
  const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [file] }));
  const message = registry.getMessage('veritydb.envelope.v1.EncryptedBlob');
  if (message === undefined) throw new Error('the .proto file declares no EncryptedBlob');
  return message;
}

const message = declaredMessage();
type Declared = Message & Record<string, unknown>;

test('the .proto file declares five fields', () => {
  expect(message.fields.map((field) => `${field.number} ${field.localName}`)).toEqual([
    '1 revision',
    '2 kekId',
    '3 encryptedDek',
    '4 nonce',
    '5 ciphertext',
  ]);
});

test('another Protobuf library reads our bytes, and writes the same', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
      fc.uint8Array({ minLength: 40, maxLength: 40 }),
      fc.uint8Array({ minLength: 12, maxLength: 12 }),
      fc.uint8Array({ minLength: 16, maxLength: 400 }),
      (kekId, encryptedDek, nonce, ciphertext) => {
        const made = { kekId, encryptedDek, nonce, ciphertext };
        const encoded = encodeBlob(made);
        expect(fromBinary(message, encoded) as Declared).toMatchObject({ ...made, revision: 1 });
        expect(
          toBinary(message, create(message, { ...made, revision: 1 } as Record<string, unknown>)),
        ).toEqual(encoded);
        expect(decodeBlob(encoded)).toEqual(made);
      },
    ),
  );
});

test('the bytes are pinned', () => {
  const small = encodeBlob({ ...blob, kekId: 'k', ciphertext: new Uint8Array(16).fill(3) });
  expect(Buffer.from(small).toString('hex')).toBe(
    `0801${'12016b'}1a28${'01'.repeat(40)}220c${'02'.repeat(12)}2a10${'03'.repeat(16)}`,
  );
});

test('parts of a decoded blob are views: decoding takes no memory', () => {
  const decoded = decodeBlob(bytes);
  for (const part of [decoded.encryptedDek, decoded.nonce, decoded.ciphertext])
    expect(part.buffer).toBe(bytes.buffer);
});

test('cut at any byte it is refused', () => {
  for (let length = 0; length < bytes.length; length++)
    expect(codeOf(bytes.subarray(0, length)), `${length} bytes`).toBe('ENVELOPE_INVALID');
});

test.each([[[0]], [[0x08, 1]], [[0x30, 0]], [[...bytes]]])('extended it is refused', (more) => {
  expect(codeOf(Uint8Array.from([...bytes, ...more]))).toBe('ENVELOPE_INVALID');
});

test('a field that is there twice, missing, unknown, or out of order is refused', () => {
  const at = Object.values(starts);
  const fields = at.map((start, index) => [...bytes.subarray(start, at[index + 1])]);
  expect(Uint8Array.from(fields.flat())).toEqual(bytes);
  for (const index of fields.keys()) {
    const twice = fields.toSpliced(index, 0, fields[index] as number[]);
    const missing = fields.toSpliced(index, 1);
    const unknown = fields.toSpliced(index, 0, [0x7a, 1, 0]);
    const swapped = fields.toSpliced(index, 1).toSpliced(index - 1, 0, fields[index] as number[]);
    for (const changed of [twice, missing, unknown, ...(index === 0 ? [] : [swapped])])
      expect(codeOf(Uint8Array.from(changed.flat())), `field ${index + 1}`).toBe(
        'ENVELOPE_INVALID',
      );
  }
});

test('a field of another wire type is refused', () => {
  for (const start of Object.values(starts)) {
    for (const wire of [0, 1, 2, 3, 4, 5, 6, 7]) {
      const changed = bytes.slice();
      const tag = ((changed[start] as number) & ~7) | wire;
      if (tag === changed[start]) continue;
      changed[start] = tag;
      expect(codeOf(changed)).toBe('ENVELOPE_INVALID');
    }
  }
});

test('a number in a longer form than needed is refused, so that one blob has one encoding', () => {
  const long = [...bytes.subarray(0, 3), 0x85, 0x00, ...bytes.subarray(4)];
  expect(codeOf(Uint8Array.from(long))).toBe('ENVELOPE_INVALID');
  const endless = [...bytes.subarray(0, 3), 0x85, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
  expect(codeOf(Uint8Array.from(endless))).toBe('ENVELOPE_INVALID');
});

test('lengths past the end or past the limits are refused', () => {
  const withLength = (start: number, length: number[]): Uint8Array =>
    Uint8Array.from([...bytes.subarray(0, start + 1), ...length, ...bytes.subarray(start + 2)]);
  expect(codeOf(withLength(starts.ciphertext, [0xff, 0xff, 0xff, 0xff, 0x0f]))).toBe(
    'ENVELOPE_INVALID',
  );
  expect(codeOf(withLength(starts.kekId, [0x80, 0x02]))).toBe('ENVELOPE_INVALID');
  expect(codeOf(withLength(starts.encryptedDek, [41]))).toBe('ENVELOPE_INVALID');
  expect(envelopeLimits.plaintextBytesMax).toBe(256 << 20);
});

test('a later revision is told from damage', () => {
  for (const [revision, code] of [
    [0, 'ENVELOPE_INVALID'],
    [2, 'FORMAT_UNSUPPORTED'],
    [127, 'FORMAT_UNSUPPORTED'],
  ] as const) {
    const changed = bytes.slice();
    changed[1] = revision;
    expect(codeOf(changed)).toBe(code);
  }
});

test('a KEK id that is not UTF-8 is refused', () => {
  const changed = bytes.slice();
  changed[starts.kekId + 2] = 0xff;
  expect(codeOf(changed)).toBe('ENVELOPE_INVALID');
});

test('5,000 random changes of the bytes are refused or read as another blob, and never crash', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
      fc.nat(bytes.length),
      (changes, length) => {
        const changed = bytes.slice();
        for (const [at, value] of changes) changed[at] = value;
        const cut = length % 3 === 0 ? changed.subarray(0, length) : changed;
        if (codeOf(cut) === undefined)
          expect(Buffer.compare(encodeBlob(decodeBlob(cut)), cut)).toBe(0);
      },
    ),
    { numRuns: 5_000 },
  );
});
