/** Time stamps of a local openssl authority: what holds, and each thing for which one is refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  answerTo,
  type AuthorityFiles,
  type AuthorityOptions,
  hasOpenssl,
  makeAuthority,
  openssl,
  serveAuthority,
} from '../../test/support/timestamp-authority.ts';
import { concatBytes, utf8Encode } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import { der, DerReader, tags } from './der.ts';
import { readTrusted, requestTimeStamp, verifyTimeStamp } from './index.ts';
import { readToken } from './timestamp-token.ts';

const code = (name: string) => expect.objectContaining({ code: name });
const message = utf8Encode('log.example/a\n5\nroot\n');
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

let directory: string;
let files: AuthorityFiles;
beforeAll(() => {
  if (!hasOpenssl) {
    process.stderr.write('openssl with "ts" is missing: time stamps are not tested\n');
    return;
  }
  directory = mkdtempSync(join(tmpdir(), 'verity-tsa-'));
  files = makeAuthority(join(directory, 'first'), { key: 'ec' });
});
afterAll(() => {
  if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
});

const another = (name: string, options: AuthorityOptions = {}): AuthorityFiles =>
  makeAuthority(join(directory, name), { key: 'ec', ...options });

/** A token that openssl itself asked for, and made, over `message`. */
function tokenOf(by: AuthorityFiles, ...options: string[]): Uint8Array {
  writeFileSync(join(by.directory, 'data'), message);
  const query = ['-data', 'data', '-cert', '-out', 'own.tsq'];
  openssl(by.directory, 'ts', '-query', ...query, ...(options.length > 0 ? options : ['-sha256']));
  const answer = answerTo(by, readFileSync(join(by.directory, 'own.tsq')));
  return readAnswer(answer);
}

/** The token in an answer. */
function readAnswer(answer: Uint8Array): Uint8Array {
  const response = new DerReader(answer).into(tags.sequence);
  response.next();
  return response.next(tags.sequence).whole;
}

const trust = (by: AuthorityFiles) => readTrusted(by.ca);

