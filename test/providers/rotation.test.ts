/** db.keys.rotate through every provider: the new one opens the database after a restart, and the one before does not. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VerityError } from '../../src/base/index.ts';
import type { MasterKeyProvider } from '../../src/crypto/index.ts';
import { keys, Verity } from '../../src/database/index.ts';
import { cheapPair } from './cheap-pair.ts';
import { FakeAws } from './fake-aws.ts';
import { findSoftHsm, pin, TokenStore } from './softhsm.ts';
import { changeEnvironment, codeOf } from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-rotation-'));
const path = (name: string): string => join(folder, name);
const aws = new FakeAws();
const restoreEnvironment = changeEnvironment({
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_REGION: 'eu-central-1',
  VERITY_ROTATION_TEST: '7a'.repeat(32),
});
const hsm = findSoftHsm();
const hasToken = typeof hsm !== 'string';
if (!hasToken) process.stderr.write(`${hsm}\n`);
const store = hasToken ? new TokenStore() : undefined;

const retry = { forMs: 0 };
const passphrase = 'correct horse battery staple';
let endpoint: string;
let kmsKey: string;

type Make = () => MasterKeyProvider;
const providers: [string, Make][] = [
  ['a key file', () => keys.fromFile(path('one.key'))],
  ['a passphrase', () => keys.fromPassphrase(passphrase)],
  ['the environment', () => keys.fromEnv('VERITY_ROTATION_TEST')],
  ['a key pair', () => keys.fromKeyPair({ privateKeyFile: path('one.pair'), passphrase })],
  [
    'AWS Secrets Manager',
    () => keys.fromAwsSecretsManager({ secretId: 'master', endpoint, retry }),
  ],
  ['AWS KMS', () => keys.fromAwsKms({ keyId: kmsKey, endpoint, retry })],
  ...(hasToken
    ? [
        [
          'a PKCS#11 token',
          () => keys.fromPkcs11({ ...hsm, tokenLabel: 'verity', pin, keyLabel: 'k', retry }),
        ] satisfies [string, Make],
      ]
    : []),
];

beforeAll(async () => {
  endpoint = await aws.listen();
  kmsKey = aws.addKey();
  aws.putSecret('master', '3b'.repeat(32));
  await keys.generateFile(path('one.key'));
  await cheapPair(path('one.pair'), passphrase);
  store?.addToken('verity');
  if (hasToken) {
    await keys.generatePkcs11Key({ ...hsm, tokenLabel: 'verity', pin, keyLabel: 'k' });
  }
});
afterAll(async () => {
  restoreEnvironment();
  store?.remove();
  rmSync(folder, { recursive: true });
  await aws.close();
});

const rowsOf = async (db: Verity): Promise<unknown> =>
  (await db.tenant('clinic').query('SELECT count(*) AS n FROM t')).rows[0]?.['n'];

test('a database goes from each provider to the next, and round to the first', async () => {
  const directory = path('round');
  const [first] = providers as [[string, Make]];
  let code: string;
  {
    await using db = await Verity.open(directory, { masterKey: first[1]() });
    const clinic = await db.createTenant('clinic');
    await clinic.execute('CREATE TABLE t (id integer PRIMARY KEY)');
    code = await db.addRecoveryCode();
  }
  const round = [...providers, first];
  for (const [index, [name, make]] of round.entries()) {
    if (index === 0) continue;
    const before = (round[index - 1] as [string, Make])[1];
    {
      await using db = await Verity.open(directory, { masterKey: before() });
      await db.tenant('clinic').execute('INSERT INTO t (id) VALUES ($1)', [index * 2]);
      await db.keys.rotate({ masterKey: make() });
      await db.tenant('clinic').execute('INSERT INTO t (id) VALUES ($1)', [index * 2 + 1]);
      expect(db.keys.list().provider.kind, name).toBe(make().describe().kind);
    }
    {
      await using db = await Verity.open(directory, { masterKey: make() });
      expect(await rowsOf(db), name).toBe(BigInt(index * 2));
      expect(db.status().keySlots.map(({ kind }) => kind)).toContain('recovery');
    }
    expect(await codeOf(() => Verity.open(directory, { masterKey: before() })), name).toBe(
      'WRONG_KEY',
    );
  }
  await using db = await Verity.open(directory, { masterKey: keys.fromRecoveryCode(code) });
  expect(await rowsOf(db)).toBe(BigInt(providers.length * 2));
});

describe('a provider that renews its own key', () => {
  const renewing = providers.filter(([name]) => name !== 'the environment');
  test.each(renewing)(
    'does so for %s, and opens the database after a restart',
    async (name, make) => {
      const directory = path(`own ${name}`);
      const provider = make();
      {
        await using db = await Verity.open(directory, { masterKey: provider });
        const clinic = await db.createTenant('clinic');
        await clinic.execute('CREATE TABLE t (id integer PRIMARY KEY)');
        const { generation } = db.keys.list();
        if (name === 'AWS Secrets Manager') {
          expect(await codeOf(() => db.keys.rotate())).toBe('KEY_ROTATION_UNSUPPORTED');
          aws.putSecret('master', '4c'.repeat(32));
        }
        await db.keys.rotate();
        expect(db.keys.list().generation).toBeGreaterThan(generation);
        expect(db.status().keySlots).toHaveLength(1);
        await clinic.execute('INSERT INTO t (id) VALUES (1)');
      }
      await using db = await Verity.open(directory, { masterKey: make() });
      expect(await rowsOf(db)).toBe(1n);
    },
  );

  test('leaves a file that the old key no longer opens', async () => {
    const directory = path('stolen');
    const file = path('stolen.key');
    await keys.generateFile(file);
    const stolen = readFileSync(file);
    {
      await using db = await Verity.open(directory, { masterKey: keys.fromFile(file) });
      await db.keys.rotate();
    }
    writeFileSync(path('copy.key'), stolen, { mode: 0o600 });
    expect(
      await codeOf(() => Verity.open(directory, { masterKey: keys.fromFile(path('copy.key')) })),
    ).toBe('WRONG_KEY');
    await using db = await Verity.open(directory, { masterKey: keys.fromFile(file) });
    expect(db.tenants()).toEqual([]);
  });
});

describe('a rotation of the key file that stops', () => {
  /** Rotates until `activate`, which fails before or after it has put the new key in its place. */
  function stopping(provider: MasterKeyProvider, when: 'before' | 'after'): MasterKeyProvider {
    return {
      kind: provider.kind,
      wrap: (...given) => provider.wrap(...given),
      unwrap: (...given) => provider.unwrap(...given),
      describe: () => provider.describe(),
      rotate: async (...given) => {
        const prepared = await provider.rotate(...given);
        const activate = async (): Promise<void> => {
          if (when === 'after') await prepared.activate();
          throw new VerityError('IO_ERROR', 'The directory could not be flushed.');
        };
        return { slot: prepared.slot, activate, discard: () => prepared.discard() };
      },
    };
  }

  test.each(['before', 'after'] as const)(
    '%s the new key is in its place leaves a database that opens, and rotates again',
    async (when) => {
      const directory = path(`stopped ${when}`);
      const file = path(`stopped ${when}.key`);
      await keys.generateFile(file);
      const old = readFileSync(file);
      {
        const masterKey = stopping(keys.fromFile(file), when);
        await using db = await Verity.open(directory, { masterKey });
        await db.createTenant('clinic');
        expect(await codeOf(() => db.keys.rotate())).toBe('IO_ERROR');
        await db.createTenant('other');
      }
      expect(readFileSync(file).equals(old)).toBe(when === 'before');
      {
        await using db = await Verity.open(directory, { masterKey: keys.fromFile(file) });
        expect(db.tenants()).toEqual(['clinic', 'other']);
        await db.keys.rotate();
        expect(db.status().keySlots).toHaveLength(1);
      }
      writeFileSync(path(`${when}.copy`), old, { mode: 0o600 });
      const stolen = keys.fromFile(path(`${when}.copy`));
      expect(await codeOf(() => Verity.open(directory, { masterKey: stolen }))).toBe('WRONG_KEY');
      await using db = await Verity.open(directory, { masterKey: keys.fromFile(file) });
      expect(db.tenants()).toEqual(['clinic', 'other']);
    },
  );
});

