/** Signed notes, verifier keys, checkpoints and cosignatures: the examples of the specifications, and what they forbid. */
import { describe, expect, test } from 'vitest';
import { concatBytes, fromHex, utf8Encode } from '../base/index.ts';
import {
  ed25519PublicKey,
  ed25519Sign,
  ed25519Verify,
  SecretKey,
  sha256,
} from '../crypto/index.ts';
import {
  addSignatures,
  cosignatureMessage,
  encodeCosignature,
  encodeVkey,
  formatCheckpoint,
  formatNote,
  formatVkey,
  makeVkey,
  noteBytesMax,
  openNote,
  parseCheckpoint,
  parseCosignature,
  parseNote,
  parseVkey,
  signatureTypes,
  toBase64,
  type Vkey,
} from './index.ts';

const verify = ed25519Verify;
const seed = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const signWith = (secret: number, message: Uint8Array): Uint8Array =>
  ed25519Sign(new SecretKey(seed(secret)), message);
const vkeyOf = (name: string, secret: number, type: Vkey['type'] = 1): Vkey =>
  makeVkey(sha256, name, type, ed25519PublicKey(new SecretKey(seed(secret))));
const signed = (text: string, name: string, secret: number) => {
  const { id } = vkeyOf(name, secret);
  return { name, id, signature: signWith(secret, utf8Encode(text)) };
};

const log = vkeyOf('log.example/a', 1);
const other = vkeyOf('log.example/b', 2);
const text = formatCheckpoint({ origin: 'log.example/a', size: 5, root: new Uint8Array(32) });
const note = formatNote(text, [signed(text, 'log.example/a', 1)]);
const code = (name: string) => expect.objectContaining({ code: name });

describe('the examples of the specifications', () => {
  const example =
    'This is an example message.\n\n— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n';
  const key = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';

  test('the note of signed-note opens with its key', () => {
    const opened = openNote(example, [parseVkey(sha256, key)], verify);
    expect(opened.text).toBe('This is an example message.\n');
    expect(opened.verified.map(({ name }) => name)).toEqual(['example.com/foo']);
    expect(formatNote(opened.text, opened.verified)).toBe(example);
    expect(formatVkey(parseVkey(sha256, key))).toBe(key);
  });

  test('a note whose text has empty lines is split at the last', () => {
    const poem =
      'Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n\n— quasimodo.example/salvatore NnugSzTjtVAewIS+Z/iJhUPeFDkO/5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n';
    expect(parseNote(poem).text.split('\n')).toHaveLength(5);
    expect(parseNote(poem).signatures[0]?.id).toBe(0x367b_a04b);
  });

  test('the checkpoint of tlog-checkpoint is read and written', () => {
    const body =
      'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
    const { origin, size } = parseCheckpoint(body);
    expect({ origin, size }).toEqual({ origin: 'example.com/behind-the-sofa', size: 20_852_163 });
    expect(formatCheckpoint(parseCheckpoint(body))).toBe(body);
    expect(formatCheckpoint(parseCheckpoint(`${body}more\n`))).toBe(`${body}more\n`);
  });
});