describe.skipIf(!hasOpenssl)('a time stamp', () => {
  test('is asked for over HTTP, holds, and tells when and who', async () => {
    const server = await serveAuthority(files);
    closing.push(() => server.close());
    const asked = { url: server.url, trusted: trust(files) };
    const { token, stamp } = await requestTimeStamp(asked, message, { timeoutMs: 5000 });
    expect(Math.abs(stamp.time.getTime() - Date.now())).toBeLessThan(60_000);
    expect(stamp).toMatchObject({ authority: 'O=Example, CN=signer', policy: '1.2.3.4.1' });
    expect(verifyTimeStamp(token, message, trust(files)).time).toEqual(stamp.time);
    // And openssl takes it as well.
    writeFileSync(join(files.directory, 'token'), token);
    writeFileSync(join(files.directory, 'data'), message);
    const check = ['-data', 'data', '-in', 'token', '-token_in', '-CAfile', 'root.pem'];
    openssl(files.directory, 'ts', '-verify', ...check, '-untrusted', 'middle.pem');
  });

  test('of an RSA authority holds, too, and with its own certificate as the trusted one', () => {
    const rsa = another('rsa', { key: 'rsa' });
    const token = tokenOf(rsa);
    expect(verifyTimeStamp(token, message, trust(rsa)).policy).toBe('1.2.3.4.1');
    const own = readTrusted(openssl(rsa.directory, 'x509', '-in', 'signer.pem').toString());
    expect(verifyTimeStamp(token, message, own).policy).toBe('1.2.3.4.1');
  });

  test('of another message, with another digest, or of an authority that is not trusted is refused', () => {
    const token = tokenOf(files);
    const refused = code('TIMESTAMP_INVALID');
    expect(verifyTimeStamp(token, message, trust(files)).nonce).toBeDefined();
    expect(() => verifyTimeStamp(token, message.subarray(1), trust(files))).toThrow(refused);
    expect(() => verifyTimeStamp(token, message, trust(another('stranger')))).toThrow(/no chain/);
    expect(() => verifyTimeStamp(token, message, [])).toThrow(/no chain/);
    expect(() => verifyTimeStamp(tokenOf(files, '-sha512'), message, trust(files))).toThrow(
      refused,
    );
  });

  test.each([
    ['for other purposes as well', 'extendedKeyUsage=critical,timeStamping,codeSigning\n'],
    ['for time stamps, but not critically', 'extendedKeyUsage=timeStamping\n'],
    ['for nothing in particular', 'keyUsage=critical,digitalSignature\n'],
  ])('under a certificate %s is refused', (what, usage) => {
    // openssl refuses to sign with such a certificate: the good one's key gets it afterwards.
    const by = another(`usage-${what.replaceAll(/\W/g, '')}`);
    writeFileSync(join(by.directory, 'bad.ext'), usage);
    const ca = ['-CA', 'middle.pem', '-CAkey', 'middle.key', '-CAcreateserial', '-sha256'];
    openssl(
      by.directory,
      'x509',
      '-req',
      '-in',
      'signer.csr',
      ...ca,
      '-extfile',
      'bad.ext',
      '-out',
      'bad.pem',
    );
    const info = infoOf(tokenOf(by));
    const sign = (certificate: string): Buffer => signInfo(by, info, certificate);
    expect(verifyTimeStamp(sign('signer.pem'), message, trust(by)).policy).toBe('1.2.3.4.1');
    expect(() => verifyTimeStamp(sign('bad.pem'), message, trust(by))).toThrow(/time stamps alone/);
  });

  test('whose chain has the right names and the wrong keys, or an issuer that is none, is refused', () => {
    // Without key identifiers only the signature tells the one root from the other.
    const plain = 'basicConstraints=critical,CA:TRUE\nauthorityKeyIdentifier=none\n';
    const by = another('plain', { middle: plain });
    const token = tokenOf(by);
    expect(verifyTimeStamp(token, message, trust(by)).policy).toBe('1.2.3.4.1');
    expect(() => verifyTimeStamp(token, message, trust(files))).toThrow(/no chain/);
    const upstart = another('upstart', { middle: 'basicConstraints=critical,CA:FALSE\n' });
    expect(() => verifyTimeStamp(tokenOf(upstart), message, trust(upstart))).toThrow(/no chain/);
  });

  test('that names a certificate whose key does not sign is refused', () => {
    const by = another('agreement');
    openssl(by.directory, 'genpkey', '-algorithm', 'X25519', '-out', 'x.key');
    openssl(by.directory, 'pkey', '-in', 'x.key', '-pubout', '-out', 'x.pub');
    const ca = ['-CA', 'middle.pem', '-CAkey', 'middle.key', '-CAcreateserial', '-sha256'];
    const files = ['-in', 'signer.csr', '-force_pubkey', 'x.pub', '-out', 'x.pem'];
    openssl(by.directory, 'x509', '-req', ...ca, ...files);
    const [good, other] = ['signer.pem', 'x.pem'].map(
      (name) => readTrusted(openssl(by.directory, 'x509', '-in', name).toString())[0]!,
    );
    const token = signInfo(by, infoOf(tokenOf(by)));
    const place = token.indexOf(sha256(good!.raw));
    expect(place).toBeGreaterThan(0);
    token.set(sha256(other!.raw), place);
    expect(() => verifyTimeStamp(token, message, [other!])).toThrow(/its signature is wrong/);
  });

  test('made before or after its certificate was valid is refused', () => {
    const by = another('times');
    const token = tokenOf(by);
    const info = infoOf(token);
    const year = String(new Date().getUTCFullYear());
    const text = Buffer.from(info).toString('latin1');
    expect(text).toContain(`${year}`);
    for (const other of ['1999', '2099']) {
      const info = Buffer.from(text.replace(`${year}`, other), 'latin1');
      const stamp = signInfo(by, info);
      expect(() => verifyTimeStamp(stamp, message, trust(by))).toThrow(/no chain/);
    }
  });

  test('is refused for every byte that is altered, cut off or added', () => {
    const token = tokenOf(files);
    const holds = (bytes: Uint8Array): boolean => {
      try {
        verifyTimeStamp(bytes, message, trust(files));
        return true;
      } catch (error) {
        expect(error).toEqual(code('TIMESTAMP_INVALID'));
        return false;
      }
    };
    expect(holds(token)).toBe(true);
    for (let length = 0; length < token.length; length += 7) {
      expect(holds(token.subarray(0, length))).toBe(false);
    }
    expect(holds(concatBytes(token, Uint8Array.of(0)))).toBe(false);
    const survivors: number[] = [];
    for (let at = 0; at < token.length; at++) {
      if (holds(token.with(at, (token[at] as number) ^ 0x04))) survivors.push(at);
    }
    const { signer } = readToken(token);
    const attributes = indicesOf(token, signer.signedBytes.subarray(1));
    const signature = indicesOf(token, signer.signature);
    // Bytes that nobody signs: versions, the set of digest algorithms, the second naming of the signer, and the
    // certificate of the intermediate where its key or name is not concerned. None says when, what or who.
    const signed = indicesOf(token, infoOf(token));
    for (const { from, to } of [signed, attributes, signature]) {
      expect(from).toBeGreaterThan(0);
      expect(survivors.filter((at) => at >= from && at < to)).toEqual([]);
    }
    expect(survivors.length).toBeLessThan(token.length / 5);
  });
});

