import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { inspect } from 'node:util';
import { hashRaw } from '@node-rs/argon2';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { CorruptionError, type LogId, VerityError } from '../base/index.ts';
import {
  type KeySlot,
  type MasterKeyProvider,
  SecretKey,
  type SlotBinding,
} from '../crypto/index.ts';
import { optionalPackage } from './optional-package.ts';
import {
  describeSlot,
  fromEnv,
  fromFile,
  fromPassphrase,
  fromRecoveryCode,
  generateFile,
  generateRecoveryCode,
} from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-keys-'));
const variable = 'VERITY_KEYS_TEST';
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  delete process.env[variable];
});

const digits = Array.from({ length: 32 }, (_, index) => index.toString(16).padStart(2, '0')).join(
  '',
);
const passphrase = 'correct horse battery staple';
const code = 'JA7N-Z8R8-ZKAA-D98B-95EJ-2WH8-XPDN-CCHY-SNWA-9G36';
const binding: SlotBinding = { logId: new Uint8Array(16).fill(0x10) as LogId };
const rootBytes = (): Uint8Array => new Uint8Array(32).fill(0x5a);

function keyFile(name: string, content: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, content, { mode: 0o600 });
  return path;
}

const slotOf = (
  kind: string,
  parameters: string,
  commitment: string,
  wrapped: string,
): KeySlot => ({
  id: 1,
  kind,
  parameters: Buffer.from(parameters, 'hex'),
  commitment: Buffer.from(commitment, 'hex'),
  wrapped: Buffer.from(wrapped, 'hex'),
});

/** Slots that revision 1 wrote; they must open for ever. */
const written = {
  hex: slotOf(
    'master-key',
    '',
    'd0992d895fc60c50dd2bc2445686ac0395bee98864c10beb3bcb023257f2261f',
    '828bd07e8ba3f5e0d164ad173feb8413b6a0df9ba2d35a8f6fee4e3377a2a348db81bef960848642',
  ),
  passphrase: slotOf(
    'passphrase',
    '0000010003000000010000003fdcec36e9a391815929ecd23ea0882c',
    '230151d6f428e942331620a96bce66b55af31457c9473fdf8e2dfa5fea9bc47c',
    '679e362872d1fe0d3aa6c7ac8cc983b522449661fe330d549e294285cfdfb1290af0ef20928819c9',
  ),
  recovery: slotOf(
    'recovery',
    'b25dae659d34348f4146d66e46c7b5a53455270b6f28da88f44f4866910f0336',
    'c40206beab863189b4b684a8bef46c274894940515b11140bd470a0589f49cc4',
    '4c582be6230591f66ccaaf41b5a09e7e96d5e19b204003a36287b9aba6b3b941282ae0bac7abf3d1',
  ),
};
const allSlots = Object.values(written);

const opened = async (provider: MasterKeyProvider, slots: readonly KeySlot[]): Promise<boolean> => {
  const root = (await provider.unwrap(slots, binding))?.root;
  if (root === undefined) return false;
  expect(root.expose()).toEqual(rootBytes());
  return true;
};

const codeOf = async (work: () => unknown): Promise<string> => {
  try {
    await work();
  } catch (error) {
    if (error instanceof VerityError) return error.code;
    throw error;
  }
  return 'done';
};

