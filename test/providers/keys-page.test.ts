/** What docs/keys.md shows is what the code takes. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseKeyUri } from '../../src/cli/master-key-uri.ts';
import { keys } from '../../src/database/index.ts';
import { compile, readText, root } from '../support/project.ts';

const page = readText('docs/keys.md');

test('its examples compile', () => {
  const folder = mkdtempSync(join(tmpdir(), 'verity-keys-page-'));
  try {
    const blocks = [...page.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code as string);
    expect(blocks).toHaveLength(4);
    for (const [index, code] of blocks.entries()) {
      writeFileSync(join(folder, `example-${index}.ts`), code);
    }
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    const compilerOptions = {
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      target: 'es2023',
      lib: ['es2023', 'esnext.disposable'],
      module: 'nodenext',
      types: ['node'],
      paths: { veritydb: [join(root, 'dist/database/index.d.ts')] },
    };
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    expect(compile(folder, '-p', '.')).toEqual({ status: 0, output: '' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('its table names providers and URIs that there are', () => {
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('| ') && line.includes('`keys.from'));
  const named = rows.map((row) => /`keys\.(\w+)/.exec(row)?.[1]);
  const made = Object.keys(keys).filter((name) => name.startsWith('from'));
  expect(new Set(named)).toEqual(new Set(made));
  const uris = [...page.matchAll(/--master-key "([^"]+)"/g)].map(([, uri]) => uri as string);
  uris.push(
    ...rows.flatMap(
      (row) => /`((?:file|env|passphrase|key-pair|aws-\w+):[^`]*)`/.exec(row)?.[1] ?? [],
    ),
  );
  expect(uris.length).toBeGreaterThan(6);
  for (const uri of uris) expect(() => parseKeyUri(uri), uri).not.toThrow();
  const token = /`(pkcs11:token=[^`]+)`/.exec(page)?.[1]?.replaceAll('…', 'x.so');
  expect(parseKeyUri(token ?? '')).toEqual({
    kind: 'pkcs11',
    token: 'verity',
    slot: undefined,
    key: 'master',
    module: '/usr/lib/x.so',
    pinFile: '/path',
  });
});
