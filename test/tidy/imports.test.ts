/** The import table, read again from every import: the code, tsconfig.json and ARCHITECTURE.md agree. */
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { layerRules } from '../support/architecture.ts';
import {
  compile,
  filesUnder,
  type Import,
  importsOf,
  isTest,
  layers,
  readText,
  referencesOf,
  root,
  sourcesOf,
} from '../support/project.ts';

const names = layers();
const rules = new Map(layerRules().map((rule) => [rule.layer, rule]));

interface Crossing extends Import {
  readonly file: string;
}

function crossingsOf(layer: string): Crossing[] {
  return sourcesOf(layer).flatMap((file) => importsOf(file).map((found) => ({ file, ...found })));
}

/** The path a relative specifier leads to, from the root; undefined for a package. */
function targetOf({ file, specifier }: Crossing): string | undefined {
  return specifier?.startsWith('.') === true
    ? posix.join(posix.dirname(file), specifier)
    : undefined;
}

const where = ({ file, line, specifier }: Crossing): string => `${file}:${line} ${specifier}`;

test('every layer with code stands in the table of ARCHITECTURE.md and in tsconfig.json', () => {
  const solution = JSON.parse(readText('tsconfig.json')) as { references: { path: string }[] };
  expect([...rules.keys()].toSorted()).toEqual(names);
  expect(solution.references.map(({ path }) => posix.basename(path)).toSorted()).toEqual(names);
});

describe.each(names)('layer %s', (layer) => {
  test('refers to exactly the layers of the table', () => {
    expect(referencesOf(layer)).toEqual(rules.get(layer)?.imports);
  });

  test('imports only those layers, and each through its index.ts', () => {
    const allowed = rules.get(layer)?.imports ?? [];
    const bad = crossingsOf(layer).filter((crossing) => {
      const target = targetOf(crossing);
      if (target === undefined || target.startsWith(`src/${layer}/`)) return false;
      return !allowed.some((other) => target === `src/${other}/index.ts`);
    });
    expect(bad.map(where)).toEqual([]);
  });

  test('imports only the packages of the table', () => {
    const allowed = rules.get(layer)?.packages ?? [];
    const bad = crossingsOf(layer).filter((crossing) => {
      const { specifier } = crossing;
      if (specifier === undefined) return true;
      if (targetOf(crossing) !== undefined) return false;
      if (specifier.startsWith('node:') && allowed.includes('node:*')) return false;
      return !allowed.some((name) => specifier === name || specifier.startsWith(`${name}/`));
    });
    expect(bad.map(where)).toEqual([]);
  });

  test('its tests, too, open other layers through their index.ts', () => {
    const bad = filesUnder(`src/${layer}`)
      .filter(isTest)
      .flatMap((file) => importsOf(file).map((found) => ({ file, ...found })))
      .filter((crossing) => {
        const [, other, ...rest] = (targetOf(crossing) ?? '').split('/');
        if (targetOf(crossing)?.startsWith('src/') !== true || other === layer) return false;
        return rest.join('/') !== 'index.ts';
      });
    expect(bad.map(where)).toEqual([]);
  });
});

test('every package of the table is a dependency, and every dependency is in the table', () => {
  const manifest = JSON.parse(readText('package.json')) as {
    dependencies: Record<string, string>;
    peerDependencies: Record<string, string>;
  };
  const used = [...rules.values()].flatMap((rule) => rule.packages);
  const packages = new Set(used.filter((name) => !name.startsWith('node:')));
  const dependencies = { ...manifest.dependencies, ...manifest.peerDependencies };
  expect([...packages].toSorted()).toEqual(Object.keys(dependencies).toSorted());
});

const withoutNode = names.filter((layer) => rules.get(layer)?.pure === true && layer !== 'crypto');
test.each(withoutNode)("no file of Node's types takes part in compiling %s", (layer) => {
  const { output } = compile(root, '-p', `src/${layer}`, '--listFilesOnly');
  expect(output).toContain(`src/${layer}/index.ts`);
  expect(output.split('\n').filter((path) => path.includes('@types/node'))).toEqual([]);
});
