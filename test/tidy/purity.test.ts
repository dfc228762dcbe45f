/** The pure half: the same input gives the same output, for ever and everywhere. */
import { Visitor } from 'oxc-parser';
import { expect, test } from 'vitest';
import { layerRules } from '../support/architecture.ts';
import { layers, parse, readText, sourcesOf } from '../support/project.ts';

/** What would let a clock, chance, the process or the outside world in. */
const forbidden = new Set([
  'process',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'performance',
  'console',
  'fetch',
  'globalThis',
  'require',
  'WebSocket',
  'Worker',
  'eval',
  'Function',
  'WeakRef',
  'FinalizationRegistry',
]);
const forbiddenMembers = new Set([
  'Date.now',
  'Math.random',
  'Atomics.wait',
  'crypto.getRandomValues',
]);

function impurities(path: string, names: ReadonlySet<string>): string[] {
  const text = readText(path);
  const found: string[] = [];
  const report = (what: string, start: number): void => {
    found.push(`${path}:${text.slice(0, start).split('\n').length} ${what}`);
  };
  // The name in `a.name` and the key in `{ name: … }` or `interface { name: … }` call nothing.
  const harmless = new Set<number>();
  new Visitor({
    MemberExpression: (node) => {
      if (node.computed) return;
      harmless.add(node.property.start);
      if (node.object.type !== 'Identifier' || node.property.type !== 'Identifier') return;
      const member = `${node.object.name}.${node.property.name}`;
      if (forbiddenMembers.has(member)) report(member, node.start);
    },
    Property: (node) => {
      if (!node.computed && !node.shorthand) harmless.add(node.key.start);
    },
    PropertyDefinition: (node) => void harmless.add(node.key.start),
    MethodDefinition: (node) => void harmless.add(node.key.start),
    TSPropertySignature: (node) => void harmless.add(node.key.start),
    TSMethodSignature: (node) => void harmless.add(node.key.start),
    NewExpression: (node) => {
      if (node.callee.type !== 'Identifier' || node.callee.name !== 'Date') return;
      if (node.arguments.length === 0) report('new Date()', node.start);
    },
    CallExpression: (node) => {
      if (node.callee.type === 'Identifier' && node.callee.name === 'Date')
        report('Date()', node.start);
    },
    Identifier: (node) => {
      if (names.has(node.name) && !harmless.has(node.start)) report(node.name, node.start);
    },
    TSModuleDeclaration: (node) => report('declare module or global', node.start),
  }).visit(parse(path));
  return found;
}

const present = layers();
const pure = layerRules()
  .filter((rule) => rule.pure && present.includes(rule.layer))
  .map((rule) => rule.layer);

test.each(pure.filter((layer) => layer !== 'crypto'))(
  '%s reads no clock, draws no chance and reaches nothing outside',
  (layer) => {
    const names = new Set([...forbidden, 'Buffer']);
    expect(sourcesOf(layer).flatMap((path) => impurities(path, names))).toEqual([]);
  },
);

test('crypto reads no clock and reaches nothing but node:crypto and node:zlib', () => {
  expect(sourcesOf('crypto').flatMap((path) => impurities(path, forbidden))).toEqual([]);
});