/** A token with this TSTInfo, signed by the authority's key under one of its certificates. */
function signInfo(by: AuthorityFiles, info: Uint8Array, certificate = 'signer.pem'): Buffer {
  writeFileSync(join(by.directory, 'info'), info);
  const form = ['-binary', '-nodetach', '-outform', 'DER', '-cades', '-md', 'sha256'];
  const type = ['-econtent_type', '1.2.840.113549.1.9.16.1.4', '-in', 'info'];
  const keys = ['-signer', certificate, '-inkey', 'signer.key', '-certfile', 'middle.pem'];
  return openssl(by.directory, 'cms', '-sign', ...form, ...type, ...keys);
}

/** The TSTInfo of a token. */
function infoOf(token: Uint8Array): Uint8Array {
  const outer = new DerReader(token).into(tags.sequence);
  outer.next();
  const signed = outer.into(tags.context0).into(tags.sequence);
  signed.next();
  signed.next();
  const content = signed.into(tags.sequence);
  content.next();
  return content.into(tags.context0).next(tags.octetString).content;
}

function indicesOf(whole: Uint8Array, part: Uint8Array): { from: number; to: number } {
  const from = Buffer.from(whole).indexOf(Buffer.from(part));
  return { from, to: from + part.length };
}

describe.skipIf(!hasOpenssl)('an authority', () => {
  const ask = async (answer: (query: Buffer) => Buffer) => {
    const server = await serveAuthority(files, answer);
    closing.push(() => server.close());
    return requestTimeStamp({ url: server.url, trusted: trust(files) }, message, {
      timeoutMs: 5000,
    });
  };

  test('that repeats an older answer is found out by the nonce', async () => {
    let kept: Buffer = Buffer.alloc(0);
    await ask((query) => (kept = answerTo(files, query)));
    await expect(ask(() => kept)).rejects.toThrow(/nonce/);
  });

  test('whose clock is wrong is not taken', async () => {
    const days = (more: number): string =>
      new Date(Date.now() + more * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '');
    const answer = (query: Buffer): Buffer => {
      const token = readAnswer(answerTo(files, query));
      const info = Buffer.from(infoOf(token)).toString('latin1').replace(days(0), days(2));
      const status = der(tags.sequence, der(tags.integer, Uint8Array.of(0)));
      const stamp = signInfo(files, Buffer.from(info, 'latin1'));
      return Buffer.from(der(tags.sequence, status, stamp));
    };
    await expect(ask(answer)).rejects.toThrow(/ten minutes/);
  });

  test('that refuses, fails or talks nonsense is told apart', async () => {
    const refusal = Buffer.from(
      der(tags.sequence, der(tags.sequence, der(tags.integer, Uint8Array.of(2)))),
    );
    await expect(ask(() => refusal)).rejects.toThrow(code('WITNESS_REFUSED'));
    await expect(ask(() => Buffer.from('no'))).rejects.toThrow(code('TIMESTAMP_INVALID'));
    await expect(ask(() => Buffer.alloc(2 << 20))).rejects.toThrow(code('WITNESS_UNAVAILABLE'));
    const gone = { url: 'http://127.0.0.1:1/', trusted: trust(files) };
    await expect(requestTimeStamp(gone, message, { timeoutMs: 5000 })).rejects.toThrow(
      code('WITNESS_UNAVAILABLE'),
    );
  });
});

test.each([
  ['a length in more bytes than it needs', [4, 0x81, 1, 0]],
  ['an indefinite length', [0x30, 0x80, 0, 0]],
  ['a length behind the end', [4, 2, 0]],
  ['a tag of several bytes', [0x1f, 1, 0]],
  ['nothing', []],
])('DER with %s is refused', (_, bytes) => {
  expect(() => new DerReader(Uint8Array.from(bytes)).next()).toThrow(code('TIMESTAMP_INVALID'));
});

test('a file without a certificate is nothing to trust', () => {
  expect(() => readTrusted('')).toThrow(code('INVALID_ARGUMENT'));
  const block = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----';
  expect(() => readTrusted(block)).toThrow(code('INVALID_ARGUMENT'));
});
