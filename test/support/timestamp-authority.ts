/** A time-stamp authority on loopback: openssl behind a small HTTP server. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

/** Whether there is an openssl that knows `ts`. */
export const hasOpenssl = spawnSync('openssl', ['ts', '-help']).status === 0;

export interface AuthorityFiles {
  readonly directory: string;
  /** PEM. */
  readonly ca: string;
  readonly caFile: string;
  readonly signerFile: string;
}

export interface AuthorityOptions {
  /** Lines of the signer's certificate extensions; default: what RFC 3161 asks for. */
  readonly usage?: string;
  /** Days that the signer's certificate is valid, from now; negative: it has expired. */
  readonly days?: number;
  readonly key?: 'rsa' | 'ec';
  /** Lines of the intermediate's certificate extensions; default: those of an authority. */
  readonly middle?: string;
}

export function openssl(directory: string, ...args: readonly string[]): Buffer {
  const { status, stdout, stderr } = spawnSync('openssl', args, { cwd: directory });
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${String(stderr)}`);
  return stdout;
}

const timeStamping = 'extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n';

const authority = 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n';

/** Makes the keys and certificates of an authority in `directory`: a root, an intermediate, a signer. */
export function makeAuthority(directory: string, options: AuthorityOptions = {}): AuthorityFiles {
  const { usage = timeStamping, days = 30, key = 'rsa', middle = authority } = options;
  mkdirSync(directory, { recursive: true });
  const run = (...args: string[]): Buffer => openssl(directory, ...args);
  const write = (name: string, text: string): void => writeFileSync(join(directory, name), text);
  const algorithm =
    key === 'rsa'
      ? ['-newkey', 'rsa:2048']
      : ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  const subject = (name: string): string[] => ['-subj', `/O=Example/CN=${name}`, '-nodes'];
  run(
    'req',
    '-x509',
    ...algorithm,
    ...subject('Root'),
    '-keyout',
    'root.key',
    '-out',
    'root.pem',
    '-days',
    '60',
  );
  write('middle.ext', middle);
  write('signer.ext', usage);
  const issue = (name: string, by: string, valid: number): void => {
    run(
      'req',
      '-new',
      ...algorithm,
      ...subject(name),
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    );
    const ca = ['-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial'];
    const out = ['-extfile', `${name}.ext`, '-days', String(valid), '-out', `${name}.pem`];
    run('x509', '-req', '-in', `${name}.csr`, '-sha256', ...ca, ...out);
  };
  issue('middle', 'root', 60);
  issue('signer', 'middle', days);
  write('serial', '01\n');
  write('ts.cnf', configuration);
  return {
    directory,
    ca: readFileSync(join(directory, 'root.pem'), 'utf8'),
    caFile: join(directory, 'root.pem'),
    signerFile: join(directory, 'signer.pem'),
  };
}

const configuration = `[tsa]
default_tsa = main
[main]
serial = serial
signer_cert = signer.pem
signer_key = signer.key
certs = middle.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_chain = no
`;

/** The answer of the authority to a request in DER. */
export function answerTo({ directory }: AuthorityFiles, query: Uint8Array): Buffer {
  writeFileSync(join(directory, 'query.tsq'), query);
  const files = ['-queryfile', 'query.tsq', '-out', 'answer.tsr'];
  openssl(directory, 'ts', '-reply', '-config', 'ts.cnf', ...files);
  return readFileSync(join(directory, 'answer.tsr'));
}

/** Serves an authority on loopback; `answer` may stand in for openssl. */
export async function serveAuthority(
  files: AuthorityFiles,
  answer: (query: Buffer) => Buffer = (query) => answerTo(files, query),
): Promise<{ readonly url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      response.setHeader('Content-Type', 'application/timestamp-reply');
      response.end(answer(Buffer.concat(chunks)));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/tsr`,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
