import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { variableOfEnvFile } from './env-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-env-'));
const before = process.cwd();
beforeAll(() => process.chdir(folder));
afterAll(() => {
  process.chdir(before);
  rmSync(folder, { recursive: true });
});

const read = (): string | undefined => {
  const value = variableOfEnvFile('KEY');
  return value === undefined ? undefined : Buffer.from(value).toString('latin1');
};

test('a variable is read as Node reads it', () => {
  const files = [
    'KEY=abc',
    'KEY=abc\n',
    'KEY=abc\r\nOTHER=1\r\n',
    '# KEY=no\nKEY=abc # why\n',
    '  export KEY = abc  \n',
    'export\tKEY=abc\n',
    'KEY="abc"\n',
    "KEY='a#c' # why\n",
    'KEY=`abc`\nKEY2=no',
    'MY_KEY=no\nKEY_2=no\nKEY=abc',
    'KEY=first\nKEY=abc',
    'OTHER=KEY=no\nKEY=abc',
    'KEY=\nOTHER=1',
    'KEY=',
    'OTHER=1',
    'MY_KEY=no',
    'KEYNOTE=no',
    '',
  ];
  for (const content of files) {
    writeFileSync('.env', content);
    expect(read(), JSON.stringify(content)).toBe(parseEnv(content)['KEY']);
  }
});

test('without the file there is none', () => {
  rmSync('.env', { force: true });
  expect(read()).toBeUndefined();
});
