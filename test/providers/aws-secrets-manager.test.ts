import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CorruptionError } from '../../src/base/index.ts';
import type { MasterKeyProvider } from '../../src/crypto/index.ts';
import { keys } from '../../src/database/index.ts';
import { FakeAws } from './fake-aws.ts';
import {
  binding,
  changeEnvironment,
  codeOf,
  errorOf,
  flipped,
  newRoot,
  openedSlot,
  shown,
  slotOf,
} from './support.ts';

const first = '11'.repeat(32);
const second = '22'.repeat(32);
const folder = mkdtempSync(join(tmpdir(), 'verity-secrets-'));
const aws = new FakeAws();
const restoreEnvironment = changeEnvironment({
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'SECRETACCESSKEYDONOTPRINT',
  AWS_REGION: 'eu-central-1',
});
let endpoint: string;
let name: string;
let count = 0;

beforeAll(async () => {
  endpoint = await aws.listen();
});
afterAll(async () => {
  restoreEnvironment();
  rmSync(folder, { recursive: true });
  await aws.close();
});
beforeEach(() => {
  name = `verity/${++count}`;
});
afterEach(() => {
  expect(aws.faults).toEqual([]);
  aws.requests.length = 0;
});

const quick = { forMs: 2_000, firstPauseMs: 1, attemptMs: 200 };
const provider = (
  more: Partial<Parameters<typeof keys.fromAwsSecretsManager>[0]> = {},
): MasterKeyProvider =>
  keys.fromAwsSecretsManager({ secretId: name, endpoint, retry: quick, ...more });

describe('a master key in AWS Secrets Manager', () => {
  test('opens what it wrapped, with one request, for the version in the slot', async () => {
    const version = aws.putSecret(name, first);
    const slot = await slotOf(provider());
    expect(slot.kind).toBe('aws-secrets-manager');
    expect(await openedSlot(provider(), [slot])).toBe(1);
    expect(aws.requests.map(({ target, body }) => [target, body])).toEqual([
      ['secretsmanager.GetSecretValue', { SecretId: name, VersionStage: 'AWSCURRENT' }],
      ['secretsmanager.GetSecretValue', { SecretId: name, VersionId: version }],
    ]);
  });

  test('may be digits, digits with a line end, 32 bytes, or a member of a JSON object', async () => {
    const forms: [string | Buffer, string | undefined][] = [
      [first, undefined],
      [`${first.toUpperCase()}\n`, undefined],
      [Buffer.from(first, 'hex'), undefined],
      [Buffer.from(first), undefined],
      [JSON.stringify({ user: 'x', masterKey: first }), 'masterKey'],
    ];
    aws.putSecret(name, first);
    const slot = await slotOf(provider());
    for (const [value, field] of forms) {
      aws.putSecret(name, value);
      const other = provider(field === undefined ? {} : { field });
      const rewrapped = await slotOf(other, 2);
      expect(rewrapped.commitment).toEqual(slot.commitment);
      expect(await openedSlot(other, [rewrapped])).toBe(2);
    }
  });

  test('opens slots made from the same digits in a file', async () => {
    const path = join(folder, `key-${count}`);
    writeFileSync(path, first, { mode: 0o600 });
    const slot = await slotOf(keys.fromFile(path));
    aws.putSecret(name, first);
    expect(await openedSlot(provider(), [slot])).toBe(1);
    aws.putSecret(name, second);
    expect(await openedSlot(provider(), [slot])).toBeUndefined();
  });

  test('still opens after the secret has a newer version, and rotates to that', async () => {
    aws.putSecret(name, first);
    const inUse = provider();
    const old = await slotOf(inUse);
    expect(await openedSlot(inUse, [old])).toBe(1);
    expect(await codeOf(() => inUse.rotate(newRoot(), binding))).toBe('KEY_ROTATION_UNSUPPORTED');

    aws.putSecret(name, second);
    expect(await openedSlot(provider(), [old])).toBe(1);
    const { slot } = await inUse.rotate(newRoot(), binding);
    expect(slot.commitment).not.toEqual(old.commitment);
    expect(await openedSlot(provider(), [old, { id: 2, ...slot }])).toBe(2);
  });

  test('says which version is gone, but opens with its key put back as another', async () => {
    const version = aws.putSecret(name, first);
    const slot = await slotOf(provider());
    aws.putSecret(name, second);
    aws.deleteVersion(name, version);
    const error = await errorOf(() => provider().unwrap([slot], binding));
    expect(error.code).toBe('KEY_MISSING');
    expect(error.message).toContain(version);
    aws.putSecret(name, first);
    expect(await openedSlot(provider(), [slot])).toBe(1);
  });

  test('of a stage of its own', async () => {
    aws.putSecret(name, first);
    aws.putSecret(name, second);
    const previous = await slotOf(provider({ versionStage: 'AWSPREVIOUS' }));
    const current = await slotOf(provider());
    expect(previous.commitment).not.toEqual(current.commitment);
    expect(await codeOf(() => slotOf(provider({ versionStage: 'OTHER' })))).toBe('KEY_MISSING');
  });

  test('tells an altered slot from a wrong key', async () => {
    aws.putSecret(name, first);
    const slot = await slotOf(provider());
    const altered = { ...slot, wrapped: flipped(slot.wrapped, 9) };
    await expect(provider().unwrap([altered], binding)).rejects.toThrow(CorruptionError);
    const wrong = { ...slot, commitment: flipped(slot.commitment, 9) };
    expect(await openedSlot(provider(), [wrong])).toBeUndefined();
    for (const parameters of ['', '[]', '{', 'null', '{"version":1}', '{"version":"../../x"}']) {
      const opening = provider().unwrap(
        [{ ...slot, parameters: Buffer.from(parameters) }],
        binding,
      );
      const code = await opening.then(
        (opened) => opened?.slotId,
        (error: CorruptionError) => error.code,
      );
      // A version that cannot be one is not asked for; the current one opens the slot.
      expect(code, parameters).toBe(parameters.includes('..') ? 1 : 'AUTHENTICATION_FAILED');
    }
    expect(aws.requests.some(({ body }) => String(body['VersionId']).includes('..'))).toBe(false);
  });
});

