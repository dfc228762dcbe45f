/** Rotating keys and rekeying data: what old keys open afterwards, what stays the same, and what is refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { type Disk, type DiskFile, type TenantId, VerityError } from '../../src/base/index.ts';
import { SecretKey } from '../../src/crypto/index.ts';
import { keys, type MasterKeyProvider, Verity } from '../../src/database/index.ts';
import {
  anchorKey,
  emptyAnchor,
  type Engine,
  type KeyHierarchy,
  lastingKey,
  loadKeys,
  openEngine,
  writeNewAnchor,
} from '../../src/engine/index.ts';
import { memoryDisk } from '../../src/host/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';
import {
  checkFrame,
  decodeFrameHeader,
  isProblem,
  openFrame,
  segmentHeaderBytes,
} from '../../src/log/index.ts';
import { logicalFrames } from '../crash/logical-frames.ts';
import { diskOf, imageOf, readFile } from './disk-image.ts';
import { hostOn } from './sample-database.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-rotation-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const held = (fill: number): MasterKeyProvider =>
  new HeldKeyProvider('held', 'held', () => new SecretKey(new Uint8Array(32).fill(fill)));
const logSizes = { segmentBytes: 4_096, fillBytesMin: 1_024, fillBytesMax: 4_096 };

interface Sample {
  readonly disk: Disk;
  readonly db: Verity;
  readonly open: (masterKey: MasterKeyProvider, readOnly?: boolean) => Promise<Verity>;
}

async function sample(masterKey = held(1)): Promise<Sample> {
  const disk = memoryDisk();
  const open = (key: MasterKeyProvider, readOnly = false): Promise<Verity> =>
    Verity.openOn({ ...hostOn(disk), logSizes }, { masterKey: key, readOnly });
  const db = await open(masterKey);
  for (const name of ['acme', 'zeta']) {
    const tenant = await db.createTenant(name);
    await tenant.execute('CREATE TABLE t (id integer PRIMARY KEY, v text)');
  }
  await insert(db, 0, 20);
  return { disk, db, open };
}

async function insert(db: Verity, from: number, to: number): Promise<void> {
  for (let id = from; id < to; id++) {
    for (const name of ['acme', 'zeta']) {
      await db.tenant(name).execute("INSERT INTO t VALUES ($1, 'a row of some length')", [id]);
    }
  }
}

async function rowCount(db: Verity): Promise<number> {
  const { rows } = await db.tenant('acme').query('SELECT id FROM t');
  return rows.length;
}

/** How many sections of the log someone with these keys opens, and how many not. */
function opened(
  disk: Disk,
  hierarchy: KeyHierarchy,
): { readonly yes: number; readonly no: number } {
  const counts = { yes: 0, no: 0 };
  for (const name of disk.list('log') ?? []) {
    const bytes = readFile(disk, `log/${name}`);
    for (let offset = segmentHeaderBytes; ;) {
      const header = decodeFrameHeader(bytes, offset);
      if (typeof header === 'string') break;
      const frame = checkFrame(bytes.subarray(offset, offset + header.frameLength), header);
      if (isProblem(frame)) throw new Error(frame.what);
      for (const section of frame.sections) {
        const key = hierarchy.sectionKey(section.tenant, section.secretNumber, header.epochSalt);
        const isOpen =
          key !== undefined &&
          !isProblem(openFrame(frame, (each) => (each === section ? key : undefined)));
        counts[isOpen ? 'yes' : 'no'] += 1;
      }
      offset += header.frameLength;
    }
  }
  return counts;
}

test('the old key and the old keyring open what was written before, nothing after, and nothing once it is rekeyed', async () => {
  const { disk, db, open } = await sample();
  const before = diskOf(imageOf(disk));
  const oldKeys = await loadKeys(before, held(1));
  const sections = opened(disk, oldKeys);
  expect(sections.no).toBe(0);
  await db.keys.rotate({ masterKey: held(2) });
  await insert(db, 20, 25);
  const rotated = opened(disk, oldKeys);
  expect(rotated.yes).toBe(sections.yes);
  expect(rotated.no).toBeGreaterThanOrEqual(10);
  expect(await db.keys.rekey()).toMatchObject({ secretsRemoved: 3 });
  const rekeyed = opened(disk, oldKeys);
  expect(rekeyed.yes).toBe(0);
  // Nor does the old root key open anything in the new keyring.
  await db.close();
  const newKeyring = (await loadKeys(disk, held(2))).keyring;
  for (const tenant of newKeyring.contents.tenants.keys()) {
    for (const number of newKeyring.secretNumbers(tenant)) {
      expect(newKeyring.epochSecret(tenant, number, oldKeys.root)).toBeUndefined();
    }
  }
  await expect(open(held(1))).rejects.toMatchObject({ code: 'WRONG_KEY' });
  const again = await open(held(2));
  expect(await rowCount(again)).toBe(25);
  await again.close();
});

