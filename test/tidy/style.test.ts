/** House style that no other tool checks. */
import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { Visitor } from 'oxc-parser';
import { describe, expect, test } from 'vitest';
import { filesUnder, isTest, layers, parse, readText, root } from '../support/project.ts';

const code = ['src', 'test', 'scripts', 'bench', 'examples']
  .flatMap(filesUnder)
  .filter((path) => path.endsWith('.ts') || path.endsWith('.mjs'));
const sources = code.filter((path) => path.startsWith('src/') && !isTest(path));

function found(paths: readonly string[], check: (path: string) => string | undefined): string[] {
  return paths.flatMap((path) => {
    const what = check(path);
    return what === undefined ? [] : [`${path}: ${what}`];
  });
}

test('no file is longer than 600 lines', () => {
  const tooLong = found(code, (path) => {
    const lines = readText(path).split('\n').length - 1;
    return lines > 600 ? `${lines} lines` : undefined;
  });
  expect(tooLong).toEqual([]);
});

test('file names are kebab-case', () => {
  const kebab = /^[a-z0-9]+(-[a-z0-9]+)*(\.prop)?(\.(test|long|bench|fuzz))?\.(ts|mjs)$/;
  expect(code.filter((path) => !kebab.test(basename(path)))).toEqual([]);
});

test('no default export, no enum, no namespace, no barrel but an index.ts', () => {
  const bad: string[] = [];
  for (const path of code) {
    new Visitor({
      ExportDefaultDeclaration: () => void bad.push(`${path}: default export`),
      TSEnumDeclaration: () => void bad.push(`${path}: enum`),
      TSModuleDeclaration: () => void bad.push(`${path}: namespace`),
      ExportAllDeclaration: () => {
        if (basename(path) !== 'index.ts') bad.push(`${path}: export *`);
      },
    }).visit(parse(path));
  }
  expect(bad).toEqual([]);
});

test('no comment switches a rule of the fence off, or all rules, or the compiler', () => {
  const guarded = /no-restricted|no-default-export|no-floating-promises|no-misused-promises/;
  const bad = found(code, (path) => {
    for (const line of readText(path).split('\n')) {
      const directive = /(?:oxlint|eslint)-disable(?:-next-line|-line)?\b(.*)/.exec(line);
      const rest = directive?.[1]
        ?.replace(/\*\/.*/, '')
        .replace(/--.*/, '')
        .trim();
      if (rest !== undefined && (rest === '' || guarded.test(rest))) return line.trim();
      if (/@ts-(?:nocheck|ignore)\b/.test(line)) return line.trim();
    }
    return undefined;
  });
  expect(bad.filter((line) => !line.startsWith('test/tidy/'))).toEqual([]);
});

test('sources expect no type errors', () => {
  expect(sources.filter((path) => readText(path).includes('@ts-expect-error'))).toEqual([]);
});

describe.each(layers())('layer %s', (layer) => {
  test('has a door, a README.md and a tsconfig.json', () => {
    for (const file of ['index.ts', 'README.md', 'tsconfig.json']) {
      expect(existsSync(join(root, 'src', layer, file)), `src/${layer}/${file}`).toBe(true);
    }
  });
});

test('nothing names a place that exists on one machine only', () => {
  const text = new Set(['.ts', '.mjs', '.md', '.json', '.sh', '.yml', '']);
  const private_ = ['work', 'farm', 'root'].join('|');
  const places = new RegExp(
    `(^|[^.\\w/-])/(${private_})/|/(home|Users)/[a-z]|\\b[A-Z]:\\\\Users|\\.\\./${'shared'}\\b`,
  );
  const paths = filesUnder('').filter(
    (path) => text.has(extname(path)) && path !== 'package-lock.json',
  );
  const bad = found(paths, (path) =>
    readText(path)
      .split('\n')
      .find((line) => places.test(line)),
  );
  expect(bad.filter((line) => !line.startsWith('test/tidy/style.test.ts'))).toEqual([]);
});

test('relative links in documents lead somewhere', () => {
  const documents = filesUnder('').filter((path) => path.endsWith('.md'));
  const bad = documents.flatMap((path) =>
    [...readText(path).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)/g)]
      .map(([, link = '']) => join(root, path, '..', link))
      .filter((target) => !existsSync(target))
      .map((target) => `${path} → ${target.slice(root.length)}`),
  );
  expect(bad).toEqual([]);
});
