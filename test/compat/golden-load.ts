/**
 * What the golden databases hold. Everything is decided here – keys, random bytes, time – so that the same code
 * writes the same bytes. Never change what a variant of a released revision does: add another variant.
 */
import {
  assert,
  type Disk,
  Prng,
  type TenantId,
  toHex,
  type VerityError,
} from '../../src/base/index.ts';
import { SecretKey, sha256 } from '../../src/crypto/index.ts';
import { type OpenOptions, type TenantHandle, Verity } from '../../src/database/index.ts';
import { type Engine, type EngineHost, openEngine } from '../../src/engine/index.ts';
import { HeldKeyProvider } from '../../src/keys/index.ts';
import { SimClock, SimDisk, SimScheduler } from '../../src/sim/index.ts';
import type { GoldenProofs } from './golden-file.ts';

export type Image = ReadonlyMap<string, Uint8Array>;

/** The variants of revision 1. */
export const variants = {
  'aes-256-gcm': {},
  'chacha20-poly1305': { algorithm: 'chacha20-poly1305' },
  brotli: { compression: 'brotli' },
  plain: { encryption: 'none' },
  'plain-brotli': { encryption: 'none', compression: 'brotli' },
  rekeyed: {},
  subjects: {},
  definitions: {},
  store: {},
  'plain-store': { encryption: 'none' },
  proofs: { origin: 'clinic.example/records' },
} as const satisfies Record<string, OpenOptions>;
export type Variant = keyof typeof variants;
export const variantNames = Object.keys(variants) as Variant[];

/** Whether the database's store is part of it: its last close wrote a checkpoint. */
export const hasStore = (variant: Variant): boolean => variant.endsWith('store');

/** Small, so that there are several segments. */
const logSizes = { segmentBytes: 6_000, fillBytesMin: 1_024, fillBytesMax: 2_048 };

/** However small the log is, a close writes a checkpoint. */
const checkpoints = { logBytesMin: 0 };

class GoldenKey extends HeldKeyProvider {
  constructor() {
    super('golden', 'golden', () => new SecretKey(new Uint8Array(32).fill(0x5a)));
  }
}

/** What opens a variant; its suite is found in the files. */
export function accessTo(variant: Variant): OpenOptions {
  const onWarning = (): void => undefined;
  return 'encryption' in variants[variant]
    ? { encryption: 'none', onWarning }
    : { masterKey: new GoldenKey() };
}

/** A world whose clock and random numbers are its own. Time goes on by a millisecond at each look. */
export class GoldenWorld {
  readonly clock = new SimClock(undefined, 1_000);
  readonly scheduler = new SimScheduler(this.clock);
  readonly #seed: number;
  readonly #writesStore: boolean;

  constructor(seed: number, writesStore = false) {
    this.#seed = seed;
    this.#writesStore = writesStore;
  }

  open(disk: Disk, options: OpenOptions): Promise<Verity> {
    const host = this.#hostOn(disk);
    return this.settle(Verity.openOn(host, { timestamps: 'microseconds', ...options }));
  }

