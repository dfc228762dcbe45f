/** docs/format/state-hash.md, followed by hand: its vectors, and that the store makes the same of the same rows. */
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { ObjectId, TenantId } from '../../src/base/index.ts';
import { SecretKey } from '../../src/crypto/index.ts';
import {
  StateChanges,
  stateHash,
  StatePaths,
  type TrieSummary,
  updateTrie,
} from '../../src/store/index.ts';

const page = readFileSync(new URL('../../docs/format/state-hash.md', import.meta.url), 'utf8');
const vectors = [...page.slice(page.indexOf('## Vectors')).matchAll(/`([0-9a-f]{64})`/g)].map(
  ([, hex]) => hex as string,
);
const stateKey = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
const tables = [
  { tenant: 1, table: 16, rows: 3 },
  { tenant: 2, table: 17, rows: 100 },
];

const hash = (...parts: Uint8Array[]): Buffer =>
  createHash('sha256').update(Buffer.concat(parts)).digest();
const mac = (key: Buffer, ...parts: Uint8Array[]): Buffer =>
  createHmac('sha256', key).update(Buffer.concat(parts)).digest();
const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const u64 = (value: number): Buffer => Buffer.concat([u32(value), u32(0)]);
const tag = (value: number): Buffer => Buffer.from([value]);

interface Entry {
  readonly path: Buffer;
  readonly value: Buffer;
}

function top(entries: readonly Entry[], level = 0): Buffer {
  if (entries.length === 0) return Buffer.alloc(32);
  if (entries.length <= 14) {
    const ordered = entries.toSorted((left, right) => Buffer.compare(left.path, right.path));
    return hash(tag(0), ...ordered.flatMap(({ path, value }) => [path, value]));
  }
  const digit = ({ path }: Entry): number =>
    ((path[level >> 2] as number) >> (6 - 2 * (level % 4))) & 3;
  const parts = [0, 1, 2, 3].map((child) => entries.filter((entry) => digit(entry) === child));
  const bits = parts.reduce((sum, part, child) => sum + (part.length > 0 ? 1 << child : 0), 0);
  const there = parts.filter((part) => part.length > 0);
  return hash(tag(1), tag(bits), ...there.map((part) => top(part, level + 1)));
}

function rowsOf({ tenant, table, rows }: (typeof tables)[number]): Entry[] {
  const salt = mac(stateKey, tag(0), u32(tenant), u32(table));
  return Array.from({ length: rows }, (_, row) => ({
    path: mac(salt, tag(row)),
    value: hash(tag(row)),
  }));
}

test('the vectors of the page follow from what it says', () => {
  const made = tables.map((each) => {
    const rows = rowsOf(each);
    const named = [u32(each.tenant), u32(each.table)];
    const path = hash(tag(4), ...named);
    const saltHash = hash(tag(5), mac(stateKey, tag(0), ...named));
    const value = hash(tag(2), ...named, saltHash, u64(rows.length), top(rows));
    return { path, value, row: rows[0]?.path, top: top(rows) };
  });
  const all = top(made);
  expect(vectors).toEqual(
    [
      ...(['path', 'row', 'top', 'value'] as const).flatMap((name) =>
        made.map((each) => each[name]),
      ),
      all,
      hash(tag(3), u64(2), all),
      hash(tag(3), u64(0), Buffer.alloc(32)),
    ].map((bytes) => bytes?.toString('hex')),
  );
});

/** A trie that is kept in nodes, from nothing. */
function kept(changes: StateChanges): TrieSummary {
  const nodes = new Map<string, Uint8Array>();
  const run = updateTrie(
    {
      get: (prefix) => nodes.get(prefix)?.slice(),
      put(prefix, node) {
        if (node === undefined) nodes.delete(prefix);
        else nodes.set(prefix, node.slice());
      },
    },
    changes,
  );
  for (;;) {
    const step = run.next();
    if (step.done === true) return step.value;
  }
}

test('the store makes the same of the same rows', () => {
  const paths = new StatePaths(new SecretKey(Uint8Array.from(stateKey)));
  const all = new StateChanges(tables.length);
  for (const { tenant, table, rows } of tables) {
    paths.tableInto(all.bytes, all.add(false), tenant as TenantId, table as ObjectId);
    const changes = new StateChanges(rows);
    for (let row = 0; row < rows; row++) {
      const at = changes.add(false);
      paths.rowInto(changes.bytes, at, tag(row));
      changes.bytes.set(hash(tag(row)), at + 32);
    }
    all.bytes.set(paths.tableHash(kept(changes)), (all.count - 1) * 64 + 32);
  }
  expect(Buffer.from(stateHash(kept(all))).toString('hex')).toBe(vectors.at(-2));
});
