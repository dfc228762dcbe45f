/** What holds a secret shows none: under every way that JavaScript has of looking at a value. */
import { Console } from 'node:console';
import { randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { format, inspect } from 'node:util';
import { serialize } from 'node:v8';
import { afterAll, describe, expect, test } from 'vitest';
import type { TenantId } from '../../src/base/index.ts';
import { SecretKey, SectionKey } from '../../src/crypto/index.ts';
import { keys, Verity, VerityError } from '../../src/database/index.ts';
import { loadKeys } from '../../src/engine/index.ts';
import { EnvelopeCipher, KekRing } from '../../src/envelope/index.ts';
import { nodeDisk } from '../../src/host/index.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-secrets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const secret = Uint8Array.from({ length: 32 }, (_, index) => 0xa1 + index);
const passphrase = 'correct horse battery staple';
const recoveryCode = 'JA7N-Z8R8-ZKAA-D98B-95EJ-2WH8-XPDN-CCHY-SNWA-9G36';
const hex = Buffer.from(secret).toString('hex');
const keyFile = join(folder, 'data.key');
writeFileSync(keyFile, hex, { mode: 0o600 });
process.env['VERITY_SECRETS_TEST'] = hex;
const newKey = (): SecretKey => new SecretKey(secret.slice());

/** How a secret could show: digits, numbers in a row, text. A few of its bytes are enough to find it. */
function tracesIn(text: string, bytes: Uint8Array = secret): string[] {
  const part = Buffer.from(bytes.subarray(4, 10));
  const forms = {
    hex: part.toString('hex'),
    spaced: part.toString('hex').replaceAll(/(..)(?=.)/g, '$1 '),
    listed: [...part].join(','),
    shown: [...part].join(', '),
    base64: Buffer.from(bytes.subarray(3, 12)).toString('base64'),
    latin1: part.toString('latin1'),
    passphrase,
    recoveryCode,
    recoveryDigits: recoveryCode.replaceAll('-', ''),
  };
  return Object.entries(forms)
    .filter(([, form]) => text.toLowerCase().includes(form.toLowerCase()))
    .map(([name]) => name);
}

/** Everything that a formatter, a log library or a careless line of code makes of a value. */
const looks: Record<string, (value: object) => unknown> = {
  'util.inspect': (value) => inspect(value),
  'util.inspect of all that is hidden': (value) =>
    inspect(value, {
      depth: Infinity,
      showHidden: true,
      getters: true,
      showProxy: true,
      maxArrayLength: null,
    }),
  'util.inspect without custom functions': (value) =>
    inspect(value, { depth: Infinity, showHidden: true, getters: true, customInspect: false }),
  'util.format': (value) => format('%s %o %O %j %d', value, value, value, value, value),
  'JSON.stringify': (value) => JSON.stringify({ value, list: [value] }),
  'a template': (value) => `${value as unknown as string}`,
  'String()': (value) => String(value as unknown as string),
  concatenation: (value) => ['', value as unknown as string].reduce((sum, part) => sum + part),
  toLocaleString: (value: object) => (value as { toLocaleString(): string }).toLocaleString(),
  'Object.prototype.toString': (value: object) => Object.prototype.toString.call(value),
  'an error message': (value) =>
    inspect(new Error(String(value as unknown as string), { cause: value }), { depth: 9 }),
  "an error's cause": (value) =>
    inspect(new VerityError('KEY_INVALID', 'No.', { cause: value, details: { value } }), {
      depth: Infinity,
      showHidden: true,
    }),
  'console.log': (value) => {
    let written = '';
    const stream = new Writable({
      write(chunk, _encoding, done) {
        written += String(chunk);
        done();
      },
    });
    const terminal = new Console({ stdout: stream, inspectOptions: { depth: 9 } });
    terminal.log(value, { value });
    terminal.dir(value, { showHidden: true, depth: 9 });
    terminal.table([value]);
    return written;
  },
  spread: (value) => inspect({ ...value }, { depth: 9 }) + JSON.stringify({ ...value }),
  'Object.assign': (value) => inspect(Object.assign({}, value), { depth: 9 }),
  'Object.entries': (value) => inspect(Object.entries(value), { depth: 9 }),
  'own properties, also hidden ones': (value) =>
    inspect(
      Reflect.ownKeys(value).map((key) => (value as Record<PropertyKey, unknown>)[key]),
      { depth: 9, showHidden: true },
    ),
  'v8.serialize': (value) => whatItMakes(() => serialize(value).toString('latin1')),
  structuredClone: (value) =>
    whatItMakes(() => inspect(structuredClone(value), { depth: 9, showHidden: true })),
  'a message to a worker': (value) => {
    const { port1, port2 } = new MessageChannel();
    try {
      return whatItMakes(() => port1.postMessage(value));
    } finally {
      port1.close();
      port2.close();
    }
  },
};

/** What a copy shows; a value that refuses to be copied shows nothing. */
function whatItMakes(copy: () => unknown): unknown {
  try {
    return copy();
  } catch (error) {
    return String(error);
  }
}

const held: Record<string, object> = {
  SecretKey: newKey(),
  'SecretKey in use': ((): SecretKey => {
    const key = newKey();
    key.handle();
    return key;
  })(),
  SectionKey: new SectionKey(newKey(), new Uint8Array(32), {
    logId: new Uint8Array(16),
    tenant: 1,
    secretNumber: 1,
    algorithm: 'aes-256-gcm',
  }),
  'KekRing.fromKeys': KekRing.fromKeys([{ id: 'a', key: secret.slice() }]),
  EnvelopeCipher: new EnvelopeCipher(KekRing.fromKeys([{ id: 'a', key: secret.slice() }])),
  'keys.fromFile': keys.fromFile(keyFile),
  'keys.fromEnv': keys.fromEnv('VERITY_SECRETS_TEST'),
  'keys.fromPassphrase': keys.fromPassphrase(passphrase),
  'keys.fromRecoveryCode': keys.fromRecoveryCode(recoveryCode),
  'keys.fromKeyPair': keys.fromKeyPair({ privateKeyFile: keyFile, passphrase }),
};

describe.each(Object.entries(held))('%s', (_name, value) => {
  test.each(Object.entries(looks))('shows nothing to %s', (_look, look) => {
    expect(tracesIn(String(look(value)))).toEqual([]);
    expect(tracesIn(String(look({ nested: { deeply: [value] } })))).toEqual([]);
  });
});

test('a key prints [secret], and nothing else', () => {
  const key = newKey();
  for (const text of [String(key), `${key as unknown as string}`, inspect(key), key.toJSON()])
    expect(text).toBe('[secret]');
  expect(JSON.stringify({ key })).toBe('{"key":"[secret]"}');
  expect(inspect({ key })).toBe('{ key: [secret] }');
  expect(Reflect.ownKeys(key)).toEqual([]);
  expect(Number(key)).toBeNaN();
});

test('the looks would see a secret that is not held: each finds some trace of a plain one', () => {
  const plain = { toString: (): string => hex, bytes: secret, text: hex };
  for (const [name, look] of Object.entries(looks)) {
    if (
      [
        'Object.prototype.toString',
        'a message to a worker',
        'structuredClone',
        'v8.serialize',
      ].includes(name)
    )
      continue;
    expect(tracesIn(String(look(plain))), name).not.toEqual([]);
  }
  const copied = { bytes: secret, text: hex };
  for (const name of ['structuredClone', 'v8.serialize'])
    expect(tracesIn(String(looks[name]?.(copied))), name).not.toEqual([]);
});

test('an open database, its tenants, and what its engine holds show no key', async () => {
  const directory = join(folder, 'data');
  const db = await Verity.open(directory, { masterKey: keys.fromFile(keyFile) });
  const clinic = await db.createTenant('clinic');
  const envelopeKeys = clinic.envelopeKeys(await clinic.createEnvelopeKey());
  const hierarchy = await loadKeys(nodeDisk(directory, { readOnly: true }), keys.fromFile(keyFile));
  const { keyring, root } = hierarchy;
  const number = keyring.newestSecret(1 as TenantId) ?? 0;
  const epochSecret = keyring.epochSecret(1 as TenantId, number, root);
  hierarchy.sectionKey(1 as TenantId, number, randomFillSync(new Uint8Array(32)));
  const secrets = [root.expose(), epochSecret?.expose() as Uint8Array, secret];
  const kek = envelopeKeys.kek(envelopeKeys.currentId);
  secrets.push(kek?.expose() as Uint8Array);
  for (const value of [db, clinic, hierarchy, keyring, envelopeKeys]) {
    for (const [name, look] of Object.entries(looks)) {
      const shown = String(look(value));
      for (const bytes of secrets) expect(tracesIn(shown, bytes), name).toEqual([]);
    }
  }
  await db.close();
});
