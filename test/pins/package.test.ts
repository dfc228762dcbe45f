/** What a program that installs the package relies on. */
import { expect, test } from 'vitest';
import * as sdk from '../../src/database/index.ts';
import * as envelope from '../../src/envelope/index.ts';
import * as verify from '../../src/receipt/index.ts';
import { readText } from '../support/project.ts';

const manifest = JSON.parse(readText('package.json')) as Record<string, unknown>;

test('the package exports three entry points with types, and its manifest', () => {
  expect(manifest['exports']).toEqual({
    '.': { types: './dist/database/index.d.ts', default: './dist/database/index.js' },
    './envelope': {
      types: './dist/envelope/index.d.ts',
      default: './dist/envelope/index.js',
    },
    './verify': { types: './dist/receipt/index.d.ts', default: './dist/receipt/index.js' },
    './package.json': './package.json',
  });
  expect(manifest['type']).toBe('module');
});

test('the command is verity', () => {
  expect(manifest['bin']).toEqual({ verity: './dist/cli/main.js' });
});

test('nothing is run when the package is installed', () => {
  const scripts = Object.keys(manifest['scripts'] as object);
  const hooks = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];
  expect(scripts.filter((name) => hooks.includes(name))).toEqual([]);
});

test('versions of dependencies are exact', () => {
  const versions = Object.values({
    ...(manifest['dependencies'] as Record<string, string>),
    ...(manifest['devDependencies'] as Record<string, string>),
  });
  expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});

test('the lock file is of this package.json', () => {
  const lock = JSON.parse(readText('package-lock.json')) as {
    packages: Record<string, Record<string, unknown>>;
  };
  const { version, dependencies, devDependencies } = lock.packages[''] ?? {};
  expect({ version, dependencies, devDependencies }).toEqual({
    version: manifest['version'],
    dependencies: manifest['dependencies'],
    devDependencies: manifest['devDependencies'],
  });
});

test('the SDK exports these values and no others', () => {
  expect(Object.keys(sdk).toSorted()).toEqual([
    'CorruptionError',
    'Verity',
    'VerityError',
    'errorTable',
    'inspectStatement',
    'keys',
    'limits',
    'lockMemory',
    'ready',
    'splitStatements',
  ]);
});

test('veritydb/envelope exports these values and no others', () => {
  expect(Object.keys(envelope).toSorted()).toEqual([
    'EnvelopeCipher',
    'KekRing',
    'VerityError',
    'decodeBlob',
    'encodeBlob',
    'encodeContext',
    'envelopeLimits',
  ]);
  const methods = (value: { prototype: object }): string[] =>
    Object.getOwnPropertyNames(value.prototype)
      .filter((name) => name !== 'constructor')
      .toSorted();
  expect(methods(envelope.EnvelopeCipher)).toEqual([
    'decrypt',
    'decryptAsync',
    'encrypt',
    'encryptAsync',
    'rewrap',
  ]);
  expect(methods(envelope.KekRing)).toEqual([
    'currentId',
    'ids',
    'kek',
    'remove',
    'rotate',
    'save',
    'wipe',
  ]);
});

test('veritydb/verify exports these values and no others', () => {
  expect(Object.keys(verify).toSorted()).toEqual([
    'ExportCheck',
    'ExportedTable',
    'exportFormats',
    'fieldCommitment',
    'formatReceipt',
    'formatStateProof',
    'proofOfOpened',
    'receiptBytesMax',
    'receiptChecks',
    'streamLine',
    'tlogProofs',
    'verifyReceipt',
  ]);
  expect(verify.receiptChecks).toEqual([
    'options',
    'format',
    'note',
    'origin',
    'leaves',
    'inclusion',
    'handOver',
    'signature',
    'witnesses',
    'timeStamp',
    'record',
    'event',
    'tenant',
    'position',
    'history',
    'definition',
    'row',
    'state',
    'context',
  ]);
});

test('a master key comes from one of these', () => {
  expect(Object.keys(sdk.keys).toSorted()).toEqual([
    'fromAwsKms',
    'fromAwsSecretsManager',
    'fromEnv',
    'fromFile',
    'fromKeyPair',
    'fromPassphrase',
    'fromPkcs11',
    'fromRecoveryCode',
    'generateFile',
    'generateKeyPair',
    'generatePkcs11Key',
    'publicKeyOf',
    'readSecretText',
  ]);
});

test('a database is opened, checked, copied and repaired by these static methods', () => {
  const { Verity } = sdk;
  const names = Object.getOwnPropertyNames(Verity).filter(
    (name) => typeof Reflect.get(Verity, name) === 'function',
  );
  expect(names.toSorted()).toEqual([
    'audit',
    'copyLog',
    'encryptionOf',
    'open',
    'openOn',
    'repair',
    'repairOn',
    'verify',
  ]);
});

test('handles have these methods', async () => {
  const methods = (value: object): string[] =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(value))
      .filter((name) => name !== 'constructor')
      .toSorted();
  const db = await sdk.Verity.open(':memory:');
  expect(methods(db)).toEqual([
    'addRecoveryCode',
    'close',
    'copyLog',
    'copyOnto',
    'createTenant',
    'exportTenant',
    'rebuildStore',
    'securityRecords',
    'stateHash',
    'status',
    'tenant',
    'tenants',
    'verify',
  ]);
  expect(methods(db.keys)).toEqual([
    'addRecoveryCode',
    'exportPublic',
    'list',
    'rekey',
    'rotate',
    'rotateSigningKey',
  ]);
  // Further ones are the handle's own, and in no type.
  const own = (value: object) => methods(value).filter((name) => !/^(send|start|stop)$/.test(name));
  expect(own(db.witnesses)).toEqual(['add', 'cosign', 'list', 'policy', 'remove', 'setPolicy']);
  expect(own(db.timestamps)).toEqual([
    'authority',
    'list',
    'removeAuthority',
    'setAuthority',
    'stamp',
  ]);
  expect(methods(await db.createTenant('pins'))).toEqual([
    'append',
    'begin',
    'changes',
    'createEnvelopeKey',
    'envelopeKeys',
    'execute',
    'history',
    'query',
    'queryAt',
    'read',
    'receipt',
    'rowReceipt',
    'stream',
    'tables',
    'transaction',
  ]);
  await db.close();
});