test('rotation rewrites no byte of the log; rekeying changes no logical header, commitment or chain hash', async () => {
  const { disk, db } = await sample();
  const before = imageOf(disk);
  await db.keys.rotate({ masterKey: held(2) });
  for (const [path, bytes] of before) {
    if (!path.startsWith('log/')) continue;
    const now = readFile(disk, path);
    // The tail has grown; all that was there is as it was.
    const written = bytes.subarray(0, bytes.findLastIndex((byte) => byte !== 0) + 1);
    expect(Buffer.compare(now.subarray(0, written.length), written)).toBe(0);
  }
  await insert(db, 20, 22);
  const logical = logicalFrames(disk);
  const chainHash = db.status().chainHash;
  await db.keys.rekey();
  expect(logicalFrames(disk).slice(0, logical.length)).toEqual(logical);
  expect(logical.some((frame) => frame.endsWith(chainHash))).toBe(true);
  const report = await db.verify();
  expect(report.findings).toEqual([]);
  expect(await db.keys.rekey()).toEqual({
    segments: 0,
    bytes: 0,
    blobs: 0,
    secretsRemoved: 0,
  });
  await db.close();
});

test('while it is rekeyed the database takes writes, answers reads, and verifies', async () => {
  const { db } = await sample();
  await db.keys.rotate({ masterKey: held(2) });
  const changes = db.tenant('acme').changes({ from: 1n });
  const seen = [await changes.next()];
  const progress: number[] = [];
  const rekeying = db.keys.rekey({
    bytesPerSecond: 100_000,
    onProgress: ({ bytesDone }) => progress.push(bytesDone),
  });
  await expect(db.keys.rekey()).rejects.toMatchObject({ code: 'REKEY_RUNNING' });
  const [report] = await Promise.all([db.verify(), insert(db, 20, 40)]);
  expect(report.findings).toEqual([]);
  const done = await rekeying;
  expect(done.segments).toBeGreaterThan(1);
  expect(progress.length).toBeGreaterThanOrEqual(done.segments);
  // A reader that began before goes on although the file that it has open was replaced and its secret is gone.
  while (seen.length < 41) seen.push(await changes.next());
  expect(seen.every(({ done: isDone }) => isDone !== true)).toBe(true);
  await changes.return?.(undefined as never);
  expect(await rowCount(db)).toBe(40);
  await db.close();
});

