import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Prng, VerityError } from '../../src/base/index.ts';
import type { SecretKey } from '../../src/crypto/index.ts';
import {
  keys,
  type MasterKeyProvider,
  type TenantHandle,
  Verity,
} from '../../src/database/index.ts';
import { systemClock, systemEntropy, systemScheduler, nodeDisk } from '../../src/host/index.ts';
import { byteForms, findNeedles, type Needle, ownForms, textForms } from './canary-search.ts';
import { canaryNeedles, canaryTexts, canaryValues, columnOf, secretTexts } from './canaries.ts';
import { idleMs, pause } from './sample-database.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-canaries-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const names = canaryTexts;
const passphrase = 'a passphrase nobody would guess: Thylacine Ω';
let requests = 0;
const origin = (): { actor: string; reason: string; requestId: string } => {
  requests += 1;
  return { actor: names.actor, reason: names.reason, requestId: `${names.requestId} ${requests}` };
};

/** Every file below `directory`, names included as if they were contents. */
function filesIn(directory: string): Map<string, Uint8Array> {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const files = new Map(
    paths
      .filter((path) => statSync(join(directory, path)).isFile())
      .map((path): [string, Uint8Array] => [path, readFileSync(join(directory, path))]),
  );
  return files.set('(names)', Buffer.from(paths.join('\n')));
}

/** Passes everything on and keeps a copy of the root key, which no file may hold. */
class WatchedKey implements MasterKeyProvider {
  readonly kind: string;
  readonly roots: Uint8Array[] = [];
  readonly #inner: MasterKeyProvider;

  constructor(inner: MasterKeyProvider) {
    this.kind = inner.kind;
    this.#inner = inner;
  }

  wrap(
    root: SecretKey,
    binding: Parameters<MasterKeyProvider['wrap']>[1],
  ): ReturnType<MasterKeyProvider['wrap']> {
    this.roots.push(root.expose().slice());
    return this.#inner.wrap(root, binding);
  }

  unwrap(
    ...given: Parameters<MasterKeyProvider['unwrap']>
  ): ReturnType<MasterKeyProvider['unwrap']> {
    return this.#inner.unwrap(...given);
  }

  describe(): ReturnType<MasterKeyProvider['describe']> {
    return this.#inner.describe();
  }

  rotate(
    ...given: Parameters<MasterKeyProvider['rotate']>
  ): ReturnType<MasterKeyProvider['rotate']> {
    return this.#inner.rotate(...given);
  }
}

const columns = canaryValues.map(({ type }) => columnOf(type));
const parameters = canaryValues.map(({ parameter }) => parameter);

async function createTable(tenant: TenantHandle): Promise<void> {
  const definitions = canaryValues.map(({ type }) => {
    const literal = type === 'text' ? ` DEFAULT '${names.defaultLiteral}'` : '';
    return `${columnOf(type)} ${type === 'varchar' ? 'varchar(40)' : type}${literal}`;
  });
  await tenant.execute(
    `CREATE TABLE ${names.table} (id integer PRIMARY KEY, ${definitions.join(', ')},
      CONSTRAINT ${names.unique} UNIQUE (${columnOf('uuid')}),
      CONSTRAINT ${names.check} CHECK (${columnOf('varchar')} <> '${names.checkLiteral}'))`,
    [],
    origin(),
  );
}

