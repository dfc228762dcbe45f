/** The command as a user runs it, on databases with one changed byte. It runs dist/. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Prng } from '../../src/base/index.ts';
import { keys, Verity } from '../../src/database/index.ts';
import { nodeDisk } from '../../src/host/index.ts';
import { cleanEnvironment, mainScript } from '../cli/verity-command.ts';
import { type DiskImage, imageOf } from './disk-image.ts';
import { fillSample } from './sample-database.ts';
import { type Flip, Judge } from './sweep.ts';

const flipCount = 100;
const atOnce = 2;
/** Another one each time; give the one that a failure names to see it again. */
const seed = Number(process.env['VERITY_TEST_SEED'] ?? Date.now() % 1_000_000);

const folder = mkdtempSync(join(tmpdir(), 'verity-cli-flips-'));
const directory = join(folder, 'data');
const keyFile = `${directory}.key`;
let image: DiskImage;

beforeAll(async () => {
  await keys.generateFile(keyFile);
  const db = await Verity.open(directory, { masterKey: keys.fromFile(keyFile) });
  await fillSample(db, 100);
  await db.close();
  image = imageOf(nodeDisk(directory, { readOnly: true }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function randomFlips(): Flip[] {
  const prng = new Prng(seed);
  const all = [...image].map(([path, bytes]): [string, number] => [path, bytes.length]);
  const total = all.reduce((sum, [, length]) => sum + length, 0);
  return Array.from({ length: flipCount }, () => {
    let offset = prng.below(total);
    const mask = 1 + prng.below(255);
    for (const [path, length] of all) {
      if (offset < length) return { path, offset, mask };
      offset -= length;
    }
    throw new Error('beyond the last file');
  });
}

interface Answer {
  readonly exitCode: number | string | undefined;
  readonly findings: readonly {
    readonly code: string;
    readonly file: string;
    readonly offset: number;
    readonly message: string;
  }[];
}

function verify(path: string): Promise<Answer> {
  const args = [mainScript, 'verify', path, '--key-file', keyFile, '--json'];
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      args,
      { env: cleanEnvironment, timeout: 60_000 },
      (error, stdout, stderr) => {
        try {
          const { findings } = JSON.parse(stdout) as Pick<Answer, 'findings'>;
          resolve({ exitCode: error === null ? 0 : (error.code ?? undefined), findings });
        } catch (cause) {
          reject(new Error(`verify printed no JSON: ${stdout}${stderr}`, { cause }));
        }
      },
    );
  });
}

async function answerTo(flip: Flip, copy: string): Promise<Answer> {
  cpSync(directory, copy, { recursive: true, filter: (source) => !source.endsWith('LOCK') });
  const bytes = readFileSync(join(copy, flip.path));
  bytes[flip.offset] = (bytes[flip.offset] as number) ^ flip.mask;
  writeFileSync(join(copy, flip.path), bytes);
  try {
    return await verify(copy);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

test('verity verify answers with exit code 3, file and offset to 100 random changed bytes', async () => {
  const judge = new Judge(image);
  const flips = randomFlips();
  const wrong: string[] = [];
  const next = flips.entries();
  const work = async (): Promise<void> => {
    for (const [number, flip] of next) {
      const { exitCode, findings } = await answerTo(flip, join(folder, `copy-${number}`));
      const [finding] = findings;
      const right = exitCode === 3 && finding !== undefined && judge.isRight(flip, finding);
      if (!right) wrong.push(`${JSON.stringify(flip)}: ${exitCode} ${JSON.stringify(findings)}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  expect(wrong, `VERITY_TEST_SEED=${seed}`).toEqual([]);
});

test('verity verify answers with exit code 0 and no finding to the bytes as they are', async () => {
  expect(await verify(directory)).toEqual({ exitCode: 0, findings: [] });
});
