/**
 * Whether a time-stamp token (RFC 3161) says, under a certificate of an authority that is trusted, that a message existed at a time.
 *
 * Checked: the message imprint (SHA-256), the signed attributes (RFC 5652 §5.4, RFC 5816), the signature, that the signer's
 * certificate is for time stamps alone and says so critically, and a chain to a trusted certificate, valid at that time.
 * Not checked: revocation, name constraints and path lengths.
 */
import { createHash, verify, X509Certificate } from 'node:crypto';
import { equalBytes, toHex, VerityError } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import { DerReader, oidText, readAlgorithm, readContainer, tags } from './der.ts';
import { oids, readToken, type TimeStampToken } from './timestamp-token.ts';

/** Digests by object identifier. SHA-1 is not among them: who can make collisions could stamp one message and show another. */
const digests: Readonly<Record<string, string>> = {
  '2.16.840.1.101.3.4.2.1': 'sha256',
  '2.16.840.1.101.3.4.2.2': 'sha384',
  '2.16.840.1.101.3.4.2.3': 'sha512',
};
const signedWithDigest = 'the digest of the digest algorithm';
/** Signature algorithms by object identifier, with their digest; RSA (PKCS #1 v1.5), ECDSA and Ed25519. */
const signatures: Readonly<Record<string, string | undefined>> = {
  '1.2.840.113549.1.1.1': signedWithDigest,
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.3.101.112': '',
};
const extendedKeyUsage = '2.5.29.37';
const timeStamping = '1.3.6.1.5.5.7.3.8';
const chainMax = 6;
const certificatesMax = 16;

export interface TimeStamp {
  /** When the message existed, as the authority says. */
  readonly time: Date;
  /** The subject of the authority's certificate, on one line. */
  readonly authority: string;
  /** Hex. */
  readonly serial: string;
  readonly policy: string;
  /** Content of the request's INTEGER, if the token has one. */
  readonly nonce: Uint8Array | undefined;
}

/** Certificates of authorities that are trusted, from a PEM file's text. Throws TIMESTAMP_INVALID when there is none. */
export function readTrusted(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length > 0) return blocks.map((block) => new X509Certificate(block));
  } catch {
    // Told below.
  }
  throw new VerityError(
    'INVALID_ARGUMENT',
    'There is no certificate in PEM (-----BEGIN CERTIFICATE-----) to trust. Give the file of the authority’s CA.',
  );
}

/**
 * What a token in DER says of `message`, once all is checked. Throws TIMESTAMP_INVALID with the first check that fails; the last is that of the
 * chain, and then `details.isUntrusted` is true: all else holds.
 */
export function verifyTimeStamp(
  bytes: Uint8Array,
  message: Uint8Array,
  trusted: readonly X509Certificate[],
): TimeStamp {
  const token = readToken(bytes);
  const { info, signer } = token;
  if (info.imprintAlgorithm !== oids.sha256 || !equalBytes(info.imprint, sha256(message))) {
    throw refused('it is of another message');
  }
  const certificates = token.certificates.slice(0, certificatesMax).map(certificateOf);
  const certificate = [...certificates, ...trusted].find((one) => isNamed(one, token));
  if (certificate === undefined) {
    throw refused(
      'the certificate that its signer names is neither in it nor among the trusted ones',
    );
  }
  checkAttributes(token);
  checkSignature(signer, certificate);
  if (!isForTimeStamps(certificate)) {
    throw refused('its signer’s certificate is not for time stamps alone, critically');
  }
  if (!isTrusted(certificate, certificates, trusted, info.time)) {
    throw refused('no chain of certificates valid at its time leads to a trusted one', {
      isUntrusted: true,
    });
  }
  return {
    time: new Date(info.time),
    authority: certificate.subject.replaceAll('\n', ', '),
    serial: toHex(info.serial),
    policy: info.policy,
    nonce: info.nonce,
  };
}

function refused(what: string, details: Readonly<Record<string, unknown>> = {}): VerityError {
  return new VerityError('TIMESTAMP_INVALID', `The time stamp is refused: ${what}.`, { details });
}

function certificateOf(bytes: Uint8Array): X509Certificate {
  try {
    return new X509Certificate(bytes);
  } catch {
    throw refused('a certificate in it cannot be read');
  }
}

function digestOf(algorithm: string, bytes: Uint8Array): Uint8Array {
  const name = digests[algorithm];
  if (name === undefined)
    throw refused(`its digest algorithm ${algorithm} is not known or not safe`);
  return createHash(name).update(bytes).digest();
}