test('rekeying stops when it is told to, and goes on where it stopped', async () => {
  const { db, open } = await sample();
  await db.keys.rotate({ masterKey: held(2) });
  const controller = new AbortController();
  const stopped = db.keys.rekey({
    bytesPerSecond: 50_000,
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
  expect(db.keys.list().rekeyDue).toBe(true);
  expect((await db.verify()).findings).toEqual([]);
  await db.close();
  const again = await open(held(2));
  expect((await again.keys.rekey()).secretsRemoved).toBe(3);
  expect((await again.verify()).findings).toEqual([]);
  await again.close();
});

test('however often rekeying fails before a new file is in its place, the log records the file that is there', async () => {
  const { disk, db } = await sample();
  await db.close();
  let fails = true;
  const failing: Disk = new Proxy(disk, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      if (name !== 'rename') return value.bind(target);
      return (from: string, to: string) => {
        if (fails && from.endsWith('.vlog.tmp')) throw new VerityError('IO_ERROR', 'not now');
        target.rename(from, to);
      };
    },
  });
  const host = { ...hostOn(failing), logSizes };
  const again = await Verity.openOn(host, { masterKey: held(1) });
  await again.keys.rotate({ masterKey: held(2) });
  for (let times = 0; times < 3; times++) {
    await expect(again.keys.rekey()).rejects.toMatchObject({ code: 'IO_ERROR' });
    expect((await again.verify()).findings).toEqual([]);
    expect((disk.list('log') ?? []).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  }
  fails = false;
  await again.keys.rekey();
  expect((await again.verify()).findings).toEqual([]);
  await again.close();
});

test('a new file that is not on the disk as it was written does not take the place of the old one', async () => {
  const { disk, db } = await sample();
  await db.close();
  const altering = (file: DiskFile): DiskFile =>
    new Proxy(file, {
      get(target, name) {
        const value = Reflect.get(target, name, target) as unknown;
        if (typeof value !== 'function') return value;
        if (name !== 'write') return value.bind(target);
        return (bytes: Uint8Array, offset: number) => {
          const other = bytes.slice();
          other[other.length >> 1] = (other[other.length >> 1] as number) ^ 1;
          target.write(other, offset);
        };
      },
    });
  const failing: Disk = new Proxy(disk, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      if (name !== 'open') return value.bind(target);
      return (path: string, mode: 'create' | 'readwrite' | 'read') => {
        const file = target.open(path, mode);
        return path.endsWith('.vlog.tmp') && mode === 'create' ? altering(file) : file;
      };
    },
  });
  const again = await Verity.openOn({ ...hostOn(failing), logSizes }, { masterKey: held(1) });
  await again.keys.rotate({ masterKey: held(2) });
  await expect(again.keys.rekey()).rejects.toThrow(/in log\/0+1\.vlog\.tmp at byte/);
  expect((await again.verify()).findings).toEqual([]);
  expect(again.keys.list().rekeyDue).toBe(true);
  await again.close();
});

test('who has the old keys cannot move the anchor of after a rotation back', async () => {
  const { disk, db } = await sample();
  const stolen = await loadKeys(diskOf(imageOf(disk)), held(1));
  await db.keys.rotate({ masterKey: held(2) });
  await insert(db, 20, 22);
  await db.close();
  const { keyring } = await loadKeys(disk, held(2));
  expect(keyring.entryNumbers('anchor')).toHaveLength(1);
  const logId = keyring.logId;
  writeNewAnchor(disk, emptyAnchor(logId), { logId, key: anchorKey(stolen) });
  await expect(
    Verity.openOn({ ...hostOn(disk), logSizes }, { masterKey: held(2) }),
  ).rejects.toMatchObject({ code: 'AUTHENTICATION_FAILED', details: { file: 'anchor' } });
});

test("a tenant's rotation starts a new secret of that tenant alone", async () => {
  const { disk, db, open } = await sample();
  const oldKeys = await loadKeys(diskOf(imageOf(disk)), held(1));
  await db.keys.rotate({ tenant: 'acme' });
  expect(db.keys.list().tenants).toEqual([
    { tenant: undefined, secrets: [1] },
    { tenant: 'acme', secrets: [1, 2] },
    { tenant: 'zeta', secrets: [1] },
  ]);
  const before = opened(disk, oldKeys);
  await insert(db, 20, 23);
  const after = opened(disk, oldKeys);
  expect(after.no - before.no).toBe(3);
  await db.close();
  const again = await open(held(1));
  expect(await rowCount(again)).toBe(23);
  await again.keys.rekey();
  expect(again.keys.list().tenants[1]).toEqual({ tenant: 'acme', secrets: [2] });
  await again.close();
});

test('a follower notices the new keyring, with the key that opens it; with another it says so', async () => {
  const { db, open } = await sample();
  let fill = 1;
  const current = new HeldKeyProvider('held', 'held', () => {
    return new SecretKey(new Uint8Array(32).fill(fill));
  });
  const follower = await open(current, true);
  const left = await open(held(1), true);
  await db.keys.rotate({ masterKey: held(2) });
  fill = 2;
  await insert(db, 20, 30);
  await db.keys.rekey();
  await vi.waitFor(async () => expect(await rowCount(follower)).toBe(30));
  expect(follower.keys.list()).toMatchObject({ generation: db.keys.list().generation });
  const changes = follower.tenant('acme').changes({ from: 1n });
  for (let read = 0; read < 31; read++) expect((await changes.next()).done).not.toBe(true);
  await changes.return?.(undefined as never);
  await vi.waitFor(() =>
    expect(() => left.status()).toThrow(expect.objectContaining({ code: 'WRONG_KEY' })),
  );
  await expect(follower.keys.rotate({ tenant: 'acme' })).rejects.toMatchObject({
    code: 'READ_ONLY',
  });
  await expect(follower.keys.rekey()).rejects.toMatchObject({ code: 'READ_ONLY' });
  for (const each of [follower, left, db]) await each.close();
});