/** Writes every canary through every way in that there is. */
async function writeCanaries(db: Verity): Promise<TenantHandle> {
  const tenant = await db.createTenant(names.tenant, { actor: names.actor, reason: names.reason });
  await createTable(tenant);
  const places = parameters.map((_, index) => `$${index + 1}`).join(', ');
  const list = columns.join(', ');
  await tenant.execute(
    `INSERT INTO ${names.table} (id, ${list}) VALUES (1, ${places})`,
    parameters,
    origin(),
  );
  await tenant.execute(
    `INSERT INTO ${names.table} (id, ${columnOf('varchar')}) VALUES (2, '${names.insertLiteral}') -- ${names.commentText}`,
    [],
    origin(),
  );
  await tenant.execute(
    `UPDATE ${names.table} SET ${columnOf('varchar')} = '${names.updateLiteral}' WHERE ${columnOf('varchar')} <> '${names.whereLiteral}' AND id = 2`,
  );
  await tenant.query(
    `SELECT * FROM ${names.table} WHERE ${columnOf('text')} = '${names.whereLiteral}'`,
  );
  await tenant.transaction(async (tx) => {
    await tx.execute(`INSERT INTO ${names.table} (id, ${columnOf('text')}) VALUES (3, $1)`, [
      names.changedText,
    ]);
  }, origin());
  await tenant.execute(
    `DELETE FROM ${names.table} WHERE ${columnOf('text')} = '${names.changedText}'`,
  );
  await tenant.append(names.stream, [{ [names.eventKey]: names.eventText }], origin());
  return tenant;
}

/** What is searched for beside the canaries: keys in all their forms. */
function keyNeedles(what: string, bytes: Uint8Array): Needle[] {
  const half = bytes.length / 2;
  return [bytes, bytes.subarray(0, half), bytes.subarray(half)].flatMap((part) =>
    byteForms(what, part),
  );
}

describe('a database with canaries of every type, name and text', () => {
  const directory = join(folder, 'file');
  const keyFile = join(folder, 'data.key');
  const secret: Needle[] = [];
  let db: Verity;
  let key: WatchedKey;

  beforeAll(async () => {
    await keys.generateFile(keyFile);
    key = new WatchedKey(keys.fromFile(keyFile));
    db = await Verity.open(directory, { masterKey: key });
    const code = await db.addRecoveryCode();
    await writeCanaries(db);
    const digits = readFileSync(keyFile, 'latin1').trim();
    expect(key.roots).toHaveLength(1);
    secret.push(
      ...canaryNeedles(),
      ...keyNeedles('master key', Buffer.from(digits, 'hex')),
      ...textForms('master key digits', digits),
      ...key.roots.flatMap((root) => keyNeedles('root key', root)),
      ...textForms('recovery code', code),
      ...textForms('recovery code', code.replaceAll('-', '')),
      ...textForms('recovery code', code.toLowerCase()),
    );
  });
  afterAll(async () => db.close());

  test('holds every canary, as its owner reads them', async () => {
    const tenant = db.tenant(names.tenant);
    const { rows } = await tenant.query(
      `SELECT ${columns.join(', ')} FROM ${names.table} WHERE id = 1`,
    );
    expect(rows[0]).toMatchObject({
      [columnOf('text')]: 'Quetzal Åström 鶴の恩返し',
      [columnOf('numeric')]: '98765432101234.56789',
      [columnOf('jsonb')]: { axolotl: 'Nudibranch-42' },
    });
    expect(Object.values(rows[0] ?? {}).filter((value) => value === null)).toEqual([]);
  });

  test('shows none of them on disk while it is open', async () => {
    await pause(idleMs);
    expect(secret.length).toBeGreaterThan(700);
    expect(findNeedles(filesIn(directory), secret)).toEqual([]);
  });

  test('shows none of them on disk when it was closed, opened again, and closed', async () => {
    await db.close();
    expect(findNeedles(filesIn(directory), secret)).toEqual([]);
    db = await Verity.open(directory, { masterKey: key });
    await db.tenant(names.tenant).execute(`DELETE FROM ${names.table} WHERE id = 2`, [], origin());
    await db.close();
    expect(findNeedles(filesIn(directory), secret)).toEqual([]);
    // So small a database has no store on the disk before it is asked for.
    await Verity.repair(directory, { masterKey: key });
    expect(existsSync(join(directory, 'store', 'superblock'))).toBe(true);
    expect(findNeedles(filesIn(directory), secret)).toEqual([]);
    db = await Verity.open(directory, { masterKey: key });
    expect(findNeedles(filesIn(directory), secret)).toEqual([]);
  });

  test('records statements with their literals replaced', async () => {
    const statements: string[] = [];
    for await (const { statement } of db.tenant(names.tenant).changes()) {
      if (statement !== undefined) statements.push(statement);
    }
    expect(statements.length).toBeGreaterThan(5);
    expect(statements.join('\n')).toContain(names.table);
    const literals = secretTexts.filter((text) =>
      statements.some((statement) => statement.includes(text)),
    );
    expect(literals).toEqual([]);
  });
});

