/** Tables whose events are committed to field by field: everything that carries the log carries them, and they open as documented. */
import { createHash } from 'node:crypto';
import { beforeAll, expect, test } from 'vitest';
import {
  concatBytes,
  type Disk,
  type Position,
  type TenantId,
  toHex,
} from '../../src/base/index.ts';
import { decodeEvent } from '../../src/codec/index.ts';
import { repairOn } from '../../src/database/repairs.ts';
import { Verity } from '../../src/database/index.ts';
import { loadKeys, openEngine } from '../../src/engine/index.ts';
import {
  checkFrame,
  decodeFrameHeader,
  type EventOpening,
  isProblem,
  openSectionForReceipts,
  segmentHeaderBytes,
} from '../../src/log/index.ts';
import { memoryDisk } from '../../src/host/index.ts';
import { type DiskImage, diskOf, imageOf, readFile, withFlip } from './disk-image.ts';
import { hostOn, TestKey } from './sample-database.ts';

const masterKey = new TestKey();
const sizes = { segmentBytes: 8_192, fillBytesMin: 4_096, fillBytesMax: 4_096 };
const diagnosis = 'lengthy'.repeat(250_000);

async function open(disk: Disk, seed = 2): Promise<Verity> {
  return Verity.openOn({ ...hostOn(disk, seed), logSizes: sizes }, { masterKey });
}

/** Every event of the log with its opening, in order. */
async function openings(disk: Disk, key = masterKey): Promise<EventOpening[]> {
  const keys = await loadKeys(disk, key);
  const found: EventOpening[] = [];
  for (const name of (disk.list('log') ?? []).toSorted()) {
    const bytes = readFile(disk, `log/${name}`);
    for (let offset = segmentHeaderBytes; ;) {
      const header = decodeFrameHeader(bytes, offset);
      if (typeof header === 'string') break;
      const frame = checkFrame(bytes.subarray(offset, offset + header.frameLength), header);
      if (isProblem(frame)) throw new Error(frame.what);
      const events: EventOpening[] = [];
      for (const section of frame.sections) {
        const { tenant, secretNumber } = section;
        const sectionKey = keys.sectionKey(tenant, secretNumber, header.epochSalt);
        if (sectionKey === undefined) throw new Error('a section without a key');
        const opened = openSectionForReceipts(frame, section, sectionKey);
        if (isProblem(opened)) throw new Error(opened.what);
        events.push(...opened);
      }
      found.push(...events.toSorted((left, right) => left.leaf - right.leaf));
      offset += header.frameLength;
    }
  }
  return found;
}

const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  createHash('sha256')
    .update(concatBytes(...parts))
    .digest();
const text = (characters: string): Uint8Array => new TextEncoder().encode(characters);
const byte = (value: number): Uint8Array => Uint8Array.of(value);

/** The Merkle tree hash of RFC 6962, 2.1, as it stands there. */
function treeHash(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves;
  if (leaves.length === 1 && first !== undefined) return sha256(byte(0), first);
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return sha256(byte(1), treeHash(leaves.slice(0, half)), treeHash(leaves.slice(half)));
}

/** The commitment as docs/format/log.md says. */
function commitmentOf({ event, salt, fields }: EventOpening): Uint8Array {
  const domain = text('veritydb/commitment/v1');
  if (salt !== undefined) return sha256(domain, byte(0), salt, event);
  const leaves = (fields ?? []).map((field) =>
    sha256(text('veritydb/field/v1'), field.salt, field.bytes),
  );
  return sha256(domain, byte(1), treeHash(leaves));
}

let whole: DiskImage;
let logged: EventOpening[];

