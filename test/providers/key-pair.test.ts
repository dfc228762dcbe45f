import { createHash, createPublicKey } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CorruptionError } from '../../src/base/index.ts';
import type { NewKeySlot } from '../../src/crypto/index.ts';
import { keys, Verity } from '../../src/database/index.ts';
import { describeSlot } from '../../src/keys/index.ts';
import { cheapPair } from './cheap-pair.ts';
import {
  binding,
  codeOf,
  errorOf,
  flipped,
  newRoot,
  openedSlot,
  otherBinding,
  shown,
  slotOf,
} from './support.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-pair-'));
const passphrase = 'correct horse battery staple';
const file = join(folder, 'master.pair');
afterAll(() => rmSync(folder, { recursive: true }));
const made = join(folder, 'made.pair');
beforeAll(async () => {
  await keys.generateKeyPair({ privateKeyFile: made, passphrase });
  await cheapPair(file, passphrase);
});

const whole = { privateKeyFile: file, passphrase };

const path = (name: string): string => join(folder, name);
const writePrivate = (name: string, text: string): void =>
  writeFileSync(path(name), text, { mode: 0o600 });

/** A copy of the file with some members changed. */
function changed(name: string, change: (document: Record<string, unknown>) => void): string {
  const document = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  change(document);
  writePrivate(name, JSON.stringify(document));
  return path(name);
}

