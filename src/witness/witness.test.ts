/** A witness on loopback: every answer of the protocol, what survives a restart, and what a log makes of the answers. */
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { SignedLog } from '../../test/support/signed-log.ts';
import { ed25519Verify, sha256 } from '../crypto/index.ts';
import { openNote, parseVkey, formatVkey, toBase64, type Vkey } from '../proof/index.ts';
import {
  cosignedCheckpoint,
  createWitnessKey,
  readWitnessKey,
  startWitness,
  submitCheckpoint,
  WitnessStore,
} from './index.ts';
import { formatAddCheckpoint } from './request.ts';
import { originHash } from './witness-store.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});
const code = (name: string) => expect.objectContaining({ code: name });

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'verity-witness-'));
  closing.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

interface Started {
  readonly url: string;
  readonly vkey: Vkey;
  readonly directory: string;
  stop(): Promise<void>;
}

async function witnessFor(logs: readonly Vkey[], directory = newDirectory()): Promise<Started> {
  const file = join(directory, 'key');
  const key = readdirSync(directory).includes('key')
    ? readWitnessKey(file)
    : createWitnessKey(file, 'witness.example/w');
  const origins = logs.map(({ name }) => name);
  const store = new WitnessStore(join(directory, 'state'), origins, key.vkey);
  const server = await startWitness({
    key,
    logs,
    store,
    host: '127.0.0.1',
    port: 0,
    now: () => 1_800_000_000,
  });
  let open = true;
  const stop = async (): Promise<void> => {
    if (!open) return;
    open = false;
    await server.close();
    store.close();
  };
  closing.push(stop);
  return { url: server.url, vkey: key.vkey, directory, stop };
}

async function post(url: string, body: string | Uint8Array): Promise<[number, string, string]> {
  const answer = await fetch(`${url}/add-checkpoint`, { method: 'POST', body: body as never });
  return [answer.status, answer.headers.get('Content-Type') ?? '', await answer.text()];
}

const requestOf = (log: SignedLog, old: number, size: number): string =>
  formatAddCheckpoint({ old, proof: log.consistency(old, size), note: log.note(size) });

