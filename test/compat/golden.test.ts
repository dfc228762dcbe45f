/**
 * Databases that earlier versions wrote: every later version must open them, read all they hold, verify them and go
 * on with them. And what this version writes is what the revision's writer wrote: see make-golden.ts.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { auditDatabase } from '../../src/audit/index.ts';
import { type Position, systemTenant, type TenantId } from '../../src/base/index.ts';
import { ed25519Verify, sha256 } from '../../src/crypto/index.ts';
import { plainProvider } from '../../src/keys/index.ts';
import { decodeFrameHeader, formatRevision, segmentHeaderBytes } from '../../src/log/index.ts';
import { openNote, parseCheckpoint, parseVkey } from '../../src/proof/index.ts';
import { SimDisk } from '../../src/sim/index.ts';
import { contentsOf } from './golden-contents.ts';
import { digestsOf, type GoldenProofs, pathOf, readExpected, readImage } from './golden-file.ts';
import {
  accessTo,
  goldenQuorum,
  GoldenWorld,
  hasStore,
  type Image,
  proofsOf,
  subjectsOf,
  type Variant,
  variantNames,
  variants,
  writeGolden,
} from './golden-load.ts';

const revisions = [1];
const cases = revisions.flatMap((revision) =>
  variantNames.map((variant) => ({ revision, variant })),
);
const imageOf = (revision: number, variant: Variant): Image =>
  readImage(pathOf(revision, `${variant}.golden`));

describe.each(cases)('the database of revision $revision, $variant', ({ revision, variant }) => {
  const image = imageOf(revision, variant);
  const expected = readExpected(pathOf(revision, `${variant}.expected`));
  const access = accessTo(variant);

  test('is what its name says', () => {
    expect([...image.keys()].filter((path) => path.endsWith('.vlog')).length).toBeGreaterThan(2);
    const [algorithm, compression] = headerBytes(image).slice(6, 8);
    const { encryption, algorithm: cipher = 'aes-256-gcm', compression: packed = 'none' } =
      variants[variant] as { encryption?: 'none'; algorithm?: string; compression?: string };
    const ids = { none: 0, 'aes-256-gcm': 1, 'chacha20-poly1305': 2, brotli: 1 };
    expect([algorithm, compression]).toEqual([
      ids[(encryption ?? cipher) as keyof typeof ids],
      ids[packed as keyof typeof ids],
    ]);
    if (variant === 'rekeyed') {
      expect(new Set(secretNumbers(image))).toEqual(new Set([1, 2]));
    }
  });

  test('is verified without a finding', async () => {
    const root = access.masterKey ?? plainProvider();
    const report = await auditDatabase({ disk: SimDisk.fromImage(image), root });
    expect(report).toMatchObject({ ok: true, findings: [], chainHash: expected.chainHash });
  });

  test('yields all that it held', async () => {
    const world = new GoldenWorld(2);
    const db = await world.open(SimDisk.fromImage(image), { ...access, readOnly: true });
    expect(await contentsOf(world, db)).toEqual(expected.contents);
    expect(db.status().chainHash).toBe(expected.chainHash);
    await world.settle(db.close());
  });

  test('goes on: a row and an event more, and all of it is there after another open', async () => {
    const world = new GoldenWorld(3);
    const disk = SimDisk.fromImage(image);
    const db = await world.open(disk, { ...access, create: false });
    const before = db.status();
    expect(before.recovery).toMatchObject({ cleanShutdown: true, cut: [] });
    const clinic = db.tenant('clinic');
    await world.settle(clinic.execute("INSERT INTO patients VALUES ('new', 2026, 'new', NULL)"));
    await world.settle(clinic.append('visits', [{ visit: 'new' }], { expectedVersion: 3 }));
    await world.settle(db.close());
    const again = await world.open(disk, { ...access, create: false });
    const { rows } = await world.settle(
      again.tenant('clinic').query("SELECT name FROM patients WHERE code = 'new'"),
    );
    expect(rows).toEqual([{ name: 'new' }]);
    expect(again.status().position).toBeGreaterThanOrEqual(before.position + 2n);
    expect(await world.settle(again.verify())).toMatchObject({ ok: true, findings: [] });
    await world.settle(again.close());
  });

  if (hasStore(variant)) {
    test('holds a store that is used, page by page, as it is', async () => {
      const root = access.masterKey ?? plainProvider();
      const report = await auditDatabase({ disk: SimDisk.fromImage(image), root });
      expect(report).toMatchObject({ ok: true, storeCompared: expect.any(Number) });
      const world = new GoldenWorld(2);
      const db = await world.open(SimDisk.fromImage(image), { ...access, create: false });
      expect(db.status().store).toMatchObject({ replayedFrames: 0 });
      expect(db.status().store.rebuilt).toBeUndefined();
      expect(await contentsOf(world, db)).toEqual(expected.contents);
      await world.settle(db.close());
    });

  }

  if (variant === 'plain-store') {
    test('holds every kind of page and cell', () => {
      const all = ['inner', 'leaf', 'row', 'deletion', 'run', 'layer'];
      expect(kindsOf(image)).toEqual(new Set(all));
    });
  }

  if (variant === 'definitions') {
    test('holds every type of event that definitions and requests make', async () => {
      const world = new GoldenWorld(2);
      const engine = await world.openEngine(SimDisk.fromImage(image), access);
      const types = new Set<string>();
      for (const command of engine.reader.commands(1 as TenantId, 1 as Position))
        for (const { event } of command.events) types.add(event.type);
      await world.settle(engine.close());
      expect([...types].toSorted()).toEqual([
        'indexFilled',
        'requestNoted',
        'rowDeleted',
        'rowInserted',
        'rowUpdated',
        'streamAppended',
        'tableDefined',
      ]);
    });
  }

  if (variant === 'proofs') {
    test('holds every type of event that proofs rest on, and a former signing key', async () => {
      const world = new GoldenWorld(2);
      const engine = await world.openEngine(SimDisk.fromImage(image), access);
      const types = new Set<string>();
      for (const command of engine.reader.commands(systemTenant, 1 as Position))
        for (const { event } of command.events) types.add(event.type);
      expect(types).toContain('checkpoint');
      expect(types).toContain('settingChanged');
      expect(types).toContain('signingKeyChanged');
      expect(engine.setting('quorum')).toBe(goldenQuorum);
      const { keyring } = engine.hierarchy;
      expect(keyring.entryNumbers('signing')).toEqual([2]);
      expect(keyring.entryNumbers('formerSigning')).toEqual([1]);
      await world.settle(engine.close());
    });

    test('shows its checkpoints, each signed by one of its keys, and goes on with them', async () => {
      const { origin, vkeys, notes } = expected.proofs as GoldenProofs;
      const disk = SimDisk.fromImage(image);
      expect(await proofsOf(new GoldenWorld(2), disk, access)).toEqual(expected.proofs);
      const keys = vkeys.map((vkey) => parseVkey(sha256, vkey));
      const signers = notes.map((note) => {
        const { text, verified } = openNote(note, keys, ed25519Verify);
        expect(parseCheckpoint(text).origin).toBe(origin);
        return verified.map(({ vkey }) => keys.indexOf(vkey));
      });
      expect(signers).toEqual([[0], [1]]);
      const world = new GoldenWorld(3);
      const db = await world.open(disk, { ...access, create: false });
      const { size } = parseCheckpoint(openNote(notes[0] as string, keys, ed25519Verify).text);
      const now = await world.settle(db.proofs.checkpoint());
      const { hashes } = await world.settle(db.proofs.consistency(size, now.size));
      expect(hashes.length).toBeGreaterThan(0);
      expect(openNote(now.note, keys.slice(1), ed25519Verify).verified).toHaveLength(1);
      await world.settle(db.close());
    });
  }

  if (variant !== 'subjects') return;

  test('keeps the keys of its data subjects, but one', async () => {
    const subjects = await subjectsOf(new GoldenWorld(2), SimDisk.fromImage(image), access);
    expect(subjects).toEqual(expected.subjects);
    const digest = expect.stringMatching(/^[0-9a-f]{64}$/);
    expect(subjects).toEqual([digest, 'SUBJECT_ERASED', digest]);
  });
});

/** Its store is as `store`, but for the state hash: tables were hashed without their salt, by keyed paths. */
describe('a store with the tries of an earlier form', () => {
  const image = readImage(pathOf(1, 'earlier-tries.golden'));
  const expected = readExpected(pathOf(1, 'earlier-tries.expected'));
  const access = accessTo('store');
  const root = access.masterKey as NonNullable<typeof access.masterKey>;

  test('is verified without a finding, and by a state hash of now', async () => {
    const report = await auditDatabase({ disk: SimDisk.fromImage(image), root });
    expect(report).toMatchObject({ ok: true, findings: [], chainHash: expected.chainHash });
    const renewed = await auditDatabase({
      disk: SimDisk.fromImage(imageOf(1, 'store')),
      root,
    });
    expect(renewed).toMatchObject({ chainHash: expected.chainHash });
    expect(report.stateHash).toEqual(renewed.stateHash);
  });

  test.each([{ readOnly: true }, { create: false }])(
    'is found out, and all of it is made from the log: %o',
    async (how) => {
      const world = new GoldenWorld(2, true);
      const disk = SimDisk.fromImage(image);
      const db = await world.open(disk, { ...access, ...how });
      // Nothing is wrong with it, so nothing is reported; but no frame of it is skipped.
      expect(db.status().store.rebuilt).toBeUndefined();
      if (how.create === false) expect(db.status().store.replayedFrames).toBeGreaterThan(20);
      expect(await contentsOf(world, db)).toEqual(expected.contents);
      const { hash } = await world.settle(db.stateHash());
      const report = await auditDatabase({ disk: SimDisk.fromImage(image), root });
      expect(hash).toBe(report.stateHash?.hash);
      await world.settle(db.close());
      if (how.create !== false) return;
      expect(await auditDatabase({ disk, root })).toMatchObject({ ok: true, findings: [] });
      const again = await world.open(disk, { ...access, create: false });
      expect(again.status().store.replayedFrames).toBe(0);
      expect(await world.settle(again.stateHash())).toMatchObject({ hash });
      await world.settle(again.close());
    },
  );
});