async function fill(db: Verity): Promise<void> {
  const clinic = await db.createTenant('clinic');
  await clinic.execute(
    "CREATE TABLE patient (id integer PRIMARY KEY, name text, born date, note text) WITH (disclosure = 'field')",
  );
  await clinic.execute('CREATE TABLE room (id integer PRIMARY KEY, name text)');
  await clinic.execute('CREATE INDEX ON patient (name)');
  const insert = 'INSERT INTO patient (id, name, note) VALUES ($1, $2, $3) RETURNING note';
  for (let id = 1; id <= 20; id++) {
    await clinic.execute(insert, [id, id % 3 === 0 ? null : `name ${id}`, `note ${id}`], {
      requestId: `request ${id}`,
      actor: 'eve',
      reason: 'admission',
    });
  }
  await clinic.execute("INSERT INTO room VALUES (1, 'ward'), (2, 'theatre')");
  await clinic.execute("INSERT INTO patient VALUES (21, 'large', '1970-01-01', $1)", [diagnosis]);
  await clinic.transaction(async (work) => {
    await work.execute("UPDATE room SET name = 'hall' WHERE id = 1");
    await work.execute("UPDATE patient SET note = 'changed' WHERE id < 4");
  });
  await clinic.execute('ALTER TABLE patient ADD COLUMN height smallint DEFAULT 170, ADD mood text');
  await clinic.execute("UPDATE patient SET mood = 'good' WHERE id = 5");
  await clinic.execute("INSERT INTO patient (id, mood) VALUES (30, 'fine'), (31, NULL)");
  await clinic.execute('DELETE FROM patient WHERE id = 2');
  await clinic.execute("ALTER TABLE room SET (disclosure = 'field')");
  await clinic.execute("INSERT INTO room VALUES (3, 'yard')");
  await clinic.execute('ALTER TABLE patient RESET (disclosure)');
  await clinic.execute("UPDATE patient SET mood = 'whole' WHERE id = 6");
}

const contents = async (db: Verity): Promise<unknown> => {
  const clinic = db.tenant('clinic');
  const { rows: patients } = await clinic.query(
    'SELECT id, name, note, born, height, mood FROM patient ORDER BY id',
  );
  const { rows: rooms } = await clinic.query('SELECT * FROM room ORDER BY id');
  const { rows: found } = await clinic.query("SELECT id FROM patient WHERE name = 'name 4'");
  return { patients, rooms, found };
};

let expected: unknown;

beforeAll(async () => {
  const disk = memoryDisk();
  const db = await open(disk, 1);
  await fill(db);
  expected = await contents(db);
  await db.close();
  whole = imageOf(disk);
  logged = await openings(diskOf(whole));
});

test('events of tables with disclosure have fields, all others none, and every commitment is as documented', () => {
  const kinds = new Map<string, Set<string>>();
  const definitions = new Map<string, boolean>();
  for (const opening of logged) {
    const event = decodeEvent(opening.event);
    if (event.type === 'tableDefined') {
      const schema = JSON.parse(new TextDecoder().decode(event.schema)) as {
        version: number;
        disclosure?: string;
      };
      definitions.set(`${event.object} ${schema.version}`, schema.disclosure === 'field');
    }
    const isCut = opening.fields !== undefined;
    expect(isCut).toBe(opening.salt === undefined);
    const isOfRow = 'schemaVersion' in event;
    const isToBeCut = isOfRow && definitions.get(`${event.object} ${event.schemaVersion}`) === true;
    expect(isCut).toBe(isToBeCut);
    if (isCut) {
      const joined = concatBytes(...(opening.fields ?? []).map(({ bytes }) => bytes));
      expect(toHex(joined)).toBe(toHex(opening.event));
      const salts = new Set((opening.fields ?? []).map(({ salt }) => toHex(salt)));
      expect(salts.size).toBe(opening.fields?.length);
    }
    expect(toHex(commitmentOf(opening))).toBe(toHex(opening.commitment));
    const known = kinds.get(event.type) ?? new Set();
    kinds.set(event.type, known.add(isCut ? 'fields' : 'whole'));
  }
  for (const type of ['rowInserted', 'rowUpdated'])
    expect([...(kinds.get(type) ?? [])].toSorted()).toEqual(['fields', 'whole']);
  expect([...(kinds.get('rowDeleted') ?? [])]).toEqual(['fields']);
});