describe('slots that revision 1 wrote open', () => {
  test('with a key file', async () => {
    expect(await opened(fromFile(keyFile('plain', `${digits}\n`)), allSlots)).toBe(true);
    expect(await opened(fromFile(keyFile('dos', `${digits.toUpperCase()}\r\n`)), allSlots)).toBe(
      true,
    );
  });

  test('with the environment', async () => {
    process.env[variable] = digits;
    expect(await opened(fromEnv(variable), allSlots)).toBe(true);
  });

  test('with .env in the working directory, which the environment overrules', async () => {
    const before = process.cwd();
    keyFile('.env', `# keys\n${variable}="${digits}"\nOTHER=1\n`);
    process.chdir(folder);
    try {
      expect(await opened(fromEnv(variable), allSlots)).toBe(true);
      process.env[variable] = '11'.repeat(32);
      expect(await opened(fromEnv(variable), allSlots)).toBe(false);
    } finally {
      process.chdir(before);
    }
  });

  test('with a passphrase, in any Unicode form', async () => {
    expect(await opened(fromPassphrase(passphrase), allSlots)).toBe(true);
    expect(await opened(fromPassphrase('ｃorrect horse battery staple'), allSlots)).toBe(true);
    expect(await opened(fromPassphrase(`${passphrase} `), allSlots)).toBe(false);
  });

  test('with a recovery code, however it is typed', async () => {
    const typed = [code, code.toLowerCase(), code.replaceAll('-', ''), code.replaceAll('-', ' ')];
    typed.push(code.replaceAll('1', 'l').replaceAll('0', 'o'), ` ${code}\n`);
    for (const text of typed) expect(await opened(fromRecoveryCode(text), allSlots)).toBe(true);
  });
});

describe('each provider', () => {
  const providers: [string, () => MasterKeyProvider, () => MasterKeyProvider][] = [
    ['file', () => fromFile(keyFile('a', digits)), () => fromFile(keyFile('b', '22'.repeat(32)))],
    ['passphrase', () => fromPassphrase('one'), () => fromPassphrase('two')],
    ['recovery code', () => fromRecoveryCode(code), () => fromRecoveryCode(generateRecoveryCode())],
  ];

  test.each(providers)(
    'of a %s opens what it wrapped, and another of its kind does not',
    async (_, make, other) => {
      const slot = { id: 7, ...(await make().wrap(new SecretKey(rootBytes()), binding)) };
      expect(await opened(make(), [slot])).toBe(true);
      expect(await opened(other(), [slot])).toBe(false);
      expect(await opened(make(), [])).toBe(false);
    },
  );

  test.each(providers)(
    'of a %s finds its slot among others of its kind',
    async (_, make, other) => {
      const slots = await Promise.all(
        [other(), make(), other()].map(async (provider, index) => ({
          id: index + 1,
          ...(await provider.wrap(new SecretKey(rootBytes()), binding)),
        })),
      );
      expect(await opened(make(), slots)).toBe(true);
    },
  );

  test.each(providers)('of a %s tells an altered slot from a wrong key', async (_, make) => {
    const slot = { id: 7, ...(await make().wrap(new SecretKey(rootBytes()), binding)) };
    const wrapped = Uint8Array.from(slot.wrapped, (byte, index) =>
      index === 20 ? byte ^ 1 : byte,
    );
    await expect(make().unwrap([{ ...slot, wrapped }], binding)).rejects.toThrow(CorruptionError);
    const commitment = Uint8Array.from(slot.commitment, (byte) => byte ^ 1);
    expect(await make().unwrap([{ ...slot, commitment }], binding)).toBeUndefined();
  });

  test.each(providers)('of a %s shows nothing of its key', (name, make) => {
    const shown = inspect(make(), { depth: Infinity, showHidden: true });
    for (const secret of [digits, digits.slice(0, 16), 'one', code, code.slice(0, 9)]) {
      if (name !== 'file' || secret !== 'one') expect(shown).not.toContain(secret);
    }
  });
});