const cellKinds = ['row', 'deletion', 'run', 'layer'] as const;

/** Which pages and cells a plain store holds, by the bytes of docs/format/store.md. */
function kindsOf(image: Image): Set<string> {
  const found = new Set<string>();
  const bytes = image.get('store/pages') ?? new Uint8Array();
  for (let start = 4_096; start < bytes.length; start += 4_096) {
    const page = new DataView(bytes.buffer, bytes.byteOffset + start, 4_096);
    const [level, count, prefix, heap] = [0, 2, 4, 6].map((at) => page.getUint16(at, true));
    // A run's content, or a free page.
    const isPage = level! < 3 && prefix! < 512 && 16 + 8 * count! <= heap! && heap! <= 4_096;
    if (!isPage || count === 0) continue;
    found.add(level === 0 ? 'leaf' : 'inner');
    for (let index = 0; level === 0 && index < count!; index++) {
      const cell = page.getUint16(16 + 8 * index + 4, true);
      const tail = page.getUint16(16 + 8 * index + 6, true) - 4;
      const kind = cell + 2 + Math.max(0, tail) < 4_096 ? page.getUint8(cell + 2 + Math.max(0, tail)) : 9;
      const name = cellKinds[kind & 3];
      if (kind < 8 && name !== undefined) found.add(name);
    }
  }
  return found;
}