test('neither a passphrase nor what is made of it stands on disk', async () => {
  const directory = join(folder, 'passphrase');
  const key = new WatchedKey(keys.fromPassphrase(passphrase));
  const db = await Verity.open(directory, { masterKey: key });
  await writeCanaries(db);
  await db.close();
  const needles = [
    ...canaryNeedles(),
    ...textForms('passphrase', passphrase),
    ...textForms('passphrase', passphrase.normalize('NFD')),
    ...key.roots.flatMap((root) => keyNeedles('root key', root)),
  ];
  expect(findNeedles(filesIn(directory), needles)).toEqual([]);
});

test('of all the keys that are drawn, the disk shows the salts of sealing epochs alone', async () => {
  const directory = join(folder, 'drawn');
  const drawn: Uint8Array[] = [];
  const entropy = {
    bytes(count: number): Uint8Array {
      const bytes = systemEntropy.bytes(count);
      // Keys, salts and seeds have 32 bytes; seeds are drawn many at a time.
      for (let start = 0; start + 32 <= count; start += 32)
        drawn.push(bytes.slice(start, start + 32));
      return bytes;
    },
  };
  const host = {
    disk: nodeDisk(directory),
    clock: systemClock,
    scheduler: systemScheduler,
    entropy,
    // The store is written at every close.
    checkpoints: { logBytesMin: 0 },
  };
  const keyFile = join(folder, 'drawn.key');
  await keys.generateFile(keyFile);
  for (let opened = 0; opened < 3; opened++) {
    const db = await Verity.openOn(host, { masterKey: keys.fromFile(keyFile) });
    const tenant = await db.createTenant(`tenant ${opened}`);
    await tenant.append('s', [opened]);
    await db.close();
  }
  const files = filesIn(directory);
  const shown = drawn.filter((bytes) => findNeedles(files, keyNeedles('drawn', bytes)).length > 0);
  // Root key, and for system tenant and three others a key and a secret; a seed for each section.
  expect(drawn.length).toBeGreaterThanOrEqual(9 + 6);
  expect(shown).toHaveLength(3);
});

describe('the search', () => {
  const needles = [...canaryNeedles(), ...byteForms('key', new Prng(5).bytes(32))];
  const noise = new Prng(3).bytes(20_000);

  test('finds nothing in noise and zeros', () => {
    const image = new Map([
      ['noise', noise],
      ['zeros', new Uint8Array(70_000)],
    ]);
    expect(findNeedles(image, needles)).toEqual([]);
  });

  test('finds each canary in each form, wherever it is planted', () => {
    const place = new Prng(4);
    for (const needle of needles) {
      const file = noise.slice();
      const offset = place.below(file.length - needle.bytes.length);
      file.set(needle.bytes, offset);
      const found = findNeedles(new Map([['file', file]]), [needle]);
      expect(found).toEqual([`file at ${offset}: ${needle.what} as ${needle.form}`]);
    }
  });

  test('finds a text that other programs encoded, at every alignment', () => {
    const text = 'Wobbegong-7781';
    const search = textForms('text', text);
    const utf8 = new TextEncoder().encode(text);
    for (let before = 0; before < 7; before++) {
      const padded = Buffer.concat([
        noise.subarray(0, before),
        utf8,
        noise.subarray(9, 9 + before),
      ]);
      const encoded = [
        padded,
        Buffer.from(padded.toString('base64')),
        Buffer.from(btoa(String.fromCharCode(...padded))),
        Buffer.from(padded.toString('base64url')),
        Buffer.from(padded.toString('hex')),
        Buffer.from(padded.toString('hex').toUpperCase()),
        Buffer.from(`${'x'.repeat(before)}${text}y`, 'utf16le'),
      ];
      for (const file of encoded) {
        expect(findNeedles(new Map([['file', file]]), search), file.toString('latin1')).not.toEqual(
          [],
        );
      }
    }
  });

  test('finds a value that our own encodings wrote among others', () => {
    for (const { type, value } of canaryValues) {
      const forms = ownForms(type, { name: type }, value);
      const short = ['smallint', 'integer', 'real', 'boolean', 'date'].includes(type);
      expect(forms.length > 0, type).toBe(!short);
    }
  });
});