describe('the protocol', () => {
  test('a log grows under cosignatures, and is shown as it was cosigned last', async () => {
    const log = new SignedLog('log.example/a').grow(20);
    const witness = await witnessFor([log.vkey]);
    for (const [old, size] of [
      [0, 0],
      [0, 3],
      [3, 3],
      [3, 8],
      [8, 20],
    ] as const) {
      const [status, , line] = await post(witness.url, requestOf(log, old, size));
      expect(status).toBe(200);
      const note = log.note(size).replace(/\n\n[^]*$/, `\n\n${line}`);
      const [cosignature] = openNote(note, [witness.vkey], ed25519Verify).verified;
      expect(cosignature?.time).toBe(1_800_000_000);
    }
    const shown = await cosignedCheckpoint(
      witness,
      { origin: log.vkey.name, vkeys: [log.vkey] },
      { timeoutMs: 5000 },
    );
    expect(shown?.checkpoint.size).toBe(20);
    expect(shown?.checkpoint.root).toEqual(log.root());
  });

  test('each thing that is wrong has its status', async () => {
    const log = new SignedLog('log.example/a').grow(20);
    const fork = new SignedLog('log.example/a').grow(5).grow(15, 'fork');
    const stranger = new SignedLog('log.example/b').grow(5);
    const witness = await witnessFor([log.vkey]);
    expect((await post(witness.url, requestOf(log, 0, 8)))[0]).toBe(200);

    const answers = {
      'another log': [404, requestOf(stranger, 0, 5)],
      'another key': [403, requestOf(new SignedLog('log.example/a', 2).grow(20), 8, 9)],
      'an altered note': [403, requestOf(log, 8, 9).replace('\n9\n', '\n10\n')],
      'old above the size': [400, requestOf(log, 5, 5).replace('old 5', 'old 6')],
      'a size of before': [409, requestOf(log, 3, 20)],
      'no size': [409, requestOf(log, 0, 20)],
      'an older checkpoint': [409, requestOf(log, 3, 5)],
      'a fork': [422, requestOf(fork, 8, 20)],
      'a fork of the same size': [422, requestOf(fork, 8, 8)],
      'no proof': [422, formatAddCheckpoint({ old: 8, proof: [], note: log.note(20) })],
      'a proof of nothing needed': [
        422,
        formatAddCheckpoint({ old: 8, proof: [log.root()], note: log.note(8) }),
      ],
      nothing: [400, ''],
      'no old line': [400, `\n${log.note(9)}`],
      'a leading zero': [400, requestOf(log, 8, 9).replace('old 8', 'old 08')],
      'a hash of 31 bytes': [400, `old 8\n${toBase64(new Uint8Array(31))}\n\n${log.note(9)}`],
      '64 hashes': [
        400,
        formatAddCheckpoint({ old: 8, proof: Array(64).fill(log.root()), note: log.note(9) }),
      ],
      'a carriage return': [400, requestOf(log, 8, 9).replaceAll('\n', '\r\n')],
      'bytes that are no text': [400, new Uint8Array([0xff, 0xfe, 0xfd])],
      'too much': [413, 'old 0\n'.repeat(100_000)],
    } satisfies Record<string, [number, string | Uint8Array]>;
    for (const [what, [status, body]] of Object.entries(answers)) {
      const [got, type, text] = await post(witness.url, body);
      expect([what, got]).toEqual([what, status]);
      if (status === 409) expect([type, text]).toEqual(['text/x.tlog.size', '8\n']);
    }
    // None of them moved it.
    expect((await post(witness.url, requestOf(log, 8, 20)))[0]).toBe(200);
    const statusOf = async (path: string, method: string) =>
      (await fetch(witness.url + path, { method })).status;
    expect(await statusOf('/add-checkpoint', 'GET')).toBe(405);
    expect(await statusOf('/', 'GET')).toBe(404);
    expect(await statusOf(`/${'0'.repeat(64)}/checkpoint`, 'GET')).toBe(404);
  });

  test('a zero-size checkpoint has the root of the empty tree', async () => {
    const log = new SignedLog('log.example/a').grow(1);
    const witness = await witnessFor([log.vkey]);
    // Signed by the log, with a root that no empty tree has.
    const lying = new SignedLog('log.example/a');
    lying.root = () => log.root();
    expect((await post(witness.url, requestOf(lying, 0, 0)))[0]).toBe(422);
  });

  test('of requests at once for the same step one is answered 200, the others 409', async () => {
    const log = new SignedLog('log.example/a').grow(40);
    const witness = await witnessFor([log.vkey]);
    const sizes = Array.from({ length: 12 }, (_, index) => 10 + index);
    const answers = await Promise.all(
      sizes.map((size) => post(witness.url, requestOf(log, 0, size))),
    );
    const statuses = answers.map(([status]) => status).toSorted((left, right) => left - right);
    expect(statuses).toEqual([200, ...Array<number>(11).fill(409)]);
  });

  test('a body that never ends is not read past the limit', async () => {
    const log = new SignedLog('log.example/a').grow(1);
    const witness = await witnessFor([log.vkey]);
    const outcome = await new Promise<string>((resolve) => {
      const sending = httpRequest(`${witness.url}/add-checkpoint`, { method: 'POST' });
      let sent = 0;
      const push = (): void => {
        while (sent < 64 * 1024 * 1024) {
          sent += 65_536;
          if (!sending.write(Buffer.alloc(65_536, 'x'))) {
            sending.once('drain', push);
            return;
          }
        }
        resolve('all was taken');
      };
      sending.on('response', (response) => resolve(String(response.statusCode)));
      sending.on('error', () => resolve('413'));
      push();
    });
    expect(outcome).toBe('413');
  });

  test('a connection that sends nothing is closed soon, and takes no place for long', async () => {
    const witness = await witnessFor([]);
    const socket = connect(Number(new URL(witness.url).port), '127.0.0.1');
    const before = Date.now();
    await once(socket, 'connect');
    socket.resume();
    await once(socket, 'close');
    expect(Date.now() - before).toBeLessThan(20_000);
  }, 40_000);
});