describe('a key that is missing or malformed is told apart from a wrong one', () => {
  test('in a file', async () => {
    const codeFor = (content: string | Uint8Array): Promise<string> =>
      codeOf(() => fromFile(keyFile('bad', content)).unwrap(allSlots, binding));
    expect(await codeOf(() => fromFile(join(folder, 'nowhere')).unwrap(allSlots, binding))).toBe(
      'KEY_MISSING',
    );
    expect(await codeOf(() => fromFile(folder).unwrap(allSlots, binding))).toBe('KEY_MISSING');
    const malformed = ['', digits.slice(1), `${digits}0`, digits.replace('0', 'g'), ` ${digits}`];
    for (const content of malformed) expect(await codeFor(content), content).toBe('KEY_INVALID');
    expect(await codeFor(Buffer.from(digits, 'hex'))).toBe('KEY_INVALID');
    expect(await codeFor(`${digits}\n${digits}\n`)).toBe('KEY_INVALID');
  });

  test('in the environment', async () => {
    expect(await codeOf(() => fromEnv(variable).unwrap(allSlots, binding))).toBe('KEY_MISSING');
    process.env[variable] = '';
    expect(await codeOf(() => fromEnv(variable).unwrap(allSlots, binding))).toBe('KEY_MISSING');
    process.env[variable] = 'not a key';
    expect(await codeOf(() => fromEnv(variable).unwrap(allSlots, binding))).toBe('KEY_INVALID');
  });

  test('as a passphrase', async () => {
    expect(await codeOf(() => fromPassphrase(''))).toBe('KEY_INVALID');
    expect(await codeOf(() => fromPassphrase('x'.repeat(4_097)))).toBe('KEY_INVALID');
  });

  test('as a recovery code: no character can be mistyped unseen, but for one in 256', async () => {
    expect(await codeOf(() => fromRecoveryCode(''))).toBe('KEY_INVALID');
    expect(await codeOf(() => fromRecoveryCode(code.slice(0, -1)))).toBe('KEY_INVALID');
    expect(await codeOf(() => fromRecoveryCode(`${code}0`))).toBe('KEY_INVALID');
    expect(await codeOf(() => fromRecoveryCode(code.replace('J', 'U')))).toBe('KEY_INVALID');
    let unseen = 0;
    let tried = 0;
    const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
    for (let index = 0; index < code.length; index++) {
      if (code[index] === '-') continue;
      for (const character of alphabet) {
        if (character === code[index]) continue;
        tried += 1;
        const typed = code.slice(0, index) + character + code.slice(index + 1);
        if ((await codeOf(() => fromRecoveryCode(typed))) === 'done') unseen += 1;
      }
    }
    expect(tried).toBe(40 * 31);
    expect(unseen).toBeLessThan(tried / 64);
  });

  test('a message names the source, never what it holds', async () => {
    const secret = 'deadbeef'.repeat(7);
    process.env[variable] = secret;
    for (const provider of [fromFile(keyFile('secret', secret)), fromEnv(variable)]) {
      const error = await provider.unwrap(allSlots, binding).catch((reason: unknown) => reason);
      expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('deadbeef');
    }
  });
});

describe('the passphrase is stretched', () => {
  test('by the Argon2id of the reference implementation', async () => {
    const stretched = await hashRaw('password', {
      algorithm: 2,
      memoryCost: 65_536,
      timeCost: 2,
      parallelism: 1,
      outputLen: 32,
      salt: Buffer.from('somesalt'),
    });
    expect(stretched.toString('hex')).toBe(
      '09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7',
    );
  });

  test('under another salt each time', async () => {
    const wrap = (): ReturnType<MasterKeyProvider['wrap']> =>
      fromPassphrase('one').wrap(new SecretKey(rootBytes()), binding);
    const [first, second] = [await wrap(), await wrap()];
    expect(first.parameters).not.toEqual(second.parameters);
    expect(first.commitment).not.toEqual(second.commitment);
  });

  test('never at a cost that would take the machine down', async () => {
    const costs = [
      [0xffff_ffff, 3, 1],
      [1 << 21, 3, 1],
      [65_536, 65, 1],
      [65_536, 3, 17],
      [65_536, 0, 1],
      [7, 3, 1],
    ];
    for (const [memory = 0, passes = 0, lanes = 0] of costs) {
      const parameters = Buffer.alloc(28);
      parameters.writeUInt32LE(memory, 0);
      parameters.writeUInt32LE(passes, 4);
      parameters.writeUInt32LE(lanes, 8);
      const slot = { ...written.passphrase, parameters };
      expect(await codeOf(() => fromPassphrase('one').unwrap([slot], binding))).toBe('KEY_INVALID');
    }
    const short = { ...written.passphrase, parameters: new Uint8Array(27) };
    expect(await codeOf(() => fromPassphrase('one').unwrap([short], binding))).toBe('KEY_INVALID');
  });
});

