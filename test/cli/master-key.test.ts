/** --master-key URI: each provider from the command line, and what is wrong usage of it. */
import { chmodSync, existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { keys } from '../../src/database/index.ts';
import { FakeAws } from '../providers/fake-aws.ts';
import { findSoftHsm, pin, TokenStore } from '../providers/softhsm.ts';
import { changeEnvironment } from '../providers/support.ts';
import { verity, verityHere, verityJson, verityJsonHere, Workspace } from './verity-command.ts';

const workspace = new Workspace();
const aws = new FakeAws();
const restoreEnvironment = changeEnvironment({
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'secret',
  AWS_REGION: undefined,
});
let endpoint: string;
const passphrase = { VERITY_PASSPHRASE: 'correct horse battery staple' };

beforeAll(async () => {
  endpoint = encodeURIComponent(await aws.listen());
});
afterAll(async () => {
  restoreEnvironment();
  workspace.remove();
  await aws.close();
});

const wayOut = { VERITY_PASSPHRASE: 'another one' };

/** Creates a database under a URI, opens it again, and fails to without the URI. */
async function worksWith(
  name: string,
  uri: string,
  env: Record<string, string> = {},
): Promise<void> {
  const directory = workspace.path(name);
  const created = await verityJsonHere(['init', directory, '--master-key', uri], { env });
  expect(created, uri).toMatchObject({ exitCode: 0, document: { keyFile: null } });
  expect(existsSync(`${directory}.key`)).toBe(false);
  const status = await verityJsonHere(['status', directory, '--master-key', uri], { env });
  expect(status.exitCode).toBe(0);
  const fromEnvironment = await verityJsonHere(['status', directory], {
    env: { ...env, VERITY_MASTER_KEY_URI: uri, ...(env === passphrase ? {} : wayOut) },
  });
  expect(fromEnvironment.exitCode).toBe(0);
  expect((await verityJsonHere(['status', directory], { env: wayOut })).document.error.code).toBe(
    'WRONG_KEY',
  );
}

describe('--master-key', () => {
  test('names a file, which init makes', async () => {
    const directory = workspace.path('of-file');
    const uri = `file:${workspace.path('the.key')}`;
    expect(await verityJsonHere(['init', directory, '--master-key', uri])).toMatchObject({
      exitCode: 0,
      document: { keyFile: workspace.path('the.key'), keyFileCreated: true },
    });
    expect((await verityHere(['verify', directory, '--master-key', uri])).exitCode).toBe(0);
  });

  test('names a variable of any name', () => {
    const directory = workspace.path('of-variable');
    const env = { OTHER_KEY: 'ab'.repeat(32) };
    expect(verity(['init', directory, '--master-key', 'env:OTHER_KEY'], { env }).exitCode).toBe(0);
    expect(verity(['status', directory, '--master-key', 'env:OTHER_KEY'], { env }).exitCode).toBe(
      0,
    );
    expect(
      verityJson(['status', directory, '--master-key', 'env:MISSING_KEY']).document.error.code,
    ).toBe('KEY_MISSING');
  });

  test('names a passphrase, or a key pair with one', async () => {
    await worksWith('of-passphrase', 'passphrase:', passphrase);
    const privateKeyFile = workspace.path('master.pair');
    await keys.generateKeyPair({ privateKeyFile, passphrase: passphrase.VERITY_PASSPHRASE });
    const directory = workspace.path('of-pair');
    const uri = `key-pair:${privateKeyFile}`;
    const options = { env: passphrase };
    expect((await verityHere(['init', directory, '--master-key', uri], options)).exitCode).toBe(0);
    expect((await verityHere(['status', directory, '--master-key', uri], options)).exitCode).toBe(
      0,
    );
    const without = await verityJsonHere(['status', directory, '--master-key', uri]);
    expect(without).toMatchObject({ exitCode: 1, document: { error: { code: 'KEY_MISSING' } } });
    expect(without.document.error.message).toContain('VERITY_PASSPHRASE');
  });

  test('names a secret in AWS Secrets Manager', async () => {
    aws.putSecret('verity/master', JSON.stringify({ key: '5c'.repeat(32) }));
    const uri = `aws-secret:verity/master?region=eu-central-1&endpoint=${endpoint}&field=key`;
    await worksWith('of-secret', uri);
  });

  test('names a key in AWS KMS by its ARN', async () => {
    await worksWith('of-kms', `aws-kms:${aws.addKey()}?region=eu-central-1&endpoint=${endpoint}`);
  });

  test('names a key in a PKCS#11 token as RFC 7512 does', async () => {
    const found = findSoftHsm();
    if (typeof found === 'string') return void process.stderr.write(`${found}\n`);
    const { module, library } = found;
    const store = new TokenStore();
    try {
      store.addToken('my token');
      await keys.generatePkcs11Key({ module, library, tokenLabel: 'my token', pin, keyLabel: 'k' });
      const uri = `pkcs11:token=my%20token;object=k;type=secret-key?module-path=${module}`;
      const args = ['init', workspace.path('of-token'), '--master-key', uri];
      // The package is not installed beside veritydb here: that is as far as the command gets.
      const ran = await verityJsonHere(args, { env: { VERITY_PKCS11_PIN: pin } });
      expect(ran.document.error.code).toBe('KEY_PROVIDER_MISSING');
    } finally {
      store.remove();
    }
  });
});

describe('wrong usage of --master-key ends with exit code 2', () => {
  const wrong: [string, RegExp][] = [
    ['', /no known form/],
    ['/etc/key', /no known form/],
    ['s3:bucket', /no known form/],
    ['file:', /file: needs a path/],
    ['key-pair:', /needs a path/],
    ['key-pair:?accept-foreign', /needs a path/],
    ['key-pair:/a.pair?accept-foreign=yes', /without a value/],
    ['public-key:/a.pem', /opens no database/],
    ['passphrase:hunter2', /VERITY_PASSPHRASE/],
    ['aws-kms:', /needs an id/],
    ['aws-kms:x?field=y', /takes region=, endpoint= and nothing else/],
    ['aws-secret:x?region', /takes region=/],
    ['aws-secret:x?region=%zz', /two hex digits/],
    ['aws-kms:x?endpoint=http://kms.example.com', /https/],
    ['pkcs11:object=k?module-path=/x.so', /either token=LABEL or slot-id=NUMBER/],
    ['pkcs11:token=t;slot-id=1;object=k?module-path=/x.so', /either token=LABEL/],
    ['pkcs11:slot-id=one;object=k?module-path=/x.so', /slot-id=NUMBER/],
    ['pkcs11:token=t?module-path=/x.so', /object=LABEL/],
    ['pkcs11:token=t;object=k', /module-path=FILE/],
    ['pkcs11:token=t;object=k?module-path=/x.so&pin-value=4711', /pin-value is not taken/],
  ];
  test.each(wrong)('%s', async (uri, message) => {
    const ran = await verityJsonHere(['status', workspace.folder, '--master-key', uri]);
    expect([ran.exitCode, ran.document.error.code]).toEqual([2, 'INVALID_ARGUMENT']);
    expect(ran.document.error.message).toMatch(message);
    expect(JSON.stringify(ran.document)).not.toMatch(/hunter2|4711/);
  });

  test('with another option that names a key', async () => {
    for (const other of ['--key-file', '--recovery-code-file']) {
      const args = ['status', workspace.folder, '--master-key', 'env:', other, 'x'];
      const ran = await verityJsonHere(args);
      expect([ran.exitCode, ran.document.error.code]).toEqual([2, 'INVALID_ARGUMENT']);
    }
  });
});

test.skipIf(process.platform === 'win32')(
  'files of a PIN or a recovery code that others can read are refused',
  async () => {
    const file = workspace.file('secret.txt', '4711\n');
    const uri = `pkcs11:token=t;object=k?module-path=/none.so&pin-source=file:${file}`;
    const answers = async (): Promise<string[]> => {
      const ways = [
        ['--master-key', uri],
        ['--recovery-code-file', file],
      ];
      const ran = ways.map((way) => verityJsonHere(['status', workspace.folder, ...way]));
      return (await Promise.all(ran)).map(({ document }) => document.error.code as string);
    };
    chmodSync(file, 0o644);
    expect(await answers()).toEqual(['KEY_FILE_EXPOSED', 'KEY_FILE_EXPOSED']);
    chmodSync(file, 0o600);
    const read = await answers();
    // As far as a token that is not there, and a text that is no recovery code.
    expect(read).not.toContain('KEY_FILE_EXPOSED');
    expect(read[1]).toBe('KEY_INVALID');
  },
);

test('a key pair is made, and a database locked for it by its public key', async () => {
  const pair = workspace.path('made.pair');
  const env = { VERITY_PASSPHRASE: 'one two three' };
  const made = await verityHere(['keys', 'generate-pair', pair], { env });
  expect(made.exitCode).toBe(0);
  expect(made.stdout).toBe(keys.publicKeyOf(pair));
  const again = await verityJsonHere(['keys', 'generate-pair', pair], { env });
  expect(again).toMatchObject({ exitCode: 1, document: { error: { code: 'KEY_INVALID' } } });
  const without = await verityJsonHere(['keys', 'generate-pair', workspace.path('not.pair')]);
  expect(without).toMatchObject({ exitCode: 1, document: { error: { code: 'KEY_MISSING' } } });
  const unnamed = await verityHere(['keys', 'generate-pair']);
  expect(unnamed.exitCode).toBe(2);
  const json = await verityJsonHere(['keys', 'generate-pair', workspace.path('json.pair')], {
    env,
  });
  expect(Object.keys(json.document)).toEqual(['privateKeyFile', 'publicKey']);

  const directory = workspace.path('locked');
  const pem = workspace.file('made.pem', made.stdout);
  expect((await verityHere(['init', directory])).exitCode).toBe(0);
  const rotate = ['keys', 'rotate', directory, '--new-master-key', `public-key:${pem}`];
  expect((await verityHere(rotate)).exitCode).toBe(0);
  expect((await verityJsonHere(['status', directory])).document.error.code).toBe('WRONG_KEY');
  const uri = `key-pair:${pair}`;
  const opened = (masterKey: string, ...verb: string[]): ReturnType<typeof verityJsonHere> =>
    verityJsonHere([...verb, directory, '--master-key', masterKey], { env });
  // Anybody who has the public key may have made it.
  const refused = { exitCode: 3, document: { error: { code: 'KEY_SLOT_FOREIGN' } } };
  expect(await opened(uri, 'status')).toMatchObject(refused);
  expect((await opened(uri, 'verify')).exitCode).toBe(3);
  const accepted = `${uri}?accept-foreign`;
  const status = ['status', directory, '--master-key', accepted];
  const read = await verityHere(status, { env });
  expect(read.exitCode).toBe(0);
  expect(read.stderr).toContain('the next open needs acceptForeign');
  expect(await opened(uri, 'status')).toMatchObject(refused);
  const written = ['keys', 'rotate', directory, '--tenant', 'none', '--master-key', accepted];
  expect((await verityHere(written, { env })).stderr).toContain('leave acceptForeign out');
  const listed = await opened(uri, 'keys', 'list');
  expect(listed).toMatchObject({
    exitCode: 0,
    document: {
      slots: [
        { kind: 'recovery' },
        { kind: 'key-pair', parameters: { lockedWith: 'private key' } },
      ],
    },
  });
  expect((await opened(uri, 'keys', 'rotate')).exitCode).toBe(0);
  expect((await opened(uri, 'verify')).exitCode).toBe(0);
});