describe('what a witness has cosigned', () => {
  test('outlives it: the next one with the same state goes on from there', async () => {
    const log = new SignedLog('log.example/a').grow(9);
    const first = await witnessFor([log.vkey]);
    expect((await post(first.url, requestOf(log, 0, 9)))[0]).toBe(200);
    await first.stop();
    const second = await witnessFor([log.vkey], first.directory);
    expect(formatVkey(second.vkey)).toBe(formatVkey(first.vkey));
    expect(await post(second.url, requestOf(log, 0, 5))).toEqual([409, 'text/x.tlog.size', '9\n']);
  });

  test('is one process’s', async () => {
    const log = new SignedLog('log.example/a');
    const { directory, vkey } = await witnessFor([log.vkey]);
    expect(() => new WitnessStore(join(directory, 'state'), [log.vkey.name], vkey)).toThrow(
      code('DATABASE_LOCKED'),
    );
  });

  test('when damaged keeps it from starting', async () => {
    const log = new SignedLog('log.example/a').grow(9);
    const other = new SignedLog('log.example/b').grow(9);
    const witness = await witnessFor([log.vkey, other.vkey]);
    const { url, vkey, directory } = witness;
    await post(url, requestOf(log, 0, 9));
    await post(url, requestOf(other, 0, 9));
    await witness.stop();
    const state = join(directory, 'state');
    const name = originHash('log.example/a');
    const good = readFileSync(join(state, name), 'utf8');
    const ofAnother = readFileSync(join(state, originHash('log.example/b')), 'utf8');
    for (const bad of [good.replace('\n9\n', '\n8\n'), '', ofAnother]) {
      writeFileSync(join(state, name), bad);
      expect(() => new WitnessStore(state, [log.vkey.name], vkey)).toThrow(
        code('AUTHENTICATION_FAILED'),
      );
    }
  });
});

describe('a witness’s key file', () => {
  test('is its owner’s, made once, and refused when altered', () => {
    const file = join(newDirectory(), 'key');
    const made = createWitnessKey(file, 'witness.example/w');
    expect(parseVkey(sha256, formatVkey(made.vkey)).type).toBe(4);
    expect(readWitnessKey(file).vkey).toEqual(made.vkey);
    expect(() => createWitnessKey(file, 'witness.example/w')).toThrow(code('KEY_INVALID'));
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('witness', 'wotness'));
    expect(() => readWitnessKey(file)).toThrow(code('KEY_INVALID'));
    writeFileSync(file, text);
    chmodSync(file, 0o640);
    expect(() => readWitnessKey(file)).toThrow(code('KEY_FILE_EXPOSED'));
    expect(() => readWitnessKey(`${file}.not`)).toThrow(code('KEY_MISSING'));
  });
});

