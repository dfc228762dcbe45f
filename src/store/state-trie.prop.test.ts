import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex, utf8Encode } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import { bucketEntriesMax, stateHash, type StateChange, updateTrie } from './state-trie.ts';

class Nodes {
  readonly map = new Map<string, Uint8Array>();
  get(prefix: string): Uint8Array | undefined {
    return this.map.get(prefix);
  }
  put(prefix: string, node: Uint8Array | undefined): void {
    if (node === undefined) this.map.delete(prefix);
    else this.map.set(prefix, node);
  }
}

const concat = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const tagged = (tag: number, ...parts: Uint8Array[]): Uint8Array =>
  sha256(concat(Uint8Array.of(tag), ...parts));

/** The state hash straight from its definition, of all entries at once. */
function defined(entries: ReadonlyMap<string, Uint8Array>): string {
  const below = (paths: readonly string[], depth: number): Uint8Array => {
    if (paths.length === 0) return new Uint8Array(32);
    if (paths.length <= bucketEntriesMax) {
      const ordered = paths.toSorted();
      const rows = ordered.map((path) => concat(bytes(path), entries.get(path) as Uint8Array));
      return tagged(0, ...rows);
    }
    const children = Array.from('0123456789abcdef', (nibble) =>
      below(
        paths.filter((path) => path.charAt(depth) === nibble),
        depth + 1,
      ),
    );
    return tagged(1, ...children);
  };
  const count = new Uint8Array(8);
  new DataView(count.buffer).setUint32(0, entries.size, true);
  return toHex(tagged(2, count, below([...entries.keys()], 0)));
}

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
  row: fc.nat(150),
  version: fc.nat(1_000),
  removed: fc.boolean(),
});
const batches = fc.array(fc.array(change, { maxLength: 60 }), { minLength: 1, maxLength: 12 });

describe('the state hash', () => {
  test.each([
    ['scattered', pathOf],
    ['close', closePath],
  ] as const)('is what its definition says after any batches, paths %s', (_how, path) => {
    fc.assert(
      fc.property(batches, (all) => {
        const nodes = new Nodes();
        const entries = new Map<string, Uint8Array>();
        for (const batch of all) {
          const changes: StateChange[] = batch.map(({ row, version, removed }) => ({
            path: path(row),
            commitment: removed ? undefined : commitmentOf(version),
          }));
          for (const { path: at, commitment } of changes) {
            if (commitment === undefined) entries.delete(toHex(at));
            else entries.set(toHex(at), commitment);
          }
          const root = toHex(updateTrie(nodes, changes));
          expect(root).toBe(defined(entries));
          expect(toHex(stateHash(nodes))).toBe(root);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('leaves nothing behind when all rows are removed', () => {
    const nodes = new Nodes();
    const rows = Array.from({ length: 500 }, (_, row) => row);
    const empty = toHex(stateHash(nodes));
    updateTrie(
      nodes,
      rows.map((row) => ({ path: closePath(row), commitment: commitmentOf(row) })),
    );
    expect(nodes.map.size).toBeGreaterThan(30);
    const removed = rows.map((row) => ({ path: closePath(row), commitment: undefined }));
    expect(toHex(updateTrie(nodes, removed))).toBe(empty);
    expect(nodes.map.size).toBe(0);
  });

  test('tells any two sets apart that differ in a path, a commitment or a row', () => {
    const base = Array.from({ length: 40 }, (_, row) => ({
      path: pathOf(row),
      commitment: commitmentOf(row),
    }));
    const hashes = new Set<string>();
    const add = (entries: readonly StateChange[]): void => {
      hashes.add(toHex(updateTrie(new Nodes(), entries)));
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