describe('a secret that is no key', () => {
  test('is refused in every wrong shape, and never shown', async () => {
    const secret = 'deadbeef'.repeat(7);
    const shapes: [string | Buffer, string | undefined][] = [
      ['', undefined],
      [secret, undefined],
      [`${first}00`, undefined],
      [JSON.stringify({ key: first }), undefined],
      [Buffer.from(secret, 'hex'), undefined],
      [Buffer.alloc(0), undefined],
      [first, 'key'],
      [`{"key": "${secret}"`, 'key'],
      [JSON.stringify({ other: secret }), 'key'],
      [JSON.stringify({ key: [secret] }), 'key'],
      [JSON.stringify({ key: secret }), 'key'],
      ['null', 'key'],
    ];
    for (const [value, field] of shapes) {
      aws.putSecret(name, value);
      const given = provider(field === undefined ? {} : { field });
      const error = await errorOf(() => given.wrap(newRoot(), binding));
      expect(error.code, String(value)).toBe('KEY_INVALID');
      expect(error.message).toContain(name);
      expect(shown(error)).not.toMatch(/deadbeef|1111/);
    }
  });

  test('is missing', async () => {
    expect(await codeOf(() => provider().wrap(newRoot(), binding))).toBe('KEY_MISSING');
    aws.putSecret(name, first);
    const slot = await slotOf(provider());
    aws.deleteSecret(name);
    expect(await codeOf(() => provider().unwrap([slot], binding))).toBe('KEY_MISSING');
  });

  test('is refused, deleted later, or cannot be decrypted: asked once', async () => {
    const cases = [
      ['AccessDeniedException', 'KEY_PROVIDER_DENIED'],
      ['DecryptionFailure', 'KEY_PROVIDER_DENIED'],
      ['InvalidRequestException', 'KEY_MISSING'],
      ['InvalidParameterException', 'KEY_INVALID'],
    ] as const;
    for (const [type, code] of cases) {
      aws.requests.length = 0;
      aws.faults.push({ status: 400, type });
      expect(await codeOf(() => provider().wrap(newRoot(), binding)), type).toBe(code);
      expect(aws.requests).toHaveLength(1);
    }
  });

  test('comes after throttling, an outage and silence', async () => {
    aws.putSecret(name, first);
    aws.faults.push(
      { status: 400, type: 'ThrottlingException' },
      { status: 500, type: 'InternalServiceError' },
      'reset',
      'hang',
    );
    const slot = await slotOf(provider());
    expect(aws.requests).toHaveLength(5);
    expect(await openedSlot(provider(), [slot])).toBe(1);
  });
});

test('a client of the caller is used, and left open', async () => {
  const { SecretsManagerClient } = await import('@aws-sdk/client-secrets-manager');
  const client = new SecretsManagerClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIDOTHER', secretAccessKey: 'x' },
  });
  aws.putSecret(name, first);
  const given = provider({ client });
  expect(await openedSlot(given, [await slotOf(given)])).toBe(1);
  expect(aws.requests.map(({ authorization }) => authorization.includes('AKIDOTHER'))).toEqual([
    true,
    true,
  ]);
  client.destroy();
});

test('what it is can be shown, and needs no answer', () => {
  expect(provider({ region: 'eu-west-1', field: 'k', versionStage: 'S' }).describe()).toEqual({
    kind: 'aws-secrets-manager',
    source: name,
    parameters: { region: 'eu-west-1', endpoint, versionStage: 'S', field: 'k' },
    rotates: true,
  });
  expect(() => keys.fromAwsSecretsManager({ secretId: '' })).toThrow(/secretId/);
});
