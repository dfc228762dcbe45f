/** Time-stamp tokens (RFC 3161 §2.4.2): a TSTInfo in a SignedData (RFC 5652) of one signer. What they say, not whether it is so. */
import { badForm, DerReader, oidText, readAlgorithm, readContainer, tags } from './der.ts';

export const oids = {
  signedData: '1.2.840.113549.1.7.2',
  tstInfo: '1.2.840.113549.1.9.16.1.4',
  contentType: '1.2.840.113549.1.9.3',
  messageDigest: '1.2.840.113549.1.9.4',
  signingCertificate: '1.2.840.113549.1.9.16.2.12',
  signingCertificateV2: '1.2.840.113549.1.9.16.2.47',
  sha256: '2.16.840.1.101.3.4.2.1',
} as const;

const tokenBytesMax = 1 << 18;

export interface TimeStampInfo {
  readonly imprintAlgorithm: string;
  readonly imprint: Uint8Array;
  readonly policy: string;
  /** Content of the INTEGER. */
  readonly serial: Uint8Array;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Content of the INTEGER. */
  readonly nonce: Uint8Array | undefined;
}

export interface TimeStampToken {
  readonly info: TimeStampInfo;
  /** The TSTInfo as it was hashed. */
  readonly content: Uint8Array;
  /** Certificates in DER, in the order of the token. */
  readonly certificates: readonly Uint8Array[];
  readonly signer: {
    readonly digestAlgorithm: string;
    readonly signatureAlgorithm: string;
    /** The signed attributes as they are signed: as a SET. */
    readonly signedBytes: Uint8Array;
    /** Object identifier → the one value of the attribute, whole. */
    readonly attributes: ReadonlyMap<string, Uint8Array>;
    readonly signature: Uint8Array;
  };
}

/** Reads a token in DER. Throws TIMESTAMP_INVALID with what is wrong. */
export function readToken(bytes: Uint8Array): TimeStampToken {
  if (bytes.length > tokenBytesMax) throw badForm('it is larger than 256 KiB');
  const contentInfo = readContainer(bytes, tags.sequence);
  if (oidText(contentInfo.next(tags.oid).content) !== oids.signedData) {
    throw badForm('it is no SignedData');
  }
  const explicit = contentInfo.into(tags.context0);
  contentInfo.end();
  const signed = explicit.into(tags.sequence);
  explicit.end();
  signed.next(tags.integer);
  signed.next(tags.set);
  const content = readContent(signed.into(tags.sequence));
  const certificates = wholes(signed.optional(tags.context0)?.content);
  signed.optional(tags.context1);
  const signers = signed.into(tags.set);
  signed.end();
  const signer = readSigner(signers.into(tags.sequence));
  signers.end();
  return { info: readInfo(content), content, certificates, signer };
}

function readContent(encapsulated: DerReader): Uint8Array {
  if (oidText(encapsulated.next(tags.oid).content) !== oids.tstInfo) {
    throw badForm('its content is no TSTInfo');
  }
  const explicit = encapsulated.into(tags.context0);
  const { content } = explicit.next(tags.octetString);
  explicit.end();
  encapsulated.end();
  return content;
}

function wholes(content: Uint8Array = new Uint8Array(0)): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (const reader = new DerReader(content); !reader.isAtEnd;) found.push(reader.next().whole);
  return found;
}

function readSigner(info: DerReader): TimeStampToken['signer'] {
  info.next(tags.integer);
  // Who signed is told by the signed attribute signingCertificate; this is a second way to say it.
  info.next();
  const digestAlgorithm = readAlgorithm(info);
  const signed = info.next(tags.context0);
  const signatureAlgorithm = readAlgorithm(info);
  const { content: signature } = info.next(tags.octetString);
  info.optional(tags.context1);
  info.end();
  const attributes = new Map<string, Uint8Array>();
  for (const reader = new DerReader(signed.content); !reader.isAtEnd;) {
    const attribute = reader.into(tags.sequence);
    const name = oidText(attribute.next(tags.oid).content);
    const values = attribute.into(tags.set);
    attribute.end();
    if (attributes.has(name)) throw badForm('a signed attribute stands twice');
    attributes.set(name, values.next().whole);
    values.end();
  }
  // Not slice(): that of a Buffer is no copy.
  const signedBytes = new Uint8Array(signed.whole);
  signedBytes[0] = tags.set;
  return { digestAlgorithm, signatureAlgorithm, signedBytes, attributes, signature };
}

function readInfo(content: Uint8Array): TimeStampInfo {
  const info = readContainer(content, tags.sequence);
  const version = info.next(tags.integer).content;
  if (version.length !== 1 || version[0] !== 1) throw badForm('its version is not 1');
  const policy = oidText(info.next(tags.oid).content);
  const imprint = info.into(tags.sequence);
  const imprintAlgorithm = readAlgorithm(imprint);
  const { content: hashed } = imprint.next(tags.octetString);
  imprint.end();
  const { content: serial } = info.next(tags.integer);
  const time = timeOf(info.next(tags.generalizedTime).content);
  info.optional(tags.sequence); // accuracy
  info.optional(tags.boolean); // ordering
  const nonce = info.optional(tags.integer)?.content;
  info.optional(tags.context0); // the authority's name: its certificate tells
  if (!info.isAtEnd) throw badForm('it has extensions, of which none is known');
  return { imprintAlgorithm, imprint: hashed, policy, serial, time, nonce };
}

/** Milliseconds since 1970 of a GeneralizedTime in DER: UTC, seconds, and a fraction if there is one. */
function timeOf(content: Uint8Array): number {
  const text = String.fromCharCode(...content.subarray(0, 40));
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d*[1-9])?Z$/.exec(text);
  const [, year, month, day, hour, minute, second, fraction = ''] = parts ?? [];
  const plain = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const time = Date.parse(`${plain}${fraction.slice(0, 4)}Z`);
  // A date such as 30 February is none, whatever it is taken for.
  if (Number.isNaN(time) || !new Date(time).toISOString().startsWith(plain)) {
    throw badForm('its time is not in the form of DER');
  }
  return time;
}
