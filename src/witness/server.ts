/** A witness behind HTTP. Bodies, connections and times are bounded. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { utf8Decode } from '../base/index.ts';
import { type Reply, Witness, type WitnessParts } from './witness.ts';

/** Room for 63 hashes and a note with sixteen signatures of the largest kind. */
const bodyBytesMax = 256 * 1024;
const connectionsMax = 128;
const requestMs = 10_000;
const idleMs = 5_000;
/** How often Node looks for connections that are over these times; its default is half a minute. */
const checkMs = 1_000;

export interface ServerOptions extends WitnessParts {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Seconds since 1970; default: the system's clock. */
  readonly now?: () => number;
  /** Gets what went wrong inside while a request was answered with 500. */
  readonly onError?: (error: unknown) => void;
}

export interface WitnessServer {
  /** `http://host:port`. */
  readonly url: string;
  close(): Promise<void>;
}

/** Starts a witness; resolves when it listens. The store stays the caller's to close. */
export async function startWitness(options: ServerOptions): Promise<WitnessServer> {
  const witness = new Witness(options);
  const now = options.now ?? (() => Math.floor(Date.now() / 1000));
  const server = createServer({ connectionsCheckingInterval: checkMs }, (request, response) => {
    answer(witness, request, now).then(
      (given) => send(request, response, given),
      (error: unknown) => {
        options.onError?.(error);
        send(request, response, status(500, 'The witness failed.\n'));
      },
    );
  });
  server.maxConnections = connectionsMax;
  server.requestTimeout = requestMs;
  server.headersTimeout = idleMs;
  server.keepAliveTimeout = idleMs;
  await listen(server, options);
  const { address, port, family } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function listen(server: Server, { host, port }: ServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

const status = (code: number, body: string): Reply => ({
  status: code,
  type: 'text/plain; charset=utf-8',
  body,
});

async function answer(
  witness: Witness,
  request: IncomingMessage,
  now: () => number,
): Promise<Reply> {
  const path = (request.url ?? '').split('?', 1)[0] ?? '';
  if (path === '/add-checkpoint') {
    if (request.method !== 'POST') return status(405, 'Use POST.\n');
    const body = await bodyOf(request);
    if (body === undefined) return status(413, 'The request is too large.\n');
    const text = textOf(body);
    return text === undefined
      ? status(400, 'The request is not UTF-8.\n')
      : witness.addCheckpoint(text, now());
  }
  const [, hash] = /^\/([0-9a-f]{64})\/checkpoint$/.exec(path) ?? [];
  if (hash === undefined) return status(404, 'There is nothing here.\n');
  return request.method === 'GET' ? witness.checkpoint(hash) : status(405, 'Use GET.\n');
}

/** The request's body, or undefined once it is over the limit. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > bodyBytesMax) return undefined;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > bodyBytesMax) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8Decode(bytes);
  } catch {
    return undefined;
  }
}

function send(request: IncomingMessage, response: ServerResponse, given: Reply): void {
  const { status: code, type, body } = given;
  // The rest of a body that was not read is not waited for.
  if (!request.complete) response.setHeader('Connection', 'close');
  response.writeHead(code, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body, () => {
    if (!request.complete) request.destroy();
  });
}