describe('what a provider is', () => {
  test('is told without a secret, and without reading the key', () => {
    const described = [
      fromFile('/nowhere/key'),
      fromEnv('NO_SUCH_VARIABLE'),
      fromPassphrase('a secret phrase'),
      fromRecoveryCode(code),
    ].map((provider) => provider.describe());
    expect(described).toEqual([
      { kind: 'file', source: '/nowhere/key', parameters: {}, rotates: true },
      { kind: 'environment', source: 'NO_SUCH_VARIABLE', parameters: {}, rotates: false },
      {
        kind: 'passphrase',
        source: '',
        parameters: { memoryKib: 65_536, passes: 3, lanes: 1 },
        rotates: true,
      },
      { kind: 'recovery', source: '', parameters: {}, rotates: false },
    ]);
  });

  test('is told of stored slots, too', () => {
    expect(allSlots.map(describeSlot)).toEqual([
      {},
      { algorithm: 'argon2id', memoryKib: 65_536, passes: 3, lanes: 1 },
      {},
    ]);
    const parameters = Buffer.from('{"key":"arn:aws:kms:x"}');
    expect(describeSlot({ ...written.hex, kind: 'aws-kms', parameters })).toEqual({
      key: 'arn:aws:kms:x',
    });
    expect(describeSlot({ ...written.hex, kind: 'passphrase' })).toMatchObject({ memoryKib: 0 });
    const pair = { ...written.hex, kind: 'key-pair', parameters: Buffer.alloc(64, 0xab) };
    expect(describeSlot(pair)).toMatchObject({
      algorithm: 'x25519',
      publicKey: 'ab'.repeat(32),
      lockedWith: 'public key',
    });
    const bad = { ...written.hex, kind: 'pkcs11', parameters: Buffer.from('{') };
    expect(() => describeSlot(bad)).toThrow(CorruptionError);
  });
});

test('a key file may be a pipe', async () => {
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const writer = spawn('sh', ['-c', `printf ${digits} > '${path}'`]);
  expect(await opened(fromFile(path), allSlots)).toBe(true);
  writer.kill();
});

test('an optional package that is not there is named, with how to install it', async () => {
  const error = await optionalPackage('not-a-package', () =>
    Promise.reject(new Error("Cannot find package 'not-a-package'")),
  ).catch((reason: unknown) => reason);
  expect(error).toMatchObject({
    code: 'KEY_PROVIDER_MISSING',
    message: expect.stringContaining('npm install not-a-package') as string,
    details: { package: 'not-a-package' },
  });
});

describe('what is generated', () => {
  test('is a key file for its owner alone, and never over another file', async () => {
    const path = join(folder, 'generated');
    await generateFile(path);
    expect(readFileSync(path, 'latin1')).toMatch(/^[0-9a-f]{64}\n$/);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const before = readFileSync(path);
    expect(await codeOf(() => generateFile(path))).toBe('KEY_INVALID');
    expect(readFileSync(path)).toEqual(before);
    expect(await codeOf(() => generateFile(join(folder, 'no', 'where')))).toBe('IO_ERROR');
  });

  test('is a recovery code of ten groups of four, another each time', () => {
    const codes = Array.from({ length: 200 }, generateRecoveryCode);
    expect(new Set(codes).size).toBe(codes.length);
    for (const made of codes) {
      expect(made).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){9}$/);
      fromRecoveryCode(made);
    }
  });
});
