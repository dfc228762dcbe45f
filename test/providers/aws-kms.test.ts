import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CorruptionError } from '../../src/base/index.ts';
import type { KeySlot, MasterKeyProvider } from '../../src/crypto/index.ts';
import { keys } from '../../src/database/index.ts';
import { root } from '../support/project.ts';
import { type Fault, FakeAws } from './fake-aws.ts';
import {
  binding,
  changeEnvironment,
  codeOf,
  errorOf,
  flipped,
  newRoot,
  openedSlot,
  otherBinding,
  rootBytes,
  shown,
  slotOf,
} from './support.ts';

const secretAccessKey = 'SECRETACCESSKEYDONOTPRINT';
const aws = new FakeAws();
let endpoint: string;
let arn: string;
const restoreEnvironment = changeEnvironment({
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: secretAccessKey,
  AWS_EC2_METADATA_DISABLED: 'true',
  AWS_REGION: undefined,
  AWS_DEFAULT_REGION: undefined,
  AWS_PROFILE: undefined,
});

beforeAll(async () => {
  endpoint = await aws.listen();
});
afterAll(async () => {
  restoreEnvironment();
  await aws.close();
});
beforeEach(() => {
  arn = aws.addKey();
});
afterEach(() => {
  expect(aws.faults).toEqual([]);
  aws.requests.length = 0;
});

const quick = { forMs: 2_000, firstPauseMs: 1, attemptMs: 200 };
const provider = (more: Partial<Parameters<typeof keys.fromAwsKms>[0]> = {}): MasterKeyProvider =>
  keys.fromAwsKms({ keyId: arn, region: 'eu-central-1', endpoint, retry: quick, ...more });

const rejection = (type: string, status = 400): Fault => ({ status, type });

describe('a root key wrapped by AWS KMS', () => {
  test('opens again, with one signed request each, bound to the log id', async () => {
    const slot = await slotOf(provider());
    expect(slot.kind).toBe('aws-kms');
    expect(await openedSlot(provider(), [slot])).toBe(1);
    expect(aws.requests.map(({ target }) => target)).toEqual([
      'TrentService.Encrypt',
      'TrentService.Decrypt',
    ]);
    for (const { body, authorization } of aws.requests) {
      expect(body['EncryptionContext']).toEqual({ 'veritydb:log-id': '10'.repeat(16) });
      expect(body['KeyId']).toBe(arn);
      expect(authorization).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\//);
    }
    expect(Buffer.from(slot.wrapped).includes(Buffer.from(rootBytes()))).toBe(false);
  });

  test('does not open in another database', async () => {
    const slot = await slotOf(provider());
    const error = await errorOf(() => provider().unwrap([slot], otherBinding));
    expect(error).toBeInstanceOf(CorruptionError);
    expect(error.code).toBe('AUTHENTICATION_FAILED');
  });

  test('does not open altered at any byte, and is called altered', async () => {
    const slot = await slotOf(provider());
    const places = [0, 40, 80, 91, 92, 123, slot.wrapped.length - 1];
    for (const at of places) {
      const altered = { ...slot, wrapped: flipped(slot.wrapped, at) };
      const opening = await provider()
        .unwrap([altered], binding)
        .catch((error: unknown) => error);
      // The fake keeps the name of its key in front; another name is another key's.
      if (opening !== undefined) expect(opening, `byte ${at}`).toBeInstanceOf(CorruptionError);
    }
    const commitment = flipped(slot.commitment, 3);
    expect(await codeOf(() => provider().unwrap([{ ...slot, commitment }], binding))).toBe(
      'AUTHENTICATION_FAILED',
    );
  });

  test('does not open with another key, and is not asked of KMS for slots of other kinds', async () => {
    const slot = await slotOf(provider());
    expect(await openedSlot(provider({ keyId: aws.addKey() }), [slot])).toBeUndefined();
    aws.requests.length = 0;
    expect(await openedSlot(provider(), [{ ...slot, kind: 'passphrase' }])).toBeUndefined();
    expect(aws.requests).toEqual([]);
  });

  test('opens the slot of its key among others', async () => {
    const slots: KeySlot[] = [
      await slotOf(provider(), 1),
      await slotOf(provider({ keyId: aws.addKey() }), 2),
    ];
    expect(await openedSlot(provider(), slots)).toBe(1);
  });

  test('opens by an alias until the alias names another key', async () => {
    aws.pointAlias('alias/verity', arn);
    const slot = await slotOf(provider({ keyId: 'alias/verity' }));
    expect(keys.fromAwsKms({ keyId: 'alias/verity', endpoint }).describe().source).toBe(
      'alias/verity',
    );
    expect(await openedSlot(provider({ keyId: 'alias/verity' }), [slot])).toBe(1);
    aws.pointAlias('alias/verity', aws.addKey());
    expect(await openedSlot(provider({ keyId: 'alias/verity' }), [slot])).toBeUndefined();
    expect(await openedSlot(provider(), [slot])).toBe(1);
  });

  test('rotates by being wrapped again', async () => {
    const slot = await slotOf(provider());
    const rotation = await provider().rotate(newRoot(), binding);
    await rotation.activate();
    expect(rotation.slot.wrapped).not.toEqual(slot.wrapped);
    expect(await openedSlot(provider(), [{ id: 2, ...rotation.slot }])).toBe(2);
  });
});