test('a rotation to a provider that is down, refuses or cannot open changes nothing', async () => {
  const directory = path('kept');
  const masterKey = keys.fromFile(path('kept.key'));
  await keys.generateFile(path('kept.key'));
  await using db = await Verity.open(directory, { masterKey });
  await db.createTenant('clinic');
  const before = db.keys.list();
  const kms = keys.fromAwsKms({ keyId: kmsKey, endpoint, retry });
  aws.faults.push('reset');
  expect(await codeOf(() => db.keys.rotate({ masterKey: kms }))).toBe('KEY_PROVIDER_UNAVAILABLE');
  aws.faults.push({ status: 400, type: 'AccessDeniedException' });
  expect(await codeOf(() => db.keys.rotate({ masterKey: kms }))).toBe('KEY_PROVIDER_DENIED');
  const wrong = keys.fromKeyPair({ privateKeyFile: path('one.pair'), passphrase: 'no' });
  expect(await codeOf(() => db.keys.rotate({ masterKey: wrong }))).toBe('WRONG_KEY');
  expect(db.keys.list()).toEqual(before);
});

test('a database can be locked for the holder of a key pair, by its public key alone', async () => {
  const directory = path('escrow');
  await keys.generateFile(path('escrow.key'));
  writeFileSync(path('one.pem'), keys.publicKeyOf(path('one.pair')));
  {
    await using db = await Verity.open(directory, { masterKey: keys.fromFile(path('escrow.key')) });
    await db.createTenant('clinic');
    await db.keys.rotate({ masterKey: keys.fromKeyPair({ publicKeyFile: path('one.pem') }) });
  }
  const own = { privateKeyFile: path('one.pair'), passphrase };
  const masterKey = keys.fromKeyPair(own);
  expect(await codeOf(() => Verity.open(directory, { masterKey }))).toBe('KEY_SLOT_FOREIGN');
  const warnings: string[] = [];
  {
    await using db = await Verity.open(directory, {
      masterKey: keys.fromKeyPair({ ...own, acceptForeign: true }),
      onWarning: (warning) => warnings.push(warning),
    });
    expect(db.tenants()).toEqual(['clinic']);
  }
  expect(warnings).toEqual([expect.stringContaining('leave acceptForeign out')]);
  await using db = await Verity.open(directory, { masterKey });
  expect(db.tenants()).toEqual(['clinic']);
});

test('after a rotation the periodic check asks the new provider', async () => {
  const directory = path('watched');
  await keys.generateFile(path('watched.key'));
  const warnings: string[] = [];
  await using db = await Verity.open(directory, {
    masterKey: keys.fromFile(path('watched.key')),
    masterKeyCheckEveryMs: 20,
    masterKeyGraceMs: 60_000,
    onWarning: (warning) => warnings.push(warning),
  });
  aws.requests.length = 0;
  await db.keys.rotate({ masterKey: keys.fromAwsKms({ keyId: kmsKey, endpoint, retry }) });
  rmSync(path('watched.key'));
  await expect.poll(() => aws.requests.length, { timeout: 10_000 }).toBeGreaterThan(4);
  expect(db.status().keyProvider).toEqual({ lastFailure: undefined, refusing: false });
  expect(warnings).toEqual([]);
});
