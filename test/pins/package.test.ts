/** What a program that installs the package relies on. */
import { expect, test } from 'vitest';
import * as sdk from '../../src/database/index.ts';
import { readText } from '../support/project.ts';

const manifest = JSON.parse(readText('package.json')) as Record<string, unknown>;

test('the package exports one entry point with types, and its manifest', () => {
  expect(manifest['exports']).toEqual({
    '.': { types: './dist/database/index.d.ts', default: './dist/database/index.js' },
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
    'ready',
    'splitStatements',
  ]);
});

test('a master key comes from one of these', () => {
  expect(Object.keys(sdk.keys).toSorted()).toEqual([
    'fromEnv',
    'fromFile',
    'fromPassphrase',
    'fromRecoveryCode',
    'generateFile',
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
    'createTenant',
    'status',
    'tenant',
    'tenants',
    'verify',
  ]);
  expect(methods(await db.createTenant('pins'))).toEqual([
    'append',
    'changes',
    'execute',
    'history',
    'query',
    'queryAt',
    'read',
    'stream',
    'tables',
    'transaction',
  ]);
  await db.close();
});