describe('AWS KMS that does not answer', () => {
  const passing: [string, Fault[]][] = [
    ['throttles', [rejection('ThrottlingException'), rejection('TooManyRequestsException', 429)]],
    ['has an internal error', [rejection('KMSInternalException', 500), rejection('X', 503)]],
    ['cannot reach its key store', [rejection('KeyUnavailableException', 500)]],
    ['is slow in its parts', [rejection('DependencyTimeoutException', 503)]],
    ['resets the connection', ['reset', 'reset']],
    ['never answers a request', ['hang']],
    ['is a captive portal', ['html']],
  ];
  test.each(passing)('that %s is asked again', async (_name, faults) => {
    aws.faults.push(...faults);
    const slot = await slotOf(provider());
    expect(aws.requests).toHaveLength(faults.length + 1);
    aws.faults.push(...faults);
    expect(await openedSlot(provider(), [slot])).toBe(1);
  });

  test('because our clock is wrong is asked again by its own', async () => {
    const date = new Date(Date.now() + 3_600_000);
    aws.faults.push({ status: 400, type: 'InvalidSignatureException', date });
    await slotOf(provider());
    expect(aws.requests).toHaveLength(2);
  });

  test('is given up when the time is over, with what to check', async () => {
    const slot = await slotOf(provider());
    aws.faults.push(...Array.from({ length: 500 }, () => rejection('ThrottlingException')));
    const retry = { forMs: 60, firstPauseMs: 20, attemptMs: 200 };
    const error = await errorOf(() => provider({ retry }).unwrap([slot], binding));
    aws.faults.length = 0;
    expect(error.code).toBe('KEY_PROVIDER_UNAVAILABLE');
    expect(error.retryable).toBe(true);
    expect(error.message).toContain(arn);
    expect(error.message).toContain('ThrottlingException');
    expect(error.message).toContain('kms:Decrypt');
  });

  test('is asked once where no time is given', async () => {
    aws.faults.push('reset');
    const retry = { forMs: 0 };
    expect(await codeOf(() => provider({ retry }).wrap(newRoot(), binding))).toBe(
      'KEY_PROVIDER_UNAVAILABLE',
    );
    expect(aws.requests).toHaveLength(1);
  });

  test('at an address where nobody listens', async () => {
    const retry = { forMs: 30, firstPauseMs: 10, attemptMs: 200 };
    const nobody = provider({ endpoint: 'http://127.0.0.1:9', retry });
    const error = await errorOf(() => nobody.wrap(newRoot(), binding));
    expect(error.code).toBe('KEY_PROVIDER_UNAVAILABLE');
    expect(error.details['reason']).toBe('ECONNREFUSED');
  });
});