/** Whether the signed attribute signingCertificate, of either form, is of this certificate. */
function isNamed(certificate: X509Certificate, { signer }: TimeStampToken): boolean {
  const second = signer.attributes.get(oids.signingCertificateV2);
  const first = signer.attributes.get(oids.signingCertificate);
  const attribute = second ?? first;
  if (attribute === undefined) throw refused('it does not say which certificate its signer has');
  const list = readContainer(attribute, tags.sequence).into(tags.sequence);
  const id = list.into(tags.sequence);
  // ESSCertID is SHA-1 of the certificate; ESSCertIDv2 names its digest, SHA-256 when it does not.
  const algorithm =
    second === undefined ? 'sha1' : id.peek() === tags.sequence ? readAlgorithm(id) : oids.sha256;
  const { content: hash } = id.next(tags.octetString);
  const own =
    algorithm === 'sha1'
      ? createHash('sha1').update(certificate.raw).digest()
      : digestOf(algorithm, certificate.raw);
  return equalBytes(own, hash);
}

function checkAttributes({ content, signer }: TimeStampToken): void {
  const type = signer.attributes.get(oids.contentType);
  const digest = signer.attributes.get(oids.messageDigest);
  if (type === undefined || digest === undefined) throw refused('signed attributes are missing');
  if (oidText(new DerReader(type).next(tags.oid).content) !== oids.tstInfo) {
    throw refused('what is signed is not said to be a time stamp');
  }
  const signed = new DerReader(digest).next(tags.octetString).content;
  if (!equalBytes(signed, digestOf(signer.digestAlgorithm, content))) {
    throw refused('its content was altered');
  }
}

function checkSignature(signer: TimeStampToken['signer'], certificate: X509Certificate): void {
  const { signatureAlgorithm, digestAlgorithm, signedBytes, signature } = signer;
  const named = signatures[signatureAlgorithm];
  const digest = named === signedWithDigest ? digests[digestAlgorithm] : named;
  if (digest === undefined) {
    throw refused(`its signature algorithm ${signatureAlgorithm} is not known or not safe`);
  }
  const isRight = holds(() =>
    verify(digest === '' ? null : digest, signedBytes, certificate.publicKey, signature),
  );
  if (!isRight) throw refused('its signature is wrong');
}

/** Node throws where a key is of a kind that it does not know, or that does not sign, or not so. */
function holds(check: () => boolean): boolean {
  try {
    return check();
  } catch {
    return false;
  }
}

interface CertificateFacts {
  readonly signatureAlgorithm: string;
  /** Extensions by object identifier. */
  readonly extensions: ReadonlyMap<
    string,
    { readonly critical: boolean; readonly value: Uint8Array }
  >;
}

/** What Node does not tell of a certificate. */
function factsOf(certificate: X509Certificate): CertificateFacts {
  const outer = readContainer(certificate.raw, tags.sequence);
  const body = outer.into(tags.sequence);
  const signatureAlgorithm = readAlgorithm(outer);
  const extensions = new Map<string, { critical: boolean; value: Uint8Array }>();
  while (!body.isAtEnd) {
    const part = body.next();
    if (part.tag !== 0xa3) continue;
    for (const list = new DerReader(part.content).into(tags.sequence); !list.isAtEnd;) {
      const extension = list.into(tags.sequence);
      const name = oidText(extension.next(tags.oid).content);
      const critical = extension.optional(tags.boolean)?.content[0] === 0xff;
      extensions.set(name, { critical, value: extension.next(tags.octetString).content });
    }
  }
  return { signatureAlgorithm, extensions };
}

/** RFC 3161 §2.3: the extended key usage is time stamping, nothing else, and critical. */
function isForTimeStamps(certificate: X509Certificate): boolean {
  const usage = factsOf(certificate).extensions.get(extendedKeyUsage);
  if (usage === undefined || !usage.critical) return false;
  const purposes = readContainer(usage.value, tags.sequence);
  const purpose = oidText(purposes.next(tags.oid).content);
  return purpose === timeStamping && purposes.isAtEnd;
}

function isValidAt(certificate: X509Certificate, time: number): boolean {
  return Date.parse(certificate.validFrom) <= time && time <= Date.parse(certificate.validTo);
}

/** Whether certificates of the token lead from `certificate` to a trusted one, all valid at `time`. */
function isTrusted(
  certificate: X509Certificate,
  others: readonly X509Certificate[],
  trusted: readonly X509Certificate[],
  time: number,
): boolean {
  let reached = [certificate];
  for (let length = 0; length < chainMax && reached.length > 0; length++) {
    const valid = reached.filter((one) => isValidAt(one, time));
    if (valid.some((one) => trusted.some(({ raw }) => equalBytes(raw, one.raw)))) return true;
    const issuers = [...trusted, ...others].filter((issuer) =>
      valid.some((one) => isIssuer(issuer, one)),
    );
    reached = [...new Set(issuers)];
  }
  return false;
}

function isIssuer(issuer: X509Certificate, certificate: X509Certificate): boolean {
  const named = signatures[factsOf(certificate).signatureAlgorithm];
  return (
    issuer.ca &&
    named !== undefined &&
    named !== signedWithDigest &&
    certificate.checkIssued(issuer) &&
    holds(() => certificate.verify(issuer.publicKey))
  );
}