test('recovery codes open the database after any number of rotations, until they are removed', async () => {
  const { db, open } = await sample();
  const codes = [await db.addRecoveryCode(), await db.addRecoveryCode()];
  await db.keys.rotate({ masterKey: held(2) });
  await db.keys.rotate({ masterKey: held(3) });
  await db.close();
  for (const code of codes) {
    const byCode = await open(keys.fromRecoveryCode(code));
    expect(await rowCount(byCode)).toBe(20);
    await byCode.close();
  }
  // The master key is lost: the code gives the database another.
  const rescued = await open(keys.fromRecoveryCode(codes[0] as string));
  await rescued.keys.rotate({ masterKey: held(4), recoveryCodes: 'remove' });
  expect(rescued.keys.list().slots.map(({ kind }) => kind)).toEqual(['held']);
  await rescued.close();
  for (const refused of [held(3), ...codes.map((code) => keys.fromRecoveryCode(code))]) {
    await expect(open(refused)).rejects.toMatchObject({ code: 'WRONG_KEY' });
  }
  await (await open(held(4))).close();
});

test('a key file renews itself: the new key is in the file, the old one opens nothing', async () => {
  const path = join(folder, 'renewed.key');
  await keys.generateFile(path);
  const { db, open } = await sample(keys.fromFile(path));
  const old = readFileSync(path);
  await db.keys.rotate();
  await insert(db, 20, 22);
  await db.close();
  expect(readFileSync(path).equals(old)).toBe(false);
  const again = await open(keys.fromFile(path));
  expect(await rowCount(again)).toBe(22);
  expect(again.keys.list().slots).toHaveLength(1);
  await again.close();
  writeFileSync(join(folder, 'old.key'), old, { mode: 0o600 });
  await expect(open(keys.fromFile(join(folder, 'old.key')))).rejects.toMatchObject({
    code: 'WRONG_KEY',
  });
});

test('when a new key cannot be put in its place, whichever key is there opens the database', async () => {
  const path = join(folder, 'stays.key');
  await keys.generateFile(path);
  const file = keys.fromFile(path);
  const broken: MasterKeyProvider = {
    kind: 'broken',
    wrap: (root, binding) => file.wrap(root, binding),
    unwrap: (slots, binding) => file.unwrap(slots, binding),
    describe: () => file.describe(),
    rotate: async (root, binding) => ({
      ...(await file.rotate(root, binding)),
      activate: () => Promise.reject(new Error('no room')),
    }),
  };
  const { db, open } = await sample(broken);
  await expect(db.keys.rotate()).rejects.toThrow('no room');
  expect(db.keys.list().slots).toHaveLength(2);
  await db.close();
  const again = await open(file);
  expect(await rowCount(again)).toBe(20);
  await again.keys.rotate();
  expect(again.keys.list().slots).toHaveLength(1);
  await again.close();
  await (await open(file)).close();
});

test('a provider that does not open what it wrapped does not become the only way in', async () => {
  const { db, open } = await sample();
  const liar: MasterKeyProvider = { ...asObject(held(2)), unwrap: async () => undefined };
  await expect(db.keys.rotate({ masterKey: liar })).rejects.toMatchObject({ code: 'KEY_INVALID' });
  await db.close();
  await (await open(held(1))).close();
});

function asObject(provider: MasterKeyProvider): MasterKeyProvider {
  return {
    kind: provider.kind,
    wrap: (root, binding) => provider.wrap(root, binding),
    unwrap: (slots, binding) => provider.unwrap(slots, binding),
    describe: () => provider.describe(),
    rotate: (root, binding) => provider.rotate(root, binding),
  };
}