describe('a master key pair', () => {
  test('lies in a file for its owner alone, which tells its public key and nothing of the other', () => {
    expect(statSync(made).mode & 0o777).toBe(0o600);
    const document = JSON.parse(readFileSync(made, 'utf8')) as Record<string, unknown>;
    expect(Object.keys(document)).toEqual([
      'format',
      'publicKey',
      'argon2id',
      'commitment',
      'wrappedPrivateKey',
    ]);
    expect(document).toMatchObject({
      format: 'veritydb-key-pair/1',
      argon2id: { memoryKib: 65_536, passes: 3, lanes: 1 },
    });
    const exported = createPublicKey(keys.publicKeyOf(made));
    expect(exported.asymmetricKeyType).toBe('x25519');
    expect((exported.export({ format: 'jwk' }) as { x: string }).x).toBe(
      Buffer.from(document['publicKey'] as string, 'base64').toString('base64url'),
    );
  });

  test('opens what it wrapped, at the cost of this version', async () => {
    const given = keys.fromKeyPair({ privateKeyFile: made, passphrase });
    expect(await openedSlot(given, [await slotOf(given)])).toBe(1);
  });

  test('is never written over another file', async () => {
    const before = readFileSync(made);
    expect(await codeOf(() => keys.generateKeyPair({ privateKeyFile: made, passphrase }))).toBe(
      'KEY_INVALID',
    );
    expect(readFileSync(made)).toEqual(before);
    expect(
      await codeOf(() => keys.generateKeyPair({ privateKeyFile: path('no/where'), passphrase })),
    ).toBe('IO_ERROR');
    expect(
      await codeOf(() => keys.generateKeyPair({ privateKeyFile: path('new'), passphrase: '' })),
    ).toBe('KEY_INVALID');
    expect(existsSync(path('new'))).toBe(false);
  });

  test('opens what it wrapped; each slot has its own ephemeral key', async () => {
    const slots = [
      await slotOf(keys.fromKeyPair(whole), 1),
      await slotOf(keys.fromKeyPair(whole), 2),
    ];
    expect(slots[0]?.parameters.subarray(0, 33)).toEqual(slots[1]?.parameters.subarray(0, 33));
    for (const [from, to] of [
      [33, 65],
      [65, 97],
    ]) {
      const [first, second] = slots.map(({ parameters }) => parameters.subarray(from, to));
      expect(first).not.toEqual(second);
    }
    expect(await openedSlot(keys.fromKeyPair(whole), slots)).toBe(1);
    expect(await openedSlot(keys.fromKeyPair(whole), slots.slice(1))).toBe(2);
    expect(await openedSlot(keys.fromKeyPair(whole), [])).toBeUndefined();
  });

  test('names itself by what openssl says of its public key', async () => {
    const der = createPublicKey(keys.publicKeyOf(file)).export({ format: 'der', type: 'spki' });
    const fingerprint = createHash('sha256').update(der).digest('hex');
    expect(describeSlot(await slotOf(keys.fromKeyPair(whole)))).toEqual({
      algorithm: 'x25519',
      fingerprint,
      lockedWith: 'private key',
    });
    const unmarked = await slotOf(keys.fromKeyPair({ privateKeyFile: file }));
    expect(describeSlot(unmarked)).toEqual({
      algorithm: 'x25519',
      fingerprint,
      lockedWith: 'public key',
    });
    expect(describeSlot({ ...unmarked, parameters: new Uint8Array(65) })).toEqual({
      algorithm: 'x25519',
    });
  });

  test('wraps without its passphrase, and from the public key alone, and does not open so', async () => {
    const publicKeyFile = path('public.pem');
    writeFileSync(publicKeyFile, keys.publicKeyOf(file));
    for (const wrapper of [{ privateKeyFile: file }, { publicKeyFile }]) {
      const slot = await slotOf(keys.fromKeyPair(wrapper));
      expect(await codeOf(() => keys.fromKeyPair(whole).unwrap([slot], binding))).toBe(
        'KEY_SLOT_FOREIGN',
      );
      const accepting = keys.fromKeyPair({ ...whole, acceptForeign: true });
      expect(await openedSlot(accepting, [slot])).toBe(1);
      const renewed = (await accepting.unwrap([slot], binding))?.renewed as NewKeySlot;
      expect(await openedSlot(keys.fromKeyPair(whole), [{ id: 2, ...renewed }])).toBe(2);
      // What the pair's holder locked goes first, and is not made anew.
      const both = [slot, await slotOf(keys.fromKeyPair(whole), 2)];
      for (const provider of [accepting, keys.fromKeyPair(whole)]) {
        expect(await openedSlot(provider, both)).toBe(2);
        expect((await provider.unwrap(both, binding))?.renewed).toBeUndefined();
      }
      expect(await codeOf(() => keys.fromKeyPair(wrapper).unwrap([slot], binding))).toBe(
        'KEY_MISSING',
      );
      expect(await codeOf(() => keys.fromKeyPair(wrapper).rotate(newRoot(), binding))).toBe(
        'KEY_ROTATION_UNSUPPORTED',
      );
    }
  });

  test('does not open in another database, nor another pair’s slot', async () => {
    const slot = await slotOf(keys.fromKeyPair(whole));
    expect(await codeOf(() => keys.fromKeyPair(whole).unwrap([slot], otherBinding))).toBe(
      'AUTHENTICATION_FAILED',
    );
    const other = { privateKeyFile: path('other.pair'), passphrase };
    await cheapPair(other.privateKeyFile, passphrase);
    expect(await openedSlot(keys.fromKeyPair(other), [slot])).toBeUndefined();
  });

  test('tells a wrong passphrase from an altered slot', async () => {
    const slot = await slotOf(keys.fromKeyPair(whole));
    const wrong = keys.fromKeyPair({ privateKeyFile: file, passphrase: `${passphrase}!` });
    const error = await errorOf(() => wrong.unwrap([slot], binding));
    expect(error.code).toBe('WRONG_KEY');
    expect(error.message).toContain(file);
    const altered = { ...slot, wrapped: flipped(slot.wrapped, 5) };
    await expect(keys.fromKeyPair(whole).unwrap([altered], binding)).rejects.toThrow(
      CorruptionError,
    );
    const lost = (parameters: Uint8Array): Promise<string> =>
      codeOf(() => keys.fromKeyPair(whole).unwrap([{ ...slot, parameters }], binding));
    const { parameters } = slot;
    expect(await lost(flipped(parameters, 40))).toBe('AUTHENTICATION_FAILED');
    // A public key of small order gives no secret.
    const small = Uint8Array.from(parameters).fill(0, 33, 65);
    expect(await lost(small)).toBe('AUTHENTICATION_FAILED');
    expect(await lost(parameters.subarray(0, 65))).toBe('KEY_SLOT_FOREIGN');
    for (const length of [0, 1, 33, 64, 66, 96]) {
      const short = { ...slot, parameters: parameters.subarray(0, length) };
      expect(await openedSlot(keys.fromKeyPair(whole), [short]), `${length}`).toBeUndefined();
    }
  });
});