  /** As `open`, for what the SDK does not show: the keys of data subjects. */
  openEngine(disk: Disk, { masterKey: provider }: OpenOptions): Promise<Engine> {
    assert(provider !== undefined, 'subjects have keys in sealed databases');
    return this.settle(openEngine(this.#hostOn(disk), { provider, mode: 'owner', create: false }));
  }

  #hostOn(disk: Disk): EngineHost {
    const { clock, scheduler } = this;
    const host = { disk, clock, scheduler, entropy: new Prng(this.#seed), logSizes };
    return this.#writesStore ? { ...host, checkpoints } : host;
  }

  settle<T>(promise: Promise<T>): Promise<T> {
    return this.scheduler.settle(promise);
  }
}

/** The files of a variant, written by this version. */
export async function writeGolden(variant: Variant): Promise<Image> {
  const world = new GoldenWorld(1, hasStore(variant));
  const disk = new SimDisk();
  const db = await world.open(disk, { ...accessTo(variant), ...variants[variant] });
  const step = <T>(promise: Promise<T>): Promise<T> => world.settle(promise);
  await fillClinic(await step(db.createTenant('clinic')), step);
  if (variant === 'rekeyed') await step(db.keys.rotate({ tenant: 'clinic' }));
  await fillLab(await step(db.createTenant('Labor Zürich')), step);
  if (variant === 'definitions') await changeDefinitions(db.tenant('clinic'), step);
  if (hasStore(variant)) await fillPages(db.tenant('clinic'), step);
  if (variant === 'rekeyed') {
    await step(db.keys.rekey());
    await step(db.keys.rotate({ tenant: 'Labor Zürich' }));
    await step(db.tenant('Labor Zürich').append('runs', [{ after: 'rotation' }]));
  }
  if (variant === 'proofs') await addCheckpoints(db, step);
  await step(db.close());
  if (variant === 'proofs') await setQuorum(world, disk, accessTo(variant));
  if (variant === 'subjects') await addSubjects(world, disk, accessTo(variant));
  return disk.image();
}

/** Checkpoints under two signing keys, and a table whose events are committed to field by field. */
async function addCheckpoints(db: Verity, step: Step): Promise<void> {
  const clinic = db.tenant('clinic');
  await step(
    clinic.execute(
      "CREATE TABLE findings (id integer PRIMARY KEY, name text, note text) WITH (disclosure = 'field')",
    ),
  );
  await step(clinic.execute("INSERT INTO findings VALUES (1, 'anna', 'well'), (2, 'bert', NULL)"));
  await step(db.proofs.checkpoint());
  await step(db.keys.rotateSigningKey());
  await step(clinic.execute("UPDATE findings SET note = 'ill' WHERE id = 2"));
  await step(clinic.execute('DELETE FROM findings WHERE id = 1'));
  await step(db.proofs.checkpoint());
}

/** A setting, which the SDK does not show as such. */
async function setQuorum(world: GoldenWorld, disk: Disk, access: OpenOptions): Promise<void> {
  const engine = await world.openEngine(disk, access);
  await world.settle(engine.changeSetting('quorum', goldenQuorum));
  await world.settle(engine.close());
}

export const goldenQuorum = 0;

/** What proves the log of `proofs`: its name, its keys and its checkpoints. */
export async function proofsOf(
  world: GoldenWorld,
  disk: Disk,
  access: OpenOptions,
): Promise<GoldenProofs> {
  const db = await world.open(disk, { ...access, readOnly: true });
  const { origin } = db.proofs;
  const notes = db.proofs.list().map(({ note }) => note);
  const vkeys = db.proofs.vkeys();
  await world.settle(db.close());
  return { origin, vkeys, notes };
}

const clinicId = 1 as TenantId;
const subjectCount = 3;
const erasedSubject = 1;

/** Keys for three data subjects of the clinic, of which one is destroyed. */
async function addSubjects(world: GoldenWorld, disk: Disk, access: OpenOptions): Promise<void> {
  const engine = await world.openEngine(disk, access);
  await world.settle(engine.subjects.create(clinicId, subjectCount));
  await world.settle(engine.subjects.erase(clinicId, [erasedSubject]));
  await world.settle(engine.close());
}

/** SHA-256 of each subject's key, or why there is none. */
export async function subjectsOf(
  world: GoldenWorld,
  disk: Disk,
  access: OpenOptions,
): Promise<string[]> {
  const engine = await world.openEngine(disk, access);
  const keys = Array.from({ length: subjectCount }, (_, number) => {
    try {
      return toHex(sha256(engine.subjects.key(clinicId, number).expose()));
    } catch (error) {
      return (error as VerityError).code;
    }
  });
  await world.settle(engine.close());
  return keys;
}

type Step = <T>(promise: Promise<T>) => Promise<T>;

const types = `id integer PRIMARY KEY, s smallint, b bigint, r real, d double precision, n numeric,
  m numeric(12,2), t text, v varchar(5), f boolean, x bytea, day date, ts timestamp, tz timestamptz, u uuid, j jsonb`;
const rows = [
  `(1, 1, 2, 1.5, 0.1, 123456789012345678901234567890.10, 12.5, 'Zoë 🦉', 'abc', true, '\\x00ff', '2026-11-22',
    '2026-11-22 10:00:00.123456', '2026-11-22 10:00:00+02', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"b": [1, null], "a": "x"}')`,
  `(2, -32768, -9223372036854775808, -1e-30, 'Infinity', -0.001, -99.99, '', '', false, '', '0044-03-15 BC',
    'infinity', '-infinity', '00000000-0000-0000-0000-000000000000', '"text"')`,
  `(3, 32767, 9223372036854775807, 3.4e38, 'NaN', 0, 0, 'line
break', '€uro!', true, '\\xdeadbeef', 'infinity', '1970-01-01 00:00:00.000001', '9999-12-31 23:59:59.999999+00',
    'ffffffff-ffff-ffff-ffff-ffffffffffff', '[]')`,
  `(4, ${Array.from({ length: 15 }, () => 'NULL').join(', ')})`,
];

async function fillClinic(clinic: TenantHandle, step: Step): Promise<void> {
  let request = 0;
  const who = () => {
    request += 1;
    return { actor: 'Dr. Ångström', reason: 'intake', requestId: `request ${request}` };
  };
  await step(clinic.execute(`CREATE TABLE types (${types})`, [], who()));
  for (const row of rows) await step(clinic.execute(`INSERT INTO types VALUES ${row}`, [], who()));
  await step(
    clinic.execute(`CREATE TABLE patients (
      code text NOT NULL, year integer NOT NULL CHECK (year > 1900), name text UNIQUE, note text, PRIMARY KEY (year, code))`),
  );
  for (let first = 0; first < 60; first += 20) {
    const values = Array.from({ length: 20 }, (_, index) => {
      const id = first + index;
      return `('p${id}', ${1950 + (id % 30)}, 'patient ${id}', 'came with a cough and left with a prescription')`;
    });
    await step(clinic.execute(`INSERT INTO patients VALUES ${values.join(', ')}`, []));
  }
  await step(clinic.execute("UPDATE patients SET note = 'well' WHERE year < 1955", [], who()));
  await step(clinic.execute('DELETE FROM patients WHERE year = 1979'));
  await step(
    clinic.execute("INSERT INTO patients VALUES ('p29', 1979, 'patient 29', $1)", ['again']),
  );
  await step(clinic.append('visits', [{ visit: 1 }, { visit: 2, notes: ['fine', null] }], who()));
  await step(clinic.append('visits', ['a text'], { expectedVersion: 2 }));
}

async function fillLab(lab: TenantHandle, step: Step): Promise<void> {
  await step(lab.execute('CREATE TABLE results (sample text, value numeric(8,3))'));
  await step(
    lab.transaction(async (tx) => {
      await tx.execute("INSERT INTO results VALUES ('s1', 1.25), ('s2', NULL)");
      await tx.execute("UPDATE results SET value = 2 WHERE sample = 's2'");
    }),
  );
  // Records of more than a segment, so that the log rolls in the middle of them.
  for (let round = 1; round <= 6; round++) {
    const text = `${round} measured and measured again; `.repeat(40);
    await step(lab.append('runs', [{ round, text }]));
  }
}

/** Definitions that change under rows, an index that is built over rows, views, and requests that change nothing. */
async function changeDefinitions(clinic: TenantHandle, step: Step): Promise<void> {
  const run = (sql: string, requestId?: string): Promise<unknown> =>
    step(clinic.execute(sql, [], requestId === undefined ? {} : { requestId }));
  await run(
    'CREATE TABLE wards (id integer PRIMARY KEY, name text NOT NULL, beds integer DEFAULT 4, old text)',
  );
  await run(`INSERT INTO wards VALUES (1, 'north', 10, 'x'), (2, 'south', 12, 'y'), (3, 'west', NULL, NULL)`);
  await run('CREATE TABLE stays (id integer PRIMARY KEY, ward integer REFERENCES wards (id), days integer)');
  const stays = Array.from({ length: 300 }, (_, id) => `(${id}, ${(id % 3) + 1}, ${id % 40})`);
  await run(`INSERT INTO stays VALUES ${stays.join(', ')}`);
  await run('CREATE INDEX stays_by_days ON stays (days DESC, ward)');
  await run('CREATE INDEX gone ON stays (ward)');
  await run('DROP INDEX gone');
  await run("ALTER TABLE wards ADD COLUMN floor integer DEFAULT 2");
  await run('ALTER TABLE wards DROP COLUMN old');
  await run('ALTER TABLE wards RENAME COLUMN beds TO places');
  await run('ALTER TABLE wards ADD CONSTRAINT some_places CHECK (places > 0)');
  await run('ALTER TABLE wards ADD CONSTRAINT one_name UNIQUE (name)');
  await run("INSERT INTO wards (id, name) VALUES (4, 'east')");
  await run("INSERT INTO wards VALUES (4, 'east', 8, 1) ON CONFLICT (id) DO UPDATE SET places = excluded.places");
  await run('ALTER TABLE stays RENAME TO nights');
  await run('CREATE VIEW long_stays AS SELECT id, days FROM nights WHERE days > 30');
  await run('CREATE VIEW short_lived AS SELECT id FROM wards');
  await run('DROP VIEW short_lived');
  await run('CREATE TABLE emptied (id integer PRIMARY KEY)');
  await run('DROP TABLE emptied');
  await run('UPDATE wards SET floor = 3 WHERE id > 100', 'changes nothing');
  await run('UPDATE wards SET floor = 3 WHERE id = 4', 'changes a row');
  await run('DELETE FROM wards WHERE id = 99', 'deletes nothing');
}

/** Rows on many pages, some longer than a page, some with keys that are cut, and older versions of them. */
async function fillPages(clinic: TenantHandle, step: Step): Promise<void> {
  await step(
    clinic.execute('CREATE TABLE files (id integer PRIMARY KEY, name text UNIQUE, body text)'),
  );
  for (let first = 0; first < 100; first += 20) {
    const values = Array.from({ length: 20 }, (_, index) => {
      const id = first + index;
      const body = `${id} measured, `.repeat(id % 50 === 7 ? 400 : 8);
      return `(${id}, 'file ${id}', '${body}')`;
    });
    await step(clinic.execute(`INSERT INTO files VALUES ${values.join(', ')}`));
  }
  for (const word of ['checked', 'signed', 'filed'])
    await step(clinic.execute(`UPDATE files SET body = body || '${word}' WHERE id % 3 = 0`));
  await step(clinic.execute('DELETE FROM files WHERE id % 10 = 4'));
  await step(clinic.execute('CREATE TABLE paths (path text PRIMARY KEY, note text)'));
  const shared = 'folder/'.repeat(100);
  for (const path of [shared, `${shared}a`, `${shared}${shared}`, 'short', `z${shared}`])
    await step(clinic.execute('INSERT INTO paths VALUES ($1, $2)', [path, `${path.length}`]));
  await step(clinic.execute("UPDATE paths SET note = 'changed' WHERE path > 'g'"));
  await step(clinic.execute('DELETE FROM paths WHERE path = $1', [`${shared}a`]));
}
