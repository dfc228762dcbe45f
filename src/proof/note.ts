/**
 * Signed notes (C2SP signed-note): a text, an empty line, and lines `— name base64(key id ‖ signature)`.
 *
 * - A note has one spelling: UTF-8, no control characters but LF, canonical base64, one line a key.
 * - Nothing is read from a text before a known key's signature over it was checked: openNote does both.
 */
import { utf8Encode, utf8Length } from '../base/index.ts';
import { fromBase64, toBase64 } from './base64.ts';
import { cosignatureMessage, parseCosignature } from './cosignature.ts';
import { malformed, unverified } from './failures.ts';
import { isKeyName, signatureTypes, type VerifyEd25519, type Vkey } from './vkey.ts';

export const noteBytesMax = 1 << 20;
/** The specification asks for 16 at least. */
const noteSignaturesMax = 100;
const signatureBytesMax = 8192;
const ed25519SignatureBytes = 64;

export interface NoteSignature {
  readonly name: string;
  readonly id: number;
  /** What stands behind the key id; 64 bytes for Ed25519, 72 for cosignature/v1, others for others. */
  readonly signature: Uint8Array;
}

export interface Note {
  /** What is signed, with its last newline. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** The text of a signature line, with its newline. */
export function signatureLine({ name, id, signature }: NoteSignature): string {
  const blob = new Uint8Array(4 + signature.length);
  new DataView(blob.buffer).setUint32(0, id);
  blob.set(signature, 4);
  return `— ${name} ${toBase64(blob)}\n`;
}

/** A signed note. Throws PROOF_MALFORMED when it could not be read again. */
export function formatNote(text: string, signatures: readonly NoteSignature[]): string {
  const note = `${text}\n${signatures.map(signatureLine).join('')}`;
  if (parseNote(note).text !== text)
    throw malformed('note', 'its text does not end with a newline');
  return note;
}

/** A note's text and signature lines, of which none is checked. Throws PROOF_MALFORMED with the rule that it breaks. */
export function parseNote(note: string): Note {
  // In this order: the length in units is free, and bounds what the other checks cost.
  if (note.length > noteBytesMax || utf8Length(note) > noteBytesMax) {
    throw malformed('note', 'it is larger than 1 MiB');
  }
  const bad = badCharacter(note);
  if (bad >= 0) {
    throw malformed('note', `there is a control character or half a character at ${bad}`);
  }
  const end = note.lastIndexOf('\n\n');
  if (end < 0) throw malformed('note', 'no empty line stands before its signatures');
  const lines = note.slice(end + 2).split('\n');
  if (lines.pop() !== '' || lines.length === 0) {
    throw malformed('note', 'it does not end with a signature line and a newline');
  }
  if (lines.length > noteSignaturesMax) throw malformed('note', 'it has over 100 signatures');
  const signatures = lines.map(parseSignatureLine);
  const keys = new Set(signatures.map(({ name, id }) => `${name}+${id}`));
  if (keys.size !== signatures.length) {
    throw malformed('note', 'two signature lines are of the same key');
  }
  return { text: note.slice(0, end + 1), signatures };
}

/** Where the first control character below U+0020 but LF is, or half of a surrogate pair; -1 if nowhere. */
function badCharacter(note: string): number {
  for (let index = 0; index < note.length; index++) {
    const unit = note.charCodeAt(index);
    if (unit < 0x20 && unit !== 0x0a) return index;
  }
  return note.search(/\p{Cs}/u);
}

/** Reads `— name base64(key id ‖ signature)`, without a newline. Throws PROOF_MALFORMED. */
function parseSignatureLine(line: string): NoteSignature {
  const parts = /^— ([^ ]+) ([^ ]+)$/u.exec(line);
  const [, name = '', text = ''] = parts ?? [];
  if (!isKeyName(name)) throw malformed('note', 'a signature line is not "— name base64"');
  const blob = text.length > signatureBytesMax * 2 ? undefined : fromBase64(text);
  if (blob === undefined || blob.length < 5 || blob.length > signatureBytesMax) {
    throw malformed('note', 'a signature is not base64 of a key id and a signature');
  }
  return { name, id: new DataView(blob.buffer).getUint32(0), signature: blob.subarray(4) };
}

/** A signature of a known key, checked. */
export interface VerifiedSignature extends NoteSignature {
  readonly vkey: Vkey;
  /** Of a cosignature: when it was made, in seconds since 1970, as the cosigner says. */
  readonly time?: number;
}

export interface OpenedNote {
  readonly text: string;
  /** At least one. */
  readonly verified: readonly VerifiedSignature[];
  /** Signatures of keys that were not given: they say nothing. */
  readonly unknown: readonly NoteSignature[];
}

/**
 * A note's text once a signature of one of `vkeys` over it is checked, and with it every other one of theirs. Signatures of
 * other keys are ignored. Throws PROOF_MALFORMED, or SIGNATURE_INVALID when a known key's signature is wrong or none is there.
 */
export function openNote(note: string, vkeys: readonly Vkey[], verify: VerifyEd25519): OpenedNote {
  const { text, signatures } = parseNote(note);
  const verified: VerifiedSignature[] = [];
  const unknown: NoteSignature[] = [];
  for (const signature of signatures) {
    const vkey = vkeys.find(({ name, id }) => name === signature.name && id === signature.id);
    if (vkey === undefined) unknown.push(signature);
    else verified.push(checkSignature(text, signature, vkey, verify));
  }
  if (verified.length === 0) {
    throw unverified(
      'The note has no signature of a key that was given: it is of another signer, or altered.',
    );
  }
  return { text, verified, unknown };
}

/** Checks one signature over a note's text. Throws SIGNATURE_INVALID. */
export function checkSignature(
  text: string,
  signature: NoteSignature,
  vkey: Vkey,
  verify: VerifyEd25519,
): VerifiedSignature {
  const wrong = (): Error =>
    unverified(
      `The signature of "${vkey.name}" is wrong: the text was altered, or was not signed with this key.`,
    );
  if (vkey.type === signatureTypes.cosignature) {
    const parts = parseCosignature(signature.signature);
    if (parts === undefined) throw wrong();
    const message = cosignatureMessage(parts.time, text);
    if (!verify(vkey.publicKey, message, parts.signature)) throw wrong();
    return { ...signature, vkey, time: parts.time };
  }
  if (signature.signature.length !== ed25519SignatureBytes) throw wrong();
  if (!verify(vkey.publicKey, utf8Encode(text), signature.signature)) throw wrong();
  return { ...signature, vkey };
}

/** The note with `added` behind its signatures; one of a key that signed already takes the old one's place. */
export function addSignatures(note: string, added: readonly NoteSignature[]): string {
  const { text, signatures } = parseNote(note);
  const kept = signatures.filter(
    (old) => !added.some(({ name, id }) => name === old.name && id === old.id),
  );
  return formatNote(text, [...kept, ...added]);
}