test('a file and slots that versions before wrote open', async () => {
  const golden = {
    format: 'veritydb-key-pair/1',
    publicKey: 'GlNoBgsdakVOtspoux1BWU9Z2uT324HpxZva60+utCk=',
    argon2id: { memoryKib: 65_536, passes: 3, lanes: 1, salt: 'wy21SVNpsF0ajNfOt+nYJw==' },
    commitment: 'Z3cpoT/PRLxOhLIW//h1SDzou/HcTWvOe0Kfq42m4nI=',
    wrappedPrivateKey: 'kY84MY0H0LGMTjgKI7ltfJ8ElYQ5Ynj/4/TVWK3W6/48HbcV0EjlEQ==',
  };
  writePrivate('golden.pair', JSON.stringify(golden));
  const slot = {
    id: 8,
    kind: 'key-pair',
    parameters: Buffer.from(
      '1a5368060b1d6a454eb6ca68bb1d41594f59dae4f7db81e9c59bdaeb4faeb429' +
        'b0d7a2e1a79f0696ac56634aa77cf2211f398f91a1d9891a5a05ba670f9af639',
      'hex',
    ),
    commitment: Buffer.from(
      '652fd619bd265139b91d34b9732bd26f4fb5d8c64231b0e1d5cf87cc5ad767cf',
      'hex',
    ),
    wrapped: Buffer.from(
      'c6bc15e9ebba57ea7b8923726e1d779b5a57ecd300b86dcd5eb75cad2b4651a66d3349b69f75f895',
      'hex',
    ),
  };
  const given = keys.fromKeyPair({ privateKeyFile: path('golden.pair'), passphrase });
  // It cannot have a mark.
  expect(await codeOf(() => given.unwrap([slot], binding))).toBe('KEY_SLOT_FOREIGN');
  const setting = { privateKeyFile: path('golden.pair'), passphrase, acceptForeign: true };
  expect(await openedSlot(keys.fromKeyPair(setting), [slot])).toBe(8);
  expect(describeSlot(slot)).toMatchObject({ publicKey: expect.stringMatching(/^1a5368/) });
  const markedSlot = {
    id: 9,
    kind: 'key-pair',
    parameters: Buffer.from(
      '0260b07b78064d810b332bbd0770ebd26b65f0e83001d1f337f58e66bb2e79b77c66673867b6ebec' +
        '54962a1487717ca523fe5adc81c2a233730bd8cc563556eb57670c3ec534a32a10b0cce2614b0337' +
        '978bcebb61ad7353bbbacca2d3046ac283',
      'hex',
    ),
    commitment: Buffer.from(
      '5ff98a6e98be8a4484e7d524734772561b386fa700bcb200be8cb49276caf987',
      'hex',
    ),
    wrapped: Buffer.from(
      'd2dbd311c7caf45eff01544e74e3b3c0bd7b8618dfcdf34307eb0cfe82be460797ff97e685ca745d',
      'hex',
    ),
  };
  expect(await openedSlot(given, [slot, markedSlot])).toBe(9);
});

describe('the file of a key pair', () => {
  test('that is missing, no file, or malformed is told apart', async () => {
    const unwrapOf = (privateKeyFile: string): Promise<string> =>
      codeOf(() => keys.fromKeyPair({ privateKeyFile, passphrase }).unwrap([], binding));
    expect(await unwrapOf(path('nowhere'))).toBe('KEY_MISSING');
    expect(await unwrapOf(folder)).toBe('KEY_MISSING');
    const texts = [
      '',
      '{',
      'null',
      '[]',
      '"text"',
      '{}',
      `${'11'.repeat(32)}\n`,
      'x'.repeat(9_000),
    ];
    for (const [index, text] of texts.entries()) {
      writePrivate(`bad-${index}`, text);
      expect(await unwrapOf(path(`bad-${index}`)), text.slice(0, 20)).toBe('KEY_INVALID');
    }
    const changes: ((document: Record<string, unknown>) => void)[] = [
      (document) => void (document['format'] = 'veritydb-key-pair/2'),
      (document) => void delete document['publicKey'],
      (document) => void (document['publicKey'] = 'AAAA'),
      (document) => void (document['argon2id'] = null),
      (document) => void (document['argon2id'] = { memoryKib: 1 << 30, passes: 3, lanes: 1 }),
      (document) => Object.assign(document['argon2id'] as object, { memoryKib: 1 << 30 }),
      (document) => Object.assign(document['argon2id'] as object, { passes: 1.5 }),
      (document) => Object.assign(document['argon2id'] as object, { lanes: '1' }),
    ];
    for (const [index, change] of changes.entries()) {
      expect(await unwrapOf(changed(`changed-${index}`, change)), String(change)).toBe(
        'KEY_INVALID',
      );
    }
  });

  test('with somebody else’s public key in it wraps nothing where the passphrase is known', async () => {
    const other = path('attacker.pair');
    await cheapPair(other, 'mine');
    const { publicKey } = JSON.parse(readFileSync(other, 'utf8')) as { publicKey: string };
    const swapped = changed('swapped', (document) => void (document['publicKey'] = publicKey));
    const given = keys.fromKeyPair({ privateKeyFile: swapped, passphrase });
    expect(await codeOf(() => given.wrap(newRoot(), binding))).toBe('KEY_INVALID');
    expect(await codeOf(() => given.unwrap([], binding))).toBe('KEY_INVALID');
  });

  test('whose private key was altered is no matter of the passphrase', async () => {
    const altered = changed('altered', (document) => {
      const wrapped = Buffer.from(document['wrappedPrivateKey'] as string, 'base64');
      document['wrappedPrivateKey'] = Buffer.from(flipped(wrapped, 7)).toString('base64');
    });
    expect(
      await codeOf(() =>
        keys.fromKeyPair({ privateKeyFile: altered, passphrase }).unwrap([], binding),
      ),
    ).toBe('KEY_INVALID');
  });

  test('a public key must be one of X25519', async () => {
    const ofFile = (publicKeyFile: string): Promise<string> =>
      codeOf(() => keys.fromKeyPair({ publicKeyFile }).wrap(newRoot(), binding));
    expect(await ofFile(path('nowhere.pem'))).toBe('KEY_MISSING');
    writeFileSync(path('text.pem'), 'no key');
    expect(await ofFile(path('text.pem'))).toBe('KEY_INVALID');
    const ed25519 = 'MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=';
    writeFileSync(
      path('ed.pem'),
      `-----BEGIN PUBLIC KEY-----\n${ed25519}\n-----END PUBLIC KEY-----\n`,
    );
    expect(await ofFile(path('ed.pem'))).toBe('KEY_INVALID');
    const small = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), Buffer.alloc(32)]);
    writeFileSync(
      path('small.pem'),
      `-----BEGIN PUBLIC KEY-----\n${small.toString('base64')}\n-----END PUBLIC KEY-----\n`,
    );
    expect(await ofFile(path('small.pem'))).toBe('KEY_INVALID');
  });
});