/** The first bytes of the first frame. */
function headerBytes(image: Image): Uint8Array {
  const [, bytes] = [...image].find(([path]) => path.endsWith('.vlog')) as [string, Uint8Array];
  return bytes.subarray(segmentHeaderBytes);
}

/** The secret numbers of all frames' first sections. */
function secretNumbers(image: Image): number[] {
  const numbers: number[] = [];
  for (const [path, bytes] of image) {
    if (!path.endsWith('.vlog')) continue;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let offset = segmentHeaderBytes; offset < bytes.length;) {
      const header = decodeFrameHeader(bytes, offset);
      if (typeof header === 'string') break;
      const sections = offset + header.bodyStart + header.leafCount * 34;
      numbers.push(view.getUint32(sections + 4, true));
      offset += header.frameLength;
    }
  }
  return numbers;
}

/** Files whose bytes depend on those of the log. */
const derived = /^(log\/|anchor)/;

describe('this version', () => {
  const recorded = JSON.parse(readFileSync(pathOf(formatRevision, 'writer.json'), 'utf8')) as {
    brotli: string;
    digests: Record<string, Record<string, string>>;
  };

  test.each(variantNames)('writes %s as the revision did, byte for byte', async (variant) => {
    const written = await writeGolden(variant);
    const digests = digestsOf(written);
    // Another version of Brotli may compress to other bytes.
    const bytesVary =
      'compression' in variants[variant] && process.versions['brotli'] !== recorded.brotli;
    const what =
      'The bytes that are written have changed. If their format has, it needs a new revision and golden ' +
      'databases of its own. If it has not, record the new digests: npx tsx test/compat/make-golden.ts --writer';
    const compared = (all: Record<string, string> = {}): Record<string, string> =>
      Object.fromEntries(
        Object.entries(all).filter(([path]) => !bytesVary || !derived.test(path)),
      );
    expect(compared(digests), what).toEqual(compared(recorded.digests[variant]));
  });

  test('has golden databases of its revision', () => {
    expect(revisions).toContain(formatRevision);
    expect(Object.keys(recorded.digests)).toEqual(variantNames);
  });
});