test('a field holds one thing: no value of a row is in the fields that receipts always show', () => {
  const decoded = logged.flatMap(({ event, fields }) =>
    fields === undefined ? [] : [{ event: decodeEvent(event), fields }],
  );
  const inserted = decoded.find(
    ({ event }) => event.type === 'rowInserted' && event.command?.receipt !== undefined,
  );
  const texts = inserted?.fields.map(({ bytes }) => Buffer.from(bytes).toString('latin1')) ?? [];
  // Head, the command's length, the command, its receipt, table, key, the row's length, bitmap, four columns, previous leaf, blobs.
  expect(texts).toHaveLength(14);
  const holding = (word: string): number[] =>
    texts.flatMap((each, index) => (each.includes(word) ? [index] : []));
  expect([holding('note 1'), holding('name 1'), holding('admission'), holding('INSERT')]).toEqual([
    [3, 11],
    [9],
    [2],
    [2],
  ]);
  const large = decoded.find(({ event }) => 'blobs' in event);
  const digest = createHash('sha256').update(diagnosis).digest().toString('latin1');
  const places = large?.fields.flatMap(({ bytes }, index) =>
    Buffer.from(bytes).toString('latin1').includes(digest) ? [index] : [],
  );
  expect(places).toEqual([8, 10]);
});

test('a restart, a reader, a rebuild of the store and verify have the same rows', async () => {
  const disk = diskOf(whole);
  const db = await open(disk);
  expect(await contents(db)).toEqual(expected);
  const { hash } = await db.stateHash();
  await db.rebuildStore();
  expect(await db.stateHash()).toMatchObject({ hash });
  expect(await contents(db)).toEqual(expected);
  expect((await db.verify()).findings).toEqual([]);
  const reader = await Verity.openOn(hostOn(disk, 5), { masterKey, readOnly: true });
  await db.tenant('clinic').execute("INSERT INTO room VALUES (4, 'garden')");
  expect((await reader.tenant('clinic').query('SELECT name FROM room WHERE id = 3')).rows).toEqual([
    { name: 'yard' },
  ]);
  await reader.close();
  await db.close();
  // Without a store all is made from the log.
  const bare = diskOf(new Map([...whole].filter(([path]) => !path.startsWith('store/'))));
  const replayed = await open(bare);
  expect(await contents(replayed)).toEqual(expected);
  await replayed.close();
});

test('a copy has the same openings, and so has what was rekeyed', async () => {
  const disk = diskOf(whole);
  const db = await open(disk);
  const target = memoryDisk();
  await db.copyOnto(target);
  const copied = await openings(target);
  expect(copied.slice(0, logged.length)).toEqual(logged);
  const later = new TestKey('another');
  await db.keys.rotate({ masterKey: later });
  expect(await db.keys.rekey()).toMatchObject({ secretsRemoved: expect.any(Number) as number });
  expect((await db.verify()).findings).toEqual([]);
  expect(await contents(db)).toEqual(expected);
  await db.close();
  expect((await openings(disk, later)).slice(0, logged.length)).toEqual(logged);
});

test('a flipped byte of such an event is damage, and a repair from a copy makes it good', async () => {
  const path = [...whole.keys()].filter((each) => each.endsWith('.vlog')).toSorted()[0] as string;
  const damaged = withFlip(whole, path, 6_000, 4);
  const disk = diskOf(damaged);
  const report = await repairOn({ ...hostOn(disk, 3), logSizes: sizes }, hostOn(diskOf(whole)), {
    masterKey,
    from: 'copy',
  });
  expect(report).toMatchObject({ ok: true, verification: { findings: [] } });
  expect(await openings(disk)).toEqual(logged);
});

test('the opened events that receipts are made of are those of the position', async () => {
  const disk = diskOf(whole);
  const engine = await openEngine(hostOn(disk), {
    provider: masterKey,
    mode: 'follower',
    create: false,
  });
  const tenant = 1 as TenantId;
  const all = [...engine.opened.between(tenant, 1 as Position, engine.committedPosition)].flat();
  const ofTenant = logged.filter((each) => each.tenant === tenant);
  expect(all.map(({ bytes, fields }) => [toHex(bytes), fields?.length])).toEqual(
    ofTenant.map(({ event, fields }) => [toHex(event), fields?.length]),
  );
  await engine.close();
});