/** An HTTP server that gives these answers, one after the other. */
async function pretender(...answers: [number, string, string][]): Promise<string> {
  const server = createServer((request, response) => {
    request.resume();
    const [status, type, body] = answers.shift() ?? [500, 'text/plain', ''];
    response.writeHead(status, { 'Content-Type': type, Location: '/elsewhere' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('a log that asks', () => {
  const log = new SignedLog('log.example/a').grow(20);
  const submission = (of: SignedLog, size: number, from: number) => ({
    note: of.note(size),
    from,
    consistency: (old: number, to: number) => of.consistency(old, to),
  });

  test('is cosigned from whatever size the witness has', async () => {
    const witness = await witnessFor([log.vkey]);
    for (const [from, size] of [
      [0, 4],
      [0, 9],
      [20, 12],
      [9, 20],
    ] as const) {
      const result = await submitCheckpoint(witness, submission(log, size, from), {
        timeoutMs: 5000,
      });
      expect(result).toMatchObject({ outcome: 'cosigned', signatures: [{ time: 1_800_000_000 }] });
    }
  });

  test('is told when the witness has more, or another log', async () => {
    const witness = await witnessFor([log.vkey]);
    await submitCheckpoint(witness, submission(log, 12, 0), { timeoutMs: 5000 });
    expect(await submitCheckpoint(witness, submission(log, 8, 0), { timeoutMs: 5000 })).toEqual({
      outcome: 'ahead',
      size: 12,
    });
    const fork = new SignedLog('log.example/a').grow(8).grow(12, 'other');
    expect(await submitCheckpoint(witness, submission(fork, 20, 8), { timeoutMs: 5000 })).toEqual({
      outcome: 'inconsistent',
      size: 12,
    });
  });

  test('is refused by a witness that does not know it', async () => {
    const witness = await witnessFor([new SignedLog('log.example/z').vkey]);
    await expect(
      submitCheckpoint(witness, submission(log, 8, 0), { timeoutMs: 5000 }),
    ).rejects.toThrow(code('WITNESS_REFUSED'));
  });

  test.each([
    ['a failure', [[500, 'text/plain', 'no']]],
    [
      'a redirect',
      [
        [307, 'text/plain', ''],
        [422, 'text/plain', ''],
      ],
    ],
    ['a 409 without a size', [[409, 'text/x.tlog.size', 'many\n']]],
    ['a 409 of another type', [[409, 'text/plain', '3\n']]],
    ['a cosignature of nobody', [[200, 'text/plain', '— w.example AAAAAAAAAAA=\n']]],
    ['nothing', [[200, 'text/plain', '']]],
    ['an answer without end', [[200, 'text/plain', 'x'.repeat(2 << 20)]]],
  ] satisfies [string, [number, string, string][]][])(
    'takes %s for no answer',
    async (_, answers) => {
      const { vkey } = await witnessFor([log.vkey]);
      const url = await pretender(...answers);
      await expect(
        submitCheckpoint({ url, vkey }, submission(log, 8, 0), { timeoutMs: 5000 }),
      ).rejects.toThrow(code('WITNESS_UNAVAILABLE'));
    },
  );

  test('gives up on a witness that names another size each time, and on one that is silent', async () => {
    const { vkey } = await witnessFor([log.vkey]);
    const sizes = [1, 2, 3, 4, 5, 6].map((size): [number, string, string] => [
      409,
      'text/x.tlog.size',
      `${size}\n`,
    ]);
    const url = await pretender(...sizes);
    await expect(
      submitCheckpoint({ url, vkey }, submission(log, 8, 0), { timeoutMs: 5000 }),
    ).rejects.toThrow(code('WITNESS_UNAVAILABLE'));
    const silent = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    closing.push(() => (silent.closeAllConnections(), new Promise((done) => silent.close(done))));
    const port = (silent.address() as AddressInfo).port;
    const begun = Date.now();
    const asked = submitCheckpoint(
      { url: `http://127.0.0.1:${port}`, vkey },
      submission(log, 8, 0),
      { timeoutMs: 200 },
    );
    await expect(asked).rejects.toThrow(code('WITNESS_UNAVAILABLE'));
    expect(Date.now() - begun).toBeLessThan(4000);
  });

  test('believes only what the witness has signed, and knows its own', async () => {
    const witness = await witnessFor([log.vkey]);
    await submitCheckpoint(witness, submission(log, 12, 0), { timeoutMs: 5000 });
    const shown = await cosignedCheckpoint(
      witness,
      { origin: log.vkey.name, vkeys: [log.vkey] },
      { timeoutMs: 5000 },
    );
    const note = shown?.note ?? '';
    const of = async (body: string, vkeys = [log.vkey], origin = log.vkey.name) =>
      cosignedCheckpoint(
        { url: await pretender([200, 'text/plain', body]), vkey: witness.vkey },
        { origin, vkeys },
        { timeoutMs: 5000 },
      );
    expect((await of(note))?.checkpoint.size).toBe(12);
    const bad = code('WITNESS_UNAVAILABLE');
    await expect(of(log.note(20))).rejects.toThrow(bad);
    expect((await of(note))?.isOurs).toBe(true);
    expect((await of(note, [new SignedLog('log.example/a', 3).vkey]))?.isOurs).toBe(false);
    await expect(of(note.replace('\n12\n', '\n13\n'))).rejects.toThrow(bad);
    await expect(of(note, [log.vkey], 'log.example/b')).rejects.toThrow(bad);
  });
});