describe('no message shows a value', () => {
  let db: Verity;
  let tenant: TenantHandle;
  beforeAll(async () => {
    db = await Verity.open(':memory:');
    tenant = await writeCanaries(db);
  });
  afterAll(async () => db.close());

  const secretIn = (text: string): string[] =>
    secretTexts.filter(
      (secret) => text.includes(secret) || text.includes(JSON.stringify(secret).slice(1, -1)),
    );
  const shown = (value: unknown): string =>
    inspect(value, { depth: Infinity, showHidden: true, getters: true, maxStringLength: Infinity });

  const insert = (column: string, value: string): string =>
    `INSERT INTO ${names.table} (id, ${columnOf(column as 'text')}) VALUES (9, ${value})`;
  const uuid = '5f3a9c2e-71d4-4b8e-9a06-c1d2e3f4a5b6';
  const text = names.whereLiteral;
  const circular: Record<string, unknown> = { [names.eventKey]: names.eventText };
  circular[names.eventText] = circular;

  const failures: [string, () => Promise<unknown>][] = [
    ['a duplicate key', () => tenant.execute(`INSERT INTO ${names.table} (id) VALUES (1)`)],
    ['a duplicate parameter', () => tenant.execute(insert('uuid', '$1'), [uuid])],
    ['a duplicate literal', () => tenant.execute(insert('uuid', `'${uuid}'`))],
    ['a failed CHECK', () => tenant.execute(insert('varchar', `'${names.checkLiteral}'`))],
    ['a text for a number', () => tenant.execute(insert('integer', '$1'), [text])],
    ['a literal for a number', () => tenant.execute(insert('integer', `'${text}'`))],
    ['a cast', () => tenant.query(`SELECT '${text}'::integer FROM ${names.table}`)],
    [
      'a cast of a column',
      () => tenant.query(`SELECT ${columnOf('varchar')}::integer FROM ${names.table}`),
    ],
    ['a date', () => tenant.execute(insert('date', '$1'), [text])],
    ['a timestamp', () => tenant.execute(insert('timestamptz', `'${text}'`))],
    ['a uuid', () => tenant.execute(insert('uuid', '$1'), [text])],
    ['a boolean', () => tenant.execute(insert('boolean', '$1'), [text])],
    ['a bytea', () => tenant.execute(insert('bytea', '$1'), [`\\x${text}`])],
    ['a numeric', () => tenant.execute(insert('numeric', '$1'), [text])],
    ['a double', () => tenant.execute(insert('double precision', '$1'), [text])],
    ['a jsonb', () => tenant.execute(insert('jsonb', '$1'), [`{"a": ${text}`])],
    ['a jsonb literal', () => tenant.execute(insert('jsonb', `'{"${text}'`))],
    [
      'a parameter of no type',
      () => tenant.execute(insert('text', '$1'), [new Map([[text, text]]) as never]),
    ],
    ['a text that is too long', () => tenant.execute(insert('varchar', '$1'), [text.repeat(9)])],
    ['a number out of range', () => tenant.execute(insert('smallint', '$1'), [1_357_924_680])],
    [
      'a number out of range in text',
      () => tenant.execute(insert('integer', '$1'), ['8765432101234567']),
    ],
    ['a text with U+0000', () => tenant.execute(insert('text', '$1'), [`${text}\u0000`])],
    ['a text near an error', () => tenant.execute(`SELECT FROM FROM '${text}'`)],
    ['a text at an error', () => tenant.execute(`INSERT INTO ${names.table} '${text}'`)],
    ['a text not closed', () => tenant.execute(`SELECT * FROM ${names.table} WHERE id = '${text}`)],
    ['a dollar text not closed', () => tenant.execute(`SELECT $a$${text}`)],
    ['a comment not closed', () => tenant.execute(`SELECT 1 /* ${text}`)],
    ['a number at an error', () => tenant.execute('SELECT 1 FROM 1357924680')],
    [
      'an unsupported expression',
      () =>
        tenant.query(`SELECT * FROM ${names.table} WHERE ${columnOf('text')} SIMILAR TO '${text}'`),
    ],
    ['an unsupported statement', () => tenant.execute(`COPY ${names.table} FROM '${text}'`)],
    ['a function', () => tenant.query(`SELECT no_such_function('${text}') FROM ${names.table}`)],
    [
      'a point in time',
      () => tenant.query(`SELECT * FROM ${names.table} AS OF TIMESTAMP '${text}'`),
    ],
    [
      'a LIKE escape',
      () => tenant.query(`SELECT * FROM ${names.table} WHERE ${columnOf('text')} LIKE '${text}\\'`),
    ],
    [
      'too few parameters',
      () => tenant.execute(`${insert('text', '$1')} RETURNING $2::text`, [text]),
    ],
    ['too many parameters', () => tenant.execute(insert('text', '$1'), [text, text])],
    ['a stream version', () => tenant.append(names.stream, [{ text }], { expectedVersion: 7 })],
    ['an event that is no JSON', () => tenant.append(names.stream, [circular])],
    ['an event with a bigint', () => tenant.append(names.stream, [{ [text]: 1n }])],
    [
      'a long actor',
      () => tenant.execute(insert('text', '$1'), ['x'], { actor: text.repeat(100) }),
    ],
    [
      'a long reason',
      () => tenant.execute(insert('text', '$1'), ['x'], { reason: text.repeat(400) }),
    ],
    [
      'a long request id',
      () => tenant.execute(insert('text', '$1'), ['x'], { requestId: text.repeat(400) }),
    ],
    ['a key of history', () => tenant.history(names.table, [text])],
    [
      'a transaction',
      () => tenant.transaction((tx) => tx.execute(insert('integer', '$1'), [text])),
    ],
    ['a position', () => tenant.queryAt(`SELECT * FROM ${names.table}`, [], 4_711_000n)],
  ];

  test.each(failures)('in the error for %s', async (_, attempt) => {
    const error: unknown = await attempt().then(
      () => 'done',
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(VerityError);
    expect(
      secretIn(`${shown(error)}\n${JSON.stringify(error)}\n${(error as VerityError).message}`),
    ).toEqual([]);
  });

  test('in what a handle shows of itself', async () => {
    const status = shown(db.status());
    expect(secretIn(shown(db) + shown(tenant) + status)).toEqual([]);
    expect(shown(db)).not.toContain(names.tenant);
    expect(shown([db, tenant])).not.toMatch(/SecretKey|KeyObject|Uint8Array|\[secret\]/);
  });

  test('of a passphrase or a recovery code, in a provider or the error it throws', () => {
    const code = 'JA7N-Z8R8-ZKAA-D98B-95EJ-2WH8-XPDN-CCHY-SNWA-9G36';
    const all = [keys.fromPassphrase(passphrase), keys.fromRecoveryCode(code)].map(shown);
    for (const attempt of [
      () => keys.fromRecoveryCode(code.replace('9G36', '9G37')),
      () => keys.fromPassphrase(passphrase.repeat(100)),
    ]) {
      try {
        attempt();
        all.push('no error');
      } catch (error) {
        all.push(shown(error));
      }
    }
    expect(all).toHaveLength(4);
    expect(all.join('\n')).not.toMatch(/Thylacine|JA7N|ZKAA|no error/);
  });

  test('after the handle was closed', async () => {
    const closed = await Verity.open(':memory:');
    const handle = await writeCanaries(closed);
    await closed.close();
    const error: unknown = await handle
      .execute(insert('text', '$1'), [text])
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'CLOSED' });
    expect(secretIn(shown([error, closed, handle]))).toEqual([]);
  });
});