describe('a note', () => {
  test('opens with a known key, and ignores unknown ones', () => {
    const both = addSignatures(note, [signed(text, 'log.example/b', 2)]);
    const opened = openNote(both, [log], verify);
    expect(opened.verified.map(({ name }) => name)).toEqual(['log.example/a']);
    expect(opened.unknown.map(({ name }) => name)).toEqual(['log.example/b']);
    // The same name with another id, and the same id with another name, are unknown keys.
    const [signature] = parseNote(note).signatures;
    const strangers = [
      { name: 'log.example/a', id: log.id ^ 1, signature: new Uint8Array(64) },
      { name: 'log.example/c', id: log.id, signature: new Uint8Array(64) },
    ];
    expect(signature).toBeDefined();
    expect(openNote(addSignatures(note, strangers), [log], verify).unknown).toHaveLength(2);
  });

  test('of unknown keys only, or with a wrong signature of a known one, is refused', () => {
    expect(() => openNote(note, [other], verify)).toThrow(code('SIGNATURE_INVALID'));
    expect(() => openNote(note, [], verify)).toThrow(code('SIGNATURE_INVALID'));
    const wrong = { ...signed('another text\n', 'log.example/b', 2) };
    const mixed = addSignatures(note, [wrong]);
    expect(() => openNote(mixed, [log, other], verify)).toThrow(code('SIGNATURE_INVALID'));
    expect(openNote(mixed, [log], verify).text).toBe(text);
    const short = addSignatures(note, [{ ...wrong, signature: new Uint8Array(63) }]);
    expect(() => openNote(short, [log, other], verify)).toThrow(code('SIGNATURE_INVALID'));
    const altered = note.replace('\n5\n', '\n6\n');
    expect(() => openNote(altered, [log], verify)).toThrow(code('SIGNATURE_INVALID'));
  });

  test('whose signature has another length is refused, whatever verifies', () => {
    const short = formatNote(text, [
      { ...signed(text, 'log.example/a', 1), signature: new Uint8Array(63) },
    ]);
    expect(() => openNote(short, [log], () => true)).toThrow(code('SIGNATURE_INVALID'));
  });

  const line = note.slice(text.length + 1);
  const blob = /(\S+)\n$/.exec(line)?.[1] ?? '';
  test.each([
    ['no empty line', text + line],
    ['no signature', `${text}\n`],
    ['no last newline', note.slice(0, -1)],
    ['a line behind the signatures', `${note}more\n`],
    ['an empty line behind the signatures', `${note}\n`],
    ['a duplicated signature line', note + line],
    ['another signature of the same key', addLine(note, 'log.example/a', log.id)],
    ['a carriage return', note.replaceAll('\n', '\r\n')],
    ['a tab', note.replace('log', '\tlog')],
    ['a zero byte', note.replace('log', '\0log')],
    ['an escape', note.replace('log', '\x1blog')],
    ['half a character', note.replace('log', '\ud800log')],
    ['a hyphen for the dash', note.replace('—', '-')],
    ['two spaces', note.replace('— ', '—  ')],
    ['a no-break space', note.replace('— ', '—\u00a0')],
    ['a name with a plus', note.replace('— log', '— lo+g')],
    ['a name with an unusual space', note.replace('— log', '— lo\u2003g')],
    ['no name', note.replace('— log.example/a', '— ')],
    ['base64 without padding', note.replace(blob, blob.replace(/=+$/, ''))],
    ['base64 of the other alphabet', note.replace(blob, `-${blob.slice(1)}`)],
    ['base64 with bits to spare', note.replace(blob, `${blob.slice(0, -2)}B=`)],
    ['a signature of nothing', note.replace(blob, 'AAAAAA==')],
    ['a blob shorter than a key id', note.replace(blob, 'AAAA')],
    ['a large signature', note.replace(blob, toBase64(new Uint8Array(8193)))],
  ])('with %s is malformed', (_, bad) => {
    expect(bad).not.toBe(note);
    expect(() => openNote(bad, [log], verify)).toThrow(code('PROOF_MALFORMED'));
  });

  test('may have 100 signatures and one mebibyte, and no more', () => {
    const many = (count: number): string =>
      addLines(note, count - 1, (index) => ({ name: `w${index}`, id: index }));
    expect(parseNote(many(100)).signatures).toHaveLength(100);
    expect(() => parseNote(many(101))).toThrow(code('PROOF_MALFORMED'));
    const room = noteBytesMax - note.length - 2;
    expect(parseNote('x'.repeat(room) + note).text.length).toBe(room + text.length);
    expect(() => parseNote('x'.repeat(noteBytesMax) + note)).toThrow(code('PROOF_MALFORMED'));
    // Fewer units than bytes: the limit is of bytes.
    expect(() => parseNote('€'.repeat(noteBytesMax / 2) + note)).toThrow(code('PROOF_MALFORMED'));
  });

  test('is not made of what could not be read', () => {
    const signature = signed(text, 'log.example/a', 1);
    for (const bad of ['no newline', 'a\n\nno newline', 'a\tb\n'])
      expect(() => formatNote(bad, [signature])).toThrow(code('PROOF_MALFORMED'));
    expect(() => formatNote(text, [])).toThrow(code('PROOF_MALFORMED'));
    expect(() => formatNote(text, [signature, signature])).toThrow(code('PROOF_MALFORMED'));
  });
});

