/**
 * The fence between layers, tried on a small project that has the real tsconfig files and one
 * constant a layer: what the compiler refuses there, it refuses here.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layerRules } from '../support/architecture.ts';
import { compile, layerFolders, referencesOf, root } from '../support/project.ts';

const names = layerFolders();
const pure = layerRules()
  .filter((rule) => rule.pure)
  .map((rule) => rule.layer);

/** All layers that `layer` reaches through references; the compiler lets it import each of them. */
function reachable(layer: string): Set<string> {
  const found = new Set<string>();
  const pending = referencesOf(layer);
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    pending.push(...referencesOf(next));
  }
  return found;
}

let fixture: string;

function write(path: string, text: string): void {
  writeFileSync(join(fixture, path), text);
}

/** Puts `text` into a file of its own in `layer`, compiles the layer, and returns the compiler's output. */
function compileWith(layer: string, text: string): string {
  write(`src/${layer}/probe.ts`, text);
  const { output } = compile(fixture, '-p', `src/${layer}`, '--noEmit');
  rmSync(join(fixture, `src/${layer}/probe.ts`));
  return output;
}

beforeAll(() => {
  fixture = mkdtempSync(join(tmpdir(), 'verity-fence-'));
  symlinkSync(join(root, 'node_modules'), join(fixture, 'node_modules'), 'junction');
  cpSync(join(root, 'tsconfig.base.json'), join(fixture, 'tsconfig.base.json'));
  write('package.json', '{ "type": "module" }');
  write(
    'tsconfig.json',
    JSON.stringify({ files: [], references: names.map((name) => ({ path: `src/${name}` })) }),
  );
  for (const name of names) {
    mkdirSync(join(fixture, 'src', name), { recursive: true });
    cpSync(join(root, 'src', name, 'tsconfig.json'), join(fixture, 'src', name, 'tsconfig.json'));
    write(`src/${name}/index.ts`, `export const layer: string = '${name}';\n`);
  }
  const built = compile(fixture, '-b');
  if (built.status !== 0) throw new Error(`The fixture itself does not compile:\n${built.output}`);
});

afterAll(() => rmSync(fixture, { recursive: true, force: true }));

describe.each(names)('layer %s', (layer) => {
  test('compiles with an import of every layer it refers to', () => {
    const text = referencesOf(layer)
      .map((name) => `export { layer as ${name} } from '../${name}/index.ts';`)
      .join('\n');
    expect(compileWith(layer, text)).toBe('');
  });

  test('does not compile with an import of any layer above or beside it', () => {
    const allowed = reachable(layer);
    const forbidden = names.filter((name) => name !== layer && !allowed.has(name));
    const lines = forbidden.map(
      (name) => `export { layer as ${name} } from '../${name}/index.ts';`,
    );
    const output = compileWith(layer, lines.join('\n'));
    for (const index of forbidden.keys()) {
      expect(output).toMatch(new RegExp(`probe\\.ts\\(${index + 1},\\d+\\): error TS6059`));
    }
    expect(output === '').toBe(forbidden.length === 0);
  });
});

describe.each(pure.filter((layer) => layer !== 'crypto'))('pure layer %s', (layer) => {
  test('does not compile with a file, a timer, the process or a Buffer', () => {
    const output = compileWith(
      layer,
      [
        "import { readFileSync } from 'node:fs';",
        'export const timer: unknown = setTimeout(() => {}, 1);',
        'export const id: unknown = process.pid;',
        'export const bytes: unknown = Buffer.alloc(1);',
        'export const file: unknown = readFileSync;',
      ].join('\n'),
    );
    for (const line of [1, 2, 3, 4]) expect(output).toContain(`probe.ts(${line},`);
  });
});