describe('a rotation of the key pair', () => {
  test('takes effect when it is activated, through a link to the file, and leaves no other file', async () => {
    const real = path('real.pair');
    await cheapPair(real, passphrase);
    symlinkSync(real, path('link.pair'));
    const given = keys.fromKeyPair({ privateKeyFile: path('link.pair'), passphrase });
    const old = await slotOf(given);
    const before = readFileSync(real);
    const rotation = await given.rotate(newRoot(), binding);
    const slots = [old, { id: 2, ...rotation.slot }];
    expect(readFileSync(real)).toEqual(before);
    expect(await openedSlot(given, slots)).toBe(1);
    await rotation.activate();
    expect(await openedSlot(given, slots)).toBe(2);
    expect(statSync(real).mode & 0o777).toBe(0o600);
    expect(readFileSync(path('link.pair'))).toEqual(readFileSync(real));
    expect(existsSync(`${real}.next`)).toBe(false);
  });

  test('that is discarded, or was left behind, changes nothing', async () => {
    const privateKeyFile = path('kept.pair');
    await cheapPair(privateKeyFile, passphrase);
    const given = keys.fromKeyPair({ privateKeyFile, passphrase });
    const old = await slotOf(given);
    await (await given.rotate(newRoot(), binding)).discard();
    expect(existsSync(`${privateKeyFile}.next`)).toBe(false);
    await given.rotate(newRoot(), binding);
    const rotation = await given.rotate(newRoot(), binding);
    expect(await openedSlot(given, [old])).toBe(1);
    await rotation.activate();
    expect(await openedSlot(given, [{ id: 3, ...rotation.slot }])).toBe(3);
  });
});

test('a database opens with the pair again, and with no other', async () => {
  const directory = path('data');
  {
    await using db = await Verity.open(directory, { masterKey: keys.fromKeyPair(whole) });
    await db.createTenant('clinic');
    expect(db.status().keySlots).toEqual([{ id: 1, kind: 'key-pair' }]);
  }
  {
    await using db = await Verity.open(directory, { masterKey: keys.fromKeyPair(whole) });
    expect(db.tenants()).toEqual(['clinic']);
  }
  const other = { privateKeyFile: path('stranger.pair'), passphrase };
  await cheapPair(other.privateKeyFile, passphrase);
  expect(await codeOf(() => Verity.open(directory, { masterKey: keys.fromKeyPair(other) }))).toBe(
    'WRONG_KEY',
  );
});

test('nothing of the passphrase or a key is shown', async () => {
  const given = keys.fromKeyPair(whole);
  expect(shown(given)).not.toContain('horse');
  expect(given.describe()).toEqual({
    kind: 'key-pair',
    source: file,
    parameters: { algorithm: 'x25519', opens: true },
    rotates: true,
  });
  const wrong = keys.fromKeyPair({ privateKeyFile: file, passphrase: 'pony express' });
  expect(shown(await errorOf(() => wrong.unwrap([], binding)))).not.toContain('pony');
  expect(() => keys.fromKeyPair({})).toThrow(/fromKeyPair needs/);
  const text = { ...whole, acceptForeign: 'yes' as unknown as boolean };
  expect(() => keys.fromKeyPair(text)).toThrow(/acceptForeign is true or false/);
  expect(keys.fromKeyPair({ ...whole, acceptForeign: true }).describe().parameters).toEqual({
    algorithm: 'x25519',
    opens: true,
    acceptForeign: true,
  });
  expect(() => keys.fromKeyPair({ privateKeyFile: 'a', publicKeyFile: 'b' })).toThrow(/needs/);
});
