import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex, utf8Encode } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import { StateChanges } from './state-changes.ts';
import { StateContents } from './state-contents.ts';
import { bucketEntriesMax, trieSummary, updateTrie } from './state-trie.ts';

class Nodes {
  readonly map = new Map<string, Uint8Array>();
  get(prefix: string): Uint8Array | undefined {
    return this.map.get(prefix)?.slice();
  }
  put(prefix: string, node: Uint8Array | undefined): void {
    if (node === undefined) this.map.delete(prefix);
    else this.map.set(prefix, node.slice());
  }
}

interface Change {
  readonly path: Uint8Array;
  readonly commitment: Uint8Array | undefined;
}

function begin(nodes: Nodes, changes: readonly Change[]): ReturnType<typeof updateTrie> {
  const all = new StateChanges(changes.length);
  for (const { path, commitment } of changes) {
    const at = all.add(commitment === undefined);
    all.bytes.set(path, at);
    if (commitment !== undefined) all.bytes.set(commitment, at + 32);
  }
  return updateTrie(nodes, all);
}

/** The hash of the top after the changes. */
function update(nodes: Nodes, changes: readonly Change[]): string {
  const run = begin(nodes, changes);
  for (;;) {
    const step = run.next();
    if (step.done === true) return toHex(step.value.hash);
  }
}

const concat = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const tagged = (tag: number, ...parts: Uint8Array[]): Uint8Array =>
  sha256(concat(Uint8Array.of(tag), ...parts));

/** The hash of the top straight from its definition, of all entries at once. */
function defined(entries: ReadonlyMap<string, Uint8Array>): string {
  const below = (paths: readonly string[], depth: number): Uint8Array => {
    if (paths.length <= bucketEntriesMax) {
      const ordered = paths.toSorted();
      const rows = ordered.map((path) => concat(bytes(path), entries.get(path) as Uint8Array));
      return tagged(0, ...rows);
    }
    let children = 0;
    const hashes: Uint8Array[] = [];
    for (let digit = 0; digit < 4; digit++) {
      const there = paths.filter((path) => digitOf(path, depth) === digit);
      if (there.length === 0) continue;
      children |= 1 << digit;
      hashes.push(below(there, depth + 1));
    }
    return tagged(1, Uint8Array.of(children), ...hashes);
  };
  return toHex(entries.size === 0 ? new Uint8Array(32) : below([...entries.keys()], 0));
}

/** Two bits of a path, of its hex digits. */
const digitOf = (path: string, depth: number): number =>
  (Number.parseInt(path.charAt(depth >> 1), 16) >> (depth % 2 === 0 ? 2 : 0)) & 3;
const bytes = (hex: string): Uint8Array => fromHex(hex) as Uint8Array;
const pathOf = (row: number): Uint8Array => sha256(utf8Encode(`row ${row}`));
/** Paths that share their first bytes with others, so that the trie is deep. */
const closePath = (row: number): Uint8Array => {
  const path = pathOf(row);
  path.fill(7, 0, row % 4 === 0 ? 3 : 0);
  return path;
};
const commitmentOf = (version: number): Uint8Array => sha256(utf8Encode(`version ${version}`));

const change = fc.record({
  row: fc.nat(300),
  version: fc.nat(1_000),
  removed: fc.boolean(),
});
const batches = fc.array(fc.array(change, { maxLength: 200 }), { minLength: 1, maxLength: 10 });

describe('the trie of a state', () => {
  test.each([
    ['scattered', pathOf],
    ['close', closePath],
  ] as const)('is what its definition says after any batches, paths %s', (_how, path) => {
    fc.assert(
      fc.property(batches, fc.array(fc.nat(8), { maxLength: 10 }), (all, stops) => {
        const nodes = new Nodes();
        const entries = new Map<string, Uint8Array>();
        for (const [number, batch] of all.entries()) {
          const changes = batch.map(({ row, version, removed }) => ({
            path: path(row),
            commitment: removed ? undefined : commitmentOf(version),
          }));
          for (const { path: at, commitment } of changes) {
            if (commitment === undefined) entries.delete(toHex(at));
            else entries.set(toHex(at), commitment);
          }
          // One that stopped half way, as before a crash, is done again.
          const stopped = begin(nodes, changes);
          for (let steps = stops[number] ?? 0; steps > 0; steps--) stopped.next();
          expect(update(nodes, changes)).toBe(defined(entries));
          const { count, hash } = trieSummary(nodes);
          expect([count, toHex(hash)]).toEqual([entries.size, defined(entries)]);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('leaves nothing behind when all rows are removed', () => {
    const nodes = new Nodes();
    const rows = Array.from({ length: 500 }, (_, row) => row);
    update(
      nodes,
      rows.map((row) => ({ path: closePath(row), commitment: commitmentOf(row) })),
    );
    expect(nodes.map.size).toBeGreaterThan(30);
    const removed = rows.map((row) => ({ path: closePath(row), commitment: undefined }));
    expect(update(nodes, removed)).toBe('00'.repeat(32));
    expect(nodes.map.size).toBe(0);
  });

  test('is the same in many slices and in one batch after another, of many thousand rows', () => {
    const rows = Array.from({ length: 12_000 }, (_, row) => ({
      path: pathOf(row % 9_000),
      commitment: row % 7 === 3 ? undefined : commitmentOf(row),
    }));
    const once = new Nodes();
    const run = begin(once, rows);
    const costs: number[] = [];
    let step = run.next();
    for (; step.done !== true; step = run.next()) costs.push(step.value);
    expect(Math.max(...costs)).toBeLessThan(5_500);
    expect(costs.length).toBeGreaterThan(100);
    const bits = new Nodes();
    let hash = '';
    for (let at = 0; at < rows.length; at += 900) hash = update(bits, rows.slice(at, at + 900));
    expect(hash).toBe(toHex(step.value.hash));
    const dump = ({ map }: Nodes): string[] =>
      [...map].map(([prefix, node]) => `${prefix} ${toHex(node)}`).toSorted();
    expect(dump(bits).join()).toBe(dump(once).join());
    const contents = new StateContents();
    for (const { path, commitment } of new Map(rows.map((row) => [toHex(row.path), row])).values())
      if (commitment !== undefined) contents.add(path, commitment);
    const summary = contents.summary();
    let part = summary.next();
    while (part.done !== true) part = summary.next();
    expect(part.value).toEqual(step.value);
  });

  test('tells any two sets apart that differ in a path, a commitment or a row', () => {
    const base = Array.from({ length: 40 }, (_, row) => ({
      path: pathOf(row),
      commitment: commitmentOf(row),
    }));
    const hashes = new Set<string>();
    const add = (entries: readonly Change[]): void => {
      hashes.add(update(new Nodes(), entries));
    };
    add(base);
    for (let row = 0; row < base.length; row++) {
      add(base.filter((_, index) => index !== row));
      add(base.map((entry, index) => (index === row ? { ...entry, path: pathOf(99) } : entry)));
      add(
        base.map((entry, index) =>
          index === row ? { ...entry, commitment: commitmentOf(99) } : entry,
        ),
      );
    }
    expect(hashes.size).toBe(1 + 3 * base.length);
  });
});