describe('AWS KMS that refuses is asked once', () => {
  const refusals: [string, number, string][] = [
    ['AccessDeniedException', 400, 'KEY_PROVIDER_DENIED'],
    ['UnrecognizedClientException', 400, 'KEY_PROVIDER_DENIED'],
    ['ExpiredTokenException', 400, 'KEY_PROVIDER_DENIED'],
    ['InvalidSignatureException', 403, 'KEY_PROVIDER_DENIED'],
    ['DisabledException', 400, 'KEY_PROVIDER_DENIED'],
    ['KMSInvalidStateException', 400, 'KEY_PROVIDER_DENIED'],
    ['NotFoundException', 400, 'KEY_MISSING'],
    ['InvalidKeyUsageException', 400, 'KEY_INVALID'],
    ['SomethingNewException', 418, 'KEY_PROVIDER_DENIED'],
  ];
  test.each(refusals)('with %s', async (type, status, code) => {
    const slot = await slotOf(provider());
    aws.requests.length = 0;
    aws.faults.push(rejection(type, status));
    const error = await errorOf(() => provider().unwrap([slot], binding));
    expect(error.code).toBe(code);
    expect(error.retryable).toBe(false);
    expect(error.message).toContain(type);
    expect(aws.requests).toHaveLength(1);
  });

  test('for a key that is not there', async () => {
    const slot = await slotOf(provider());
    aws.deleteKey(arn);
    expect(await codeOf(() => provider().unwrap([slot], binding))).toBe('KEY_MISSING');
  });

  test('without a region or credentials, and says which', async () => {
    const nowhere = keys.fromAwsKms({ keyId: arn, endpoint });
    expect(await errorOf(() => nowhere.wrap(newRoot(), binding))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('AWS_REGION') as string,
    });
    const restore = changeEnvironment({ AWS_ACCESS_KEY_ID: undefined });
    try {
      expect(await errorOf(() => provider().wrap(newRoot(), binding))).toMatchObject({
        code: 'KEY_PROVIDER_DENIED',
        message: expect.stringContaining('no credentials') as string,
      });
    } finally {
      restore();
    }
    expect(aws.requests).toEqual([]);
  });
});

test('a process that has nothing else to do waits for its key, and ends with the error', () => {
  const module = pathToFileURL(join(root, 'dist/database/index.js')).href;
  const script = `import { keys, Verity } from ${JSON.stringify(module)};
    const masterKey = keys.fromAwsKms({
      keyId: 'k', region: 'r', endpoint: 'http://127.0.0.1:9', retry: { forMs: 300, firstPauseMs: 100 },
    });
    const error = await Verity.open(process.argv[1], { masterKey }).catch((reason) => reason);
    console.log(error.code, error.details.attempts > 1);`;
  const directory = join(tmpdir(), `verity-waiting-${process.pid}`);
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script, directory], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  rmSync(directory, { recursive: true, force: true });
  expect([run.status, run.stdout.trim()]).toEqual([0, 'KEY_PROVIDER_UNAVAILABLE true']);
});

test('no error shows a credential, a request, or what AWS said in its own words', async () => {
  const slot = await slotOf(provider());
  const text = 'the plaintext is WlpaWlpaWlpaWlpa';
  const faults: Fault[] = [
    { status: 400, type: 'AccessDeniedException', message: text },
    { status: 400, type: `WlpaWlpa ${text}`, message: text },
    'html',
  ];
  for (const fault of faults) {
    for (const work of ['wrap', 'unwrap'] as const) {
      aws.faults.push(fault);
      const given = provider({ retry: { forMs: 0 } });
      const error = await errorOf(() =>
        work === 'wrap' ? given.wrap(newRoot(), binding) : given.unwrap([slot], binding),
      );
      for (const secret of [secretAccessKey, 'WlpaWlpa', 'captive', 'AWS4-HMAC']) {
        expect(shown(error), `${JSON.stringify(fault)} ${work}`).not.toContain(secret);
      }
    }
  }
});

test('a key never travels over plain HTTP to another machine', () => {
  for (const bad of ['http://kms.example.com', 'http://127.0.0.1.example.com', 'ftp://x', 'kms']) {
    expect(() => keys.fromAwsKms({ keyId: arn, endpoint: bad }), bad).toThrow(/https/);
  }
  for (const good of ['https://kms.example.com', 'http://localhost:4566', 'http://[::1]:1']) {
    expect(() => keys.fromAwsKms({ keyId: arn, endpoint: good }), good).not.toThrow();
  }
});

test('what it is can be shown, and needs no answer', () => {
  expect(provider().describe()).toEqual({
    kind: 'aws-kms',
    source: arn,
    parameters: { region: 'eu-central-1', endpoint },
    rotates: true,
  });
  expect(() => keys.fromAwsKms({ keyId: '' })).toThrow(/keyId/);
});