function addLines(
  whole: string,
  count: number,
  key: (index: number) => { name: string; id: number },
): string {
  const lines = Array.from({ length: count }, (_, index) => {
    const { name, id } = key(index);
    const head = new Uint8Array(68);
    new DataView(head.buffer).setUint32(0, id);
    return `— ${name} ${toBase64(head)}\n`;
  });
  return whole + lines.join('');
}

function addLine(whole: string, name: string, id: number): string {
  return addLines(whole, 1, () => ({ name, id }));
}

describe('a verifier key', () => {
  const good = formatVkey(log);
  test('is read as it is written', () => {
    expect(parseVkey(sha256, good)).toEqual(log);
    expect(encodeVkey(sha256, log.name, log.type, log.publicKey)).toBe(good);
  });

  const [name, id = '', key = ''] = good.split('+');
  const typed = (type: number, bytes: Uint8Array): string =>
    toBase64(concatBytes(Uint8Array.of(type), bytes));
  test.each([
    ['another id', `${name}+${id.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))}+${key}`],
    ['an id in capitals', `${name}+${id.toUpperCase().replace(/^\d+$/, 'A')}+${key}`],
    ['no id', `${name}++${key}`],
    ['a name with a space', good.replace('log', 'l g')],
    ['no name', `+${id}+${key}`],
    ['an unknown type', `${name}+${id}+${typed(2, log.publicKey)}`],
    ['a short key', `${name}+${id}+${typed(1, log.publicKey.subarray(1))}`],
    ['a key in another spelling', `${good.slice(0, -1)}=`],
    ['something behind it', `${good}\n`],
    ['a long name', `${'n'.repeat(300)}+${id}+${key}`],
  ])('with %s is refused', (_, bad) => {
    expect(bad).not.toBe(good);
    expect(() => parseVkey(sha256, bad)).toThrow(code('VKEY_INVALID'));
  });

  // For these points the signature (point of small order, 0) fits messages without any secret.
  test.each([
    ['the neutral point', '0100000000000000000000000000000000000000000000000000000000000000'],
    ['order 2', 'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
    ['order 4', '0000000000000000000000000000000000000000000000000000000000000000'],
    ['order 4, other sign', '0000000000000000000000000000000000000000000000000000000000000080'],
    ['order 8, first', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'],
    ['order 8, second', '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85'],
    ['order 8, third', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'],
    ['order 8, fourth', 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa'],
    ['the neutral point, other sign', `01${'00'.repeat(30)}80`],
    ['p, which is 0', 'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'],
    ['p + 1, which is 1', `ee${'ff'.repeat(30)}7f`],
    ['p + 3, a second spelling', `f0${'ff'.repeat(30)}ff`],
  ])('that is %s is refused, whoever would verify with it', (_, hex) => {
    const publicKey = fromHex(hex) as Uint8Array;
    expect(() => makeVkey(sha256, 'log.example/a', 1, publicKey)).toThrow(code('VKEY_INVALID'));
  });

  test('leaves the bytes that it is made of as they were', () => {
    const bytes = Buffer.from(log.publicKey);
    bytes[31] = (bytes[31] as number) | 0x80;
    const before = bytes.toString('hex');
    makeVkey(sha256, 'log.example/a', 1, bytes);
    expect(bytes.toString('hex')).toBe(before);
  });

  test('of small order would let anybody sign: the function that verifies does not notice', () => {
    const neutral = fromHex(`01${'00'.repeat(31)}`) as Uint8Array;
    const forged = concatBytes(neutral, new Uint8Array(32));
    expect(verify(neutral, utf8Encode(text), forged)).toBe(true);
  });
});

describe('a cosignature', () => {
  const witness = vkeyOf('witness.example/w', 3, signatureTypes.cosignature);
  const cosign = (time: number, of = text) => ({
    name: witness.name,
    id: witness.id,
    signature: encodeCosignature(time, signWith(3, cosignatureMessage(time, of))),
  });

  test('says what the specification has signed', () => {
    expect(new TextDecoder().decode(cosignatureMessage(1_679_315_147, 'o\n1\nr\n'))).toBe(
      'cosignature/v1\ntime 1679315147\no\n1\nr\n',
    );
  });

  test('is checked with its time, in a note with others', () => {
    const cosigned = addSignatures(note, [cosign(1_800_000_000)]);
    const opened = openNote(cosigned, [log, witness], verify);
    expect(opened.verified.map(({ time }) => time)).toEqual([undefined, 1_800_000_000]);
    const later = addSignatures(cosigned, [cosign(1_800_000_001)]);
    expect(openNote(later, [witness], verify).verified[0]?.time).toBe(1_800_000_001);
    expect(parseNote(later).signatures).toHaveLength(2);
  });

  test('has a time that a number holds', () => {
    const at = (time: number) => encodeCosignature(time, new Uint8Array(64));
    const last = 8_640_000_000_000;
    expect(parseCosignature(at(last))?.time).toBe(last);
    expect(new Date(last * 1_000).getUTCFullYear()).toBe(275_760);
    expect(parseCosignature(at(last + 1))).toBeUndefined();
    expect(parseCosignature(at(2 ** 53))).toBeUndefined();
    expect(parseCosignature(at(1).with(0, 0x80))).toBeUndefined();
    expect(parseCosignature(at(1).subarray(1))).toBeUndefined();
  });

  test('of another time, another text or as a plain signature is refused', () => {
    const { signature } = cosign(1_800_000_000);
    const moved = signature.with(7, (signature[7] as number) ^ 1);
    const plain = signWith(3, utf8Encode(text));
    const beyond = encodeCosignature(2 ** 53 - 1, signature.subarray(8)).with(0, 0x80);
    const wrong = [moved, plain, beyond, signature.subarray(1), cosign(1, 'other\n').signature];
    for (const bytes of wrong) {
      const bad = addSignatures(note, [{ ...cosign(0), signature: bytes }]);
      expect(() => openNote(bad, [log, witness], verify)).toThrow(code('SIGNATURE_INVALID'));
    }
  });
});

describe('a checkpoint', () => {
  test.each([
    ['no lines', ''],
    ['two lines', 'o\n1\n'],
    ['an empty origin', text.replace('log.example/a', '')],
    ['a leading zero', text.replace('\n5\n', '\n05\n')],
    ['a sign', text.replace('\n5\n', '\n+5\n')],
    ['a size of 2^53', text.replace('\n5\n', '\n9007199254740992\n')],
    ['a size of other digits', text.replace('\n5\n', '\n٥\n')],
    ['a root of 31 bytes', text.replace(/[^\n]*\n$/, `${toBase64(new Uint8Array(31))}\n`)],
    ['a root with bits to spare', text.replace('A=\n', 'B=\n')],
    ['an empty line', text.replace('\n5', '\n\n5')],
    ['an empty extension', `${text}\n`],
    ['no last newline', text.slice(0, -1)],
  ])('with %s is malformed', (_, bad) => {
    expect(bad).not.toBe(text);
    expect(() => parseCheckpoint(bad)).toThrow(code('PROOF_MALFORMED'));
  });

  test('is not made of what could not be read', () => {
    const root = new Uint8Array(32);
    for (const bad of [
      { origin: '', size: 1, root },
      { origin: 'a\n1', size: 1, root },
      { origin: 'a', size: -1, root },
      { origin: 'a', size: 1.5, root },
      { origin: 'a', size: 1, root: new Uint8Array(31) },
    ])
      expect(() => formatCheckpoint(bad)).toThrow(code('PROOF_MALFORMED'));
  });
});
