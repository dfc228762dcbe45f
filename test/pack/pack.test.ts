/**
 * The package as a stranger gets it: packed, installed from the tarball into an empty project, its types
 * compiled against, README's example run through the SDK, and the command run. Needs the npm registry
 * (or npm's cache) for the package's own dependencies, and nothing else outside this folder.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compile, readText, root } from '../support/project.ts';

const stepMs = 180_000;

interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(directory: string, command: string, args: readonly string[]): Outcome {
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|VITEST|VERITY_)/i.test(name)),
  );
  return spawnSync(command, args, {
    cwd: directory,
    encoding: 'utf8',
    timeout: stepMs,
    env: { ...environment, NO_COLOR: '1' },
  });
}

function npm(directory: string, ...args: string[]): Outcome {
  const script = process.env['npm_execpath'];
  return script?.endsWith('.js') === true
    ? run(directory, process.execPath, [script, ...args])
    : run(directory, 'npm', args);
}

let project: string;
let packed: string[];

function node(...args: string[]): Outcome {
  return run(project, process.execPath, args);
}

const verity = (...args: string[]): Outcome => node('node_modules/.bin/verity', ...args);

/** The first TypeScript block of a document. */
function exampleOf(path: string): string {
  const [, code] = /```ts\n([\s\S]*?)```/.exec(readText(path)) ?? [];
  if (code === undefined) throw new Error(`${path} has no TypeScript block`);
  return code;
}

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'verity-pack-'));
  const pack = npm(root, 'pack', '--json', '--ignore-scripts', '--pack-destination', project);
  expect(pack.status, pack.stderr).toBe(0);
  const [tarball] = JSON.parse(pack.stdout) as { filename: string; files: { path: string }[] }[];
  if (tarball === undefined) throw new Error(`npm pack packed nothing: ${pack.stdout}`);
  packed = tarball.files.map((file) => file.path);
  writeFileSync(
    join(project, 'package.json'),
    '{ "name": "empty", "type": "module", "private": true }\n',
  );
  const flags = ['--no-audit', '--no-fund', '--prefer-offline'];
  const install = npm(project, 'install', ...flags, `./${tarball.filename}`);
  expect(install.status, install.stderr).toBe(0);
  // What every project in TypeScript for Node has: Node's types.
  mkdirSync(join(project, 'node_modules/@types'), { recursive: true });
  for (const name of ['@types/node', 'undici-types']) {
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name), 'junction');
  }
  writeFileSync(
    join(project, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        target: 'es2023',
        lib: ['es2023', 'esnext.disposable'],
        module: 'nodenext',
        types: ['node'],
        outDir: 'out',
        rootDir: '.',
      },
      include: ['*.ts'],
    }),
  );
  const init = verity('init', 'data');
  expect(init.status, init.stdout + init.stderr).toBe(0);
}, 2 * stepMs);

afterAll(() => rmSync(project, { recursive: true, force: true }));

describe('the packed package', () => {
  test('holds the build, the documents and nothing of tests or sources', () => {
    expect(packed).toEqual(
      expect.arrayContaining([
        'dist/cli/main.js',
        'dist/database/index.d.ts',
        'dist/envelope/index.d.ts',
        'proto/veritydb/envelope/v1/encrypted_blob.proto',
        'LICENSE',
        'README.md',
      ]),
    );
    const strays = packed.filter((path) =>
      /\.test\.|\.bench\.|\.tsbuildinfo$|^(src|test|scripts|bench|examples)\//.test(path),
    );
    expect(strays).toEqual([]);
  });

  test(
    "compiles README's example with its types, library checks on, and runs it",
    () => {
      writeFileSync(join(project, 'example.ts'), exampleOf('README.md'));
      expect(compile(project, '-p', '.')).toEqual({ status: 0, output: '' });
      const { status, stdout, stderr } = node('out/example.js');
      expect(status, stdout + stderr).toBe(0);
      expect(stdout).toContain('Graz → Linz');
      expect(stdout).toContain('dr.berger');
      expect(stdout.trimEnd().endsWith('true')).toBe(true);
    },
    stepMs,
  );

  test(
    "compiles the envelope's example with its types, library checks on, and runs it",
    () => {
      writeFileSync(join(project, 'envelope.ts'), exampleOf('docs/envelope.md'));
      expect(compile(project, '-p', '.')).toEqual({ status: 0, output: '' });
      const { status, stdout, stderr } = node('out/envelope.js');
      expect(status, stdout + stderr).toBe(0);
      expect(stdout).toBe('{"done":3}\ntrue\n');
    },
    stepMs,
  );

  test(
    'refuses at compile time what its types do not allow',
    () => {
      writeFileSync(
        join(project, 'wrong.ts'),
        [
          "import { Verity } from 'veritydb';",
          "const db = await Verity.open('./other', { masterKey: 'secret' });",
          "await db.tenant('clinic').query('SELECT 1', [Symbol('no')]);",
        ].join('\n'),
      );
      const { output } = compile(project, '-p', '.', '--noEmit');
      rmSync(join(project, 'wrong.ts'));
      expect(output).toContain('wrong.ts(2,');
      expect(output).toContain('wrong.ts(3,');
    },
    stepMs,
  );

  test(
    'its command reads what the SDK wrote, and verifies it',
    () => {
      const sql = verity(
        'sql',
        'data',
        '--tenant',
        'clinic',
        '--format',
        'json',
        '-c',
        'SELECT * FROM people',
      );
      expect(sql.status, sql.stderr).toBe(0);
      expect(sql.stdout).toContain('Linz');
      expect(verity('verify', 'data').status).toBe(0);
      expect(
        verity('sql', 'data', '--tenant', 'clinic', '-c', 'SELECT nothing FROM nowhere').status,
      ).toBe(1);
      expect(verity('no-such-command').status).toBe(2);
      expect(verity('sim', '--seed', '1').status).toBe(0);
    },
    stepMs,
  );

  test('needs no file outside its own folder', () => {
    const script = readFileSync(join(project, 'node_modules/veritydb/dist/cli/main.js'), 'utf8');
    expect(script.startsWith('#!/usr/bin/env node\n')).toBe(true);
  });
});