test('what outlives the root key is the same after a rotation, and so is the signing key', async () => {
  const { disk, db } = await sample();
  const lasting = async (key: MasterKeyProvider): Promise<Uint8Array> => {
    const { keyring, root } = await loadKeys(disk, key);
    return lastingKey(keyring, root).expose().slice();
  };
  const before = [await lasting(held(1)), db.keys.exportPublic()];
  await db.keys.rotate({ masterKey: held(2) });
  expect([await lasting(held(2)), db.keys.exportPublic()]).toEqual(before);
  const { publicKey, pem, name, algorithm } = db.keys.exportPublic();
  expect(Buffer.from(publicKey, 'base64')).toHaveLength(32);
  expect(pem).toMatch(/^-----BEGIN PUBLIC KEY-----\n[\s\S]+\n-----END PUBLIC KEY-----\n$/);
  expect([name, algorithm]).toEqual([`veritydb/${db.status().logId}`, 'ed25519']);
  await db.close();
});

test.each([
  [{ masterKey: 'secret' as never }, 'KEY_INVALID'],
  [{ tenant: 'nobody' }, 'UNKNOWN_TENANT'],
  [{ tenant: 7 as never }, 'INVALID_ARGUMENT'],
  [{ tenant: 'acme', masterKey: held(2) }, 'INVALID_ARGUMENT'],
  [{ recoveryCodes: 'burn' as never }, 'INVALID_ARGUMENT'],
  [{}, 'KEY_ROTATION_UNSUPPORTED'],
])('rotate(%o) is refused with %s and changes nothing', async (options, code) => {
  const { disk, db } = await sample();
  const keyring = readFile(disk, 'keyring');
  await expect(db.keys.rotate(options)).rejects.toMatchObject({ code });
  expect(readFile(disk, 'keyring')).toEqual(keyring);
  for (const bytesPerSecond of [0, -1, Number.NaN, 'fast' as never]) {
    await expect(db.keys.rekey({ bytesPerSecond })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  }
  await db.close();
  expect(() => db.keys.list()).toThrow(expect.objectContaining({ code: 'CLOSED' }));
  await expect(db.keys.rotate({ tenant: 'acme' })).rejects.toMatchObject({ code: 'CLOSED' });
});

test('a key cache of one key is slower and nothing else; bounds out of range are refused', async () => {
  const { disk, db } = await sample();
  await db.close();
  const open = (keyCache: object): Promise<Verity> =>
    Verity.openOn({ ...hostOn(disk), logSizes }, { masterKey: held(1), keyCache });
  const small = await open({ maxKeys: 1, maxAgeMs: 1 });
  await insert(small, 20, 25);
  expect(await rowCount(small)).toBe(25);
  expect((await small.verify()).findings).toEqual([]);
  await small.close();
  for (const bounds of [{ maxKeys: 0 }, { maxAgeMs: 0.5 }, { maxKeys: 2 ** 40 }, { maxAgeMs: '1' }])
    await expect(open(bounds)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('subject keys are the same after a rotation and a rekeying, under the newest secret', async () => {
  const { disk, db } = await sample();
  await db.close();
  const engineOn = (masterKey: MasterKeyProvider): Promise<Engine> =>
    openEngine(hostOn(disk), { provider: masterKey, mode: 'owner', create: false });
  const engine = await engineOn(held(1));
  const tenant = 1 as TenantId;
  const first = await engine.subjects.create(tenant, 3);
  await engine.subjects.erase(tenant, [first + 1]);
  const before = [first, first + 2].map((number) => engine.subjects.key(tenant, number).expose());
  await engine.renewTenant(tenant);
  await engine.rekey({});
  expect(engine.hierarchy.keyring.secretNumbers(tenant)).toEqual([2]);
  await engine.close();
  const again = await engineOn(held(1));
  expect([first, first + 2].map((number) => again.subjects.key(tenant, number).expose())).toEqual(
    before,
  );
  expect(() => again.subjects.key(tenant, first + 1)).toThrow(
    expect.objectContaining({ code: 'SUBJECT_ERASED' }),
  );
  await again.close();
});

test('a database in plain mode has no keys to rotate', async () => {
  const db = await Verity.openOn(hostOn(memoryDisk()), {
    encryption: 'none',
    onWarning: () => undefined,
  });
  await expect(db.keys.rotate({ masterKey: held(1) })).rejects.toMatchObject({
    code: 'NOT_ENCRYPTED',
  });
  await expect(db.keys.rekey()).rejects.toMatchObject({ code: 'NOT_ENCRYPTED' });
  await db.close();
});
