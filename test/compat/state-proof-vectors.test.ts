/** docs/format/state-proof.md, followed by hand: its vectors hold, and the layer that checks receipts says the same. */
import { createHash, createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fromHex } from '../../src/base/index.ts';
import { sha256 } from '../../src/crypto/index.ts';
import { provedState } from '../../src/proof/index.ts';
import { formatStateProof, type StateProof } from '../../src/receipt/index.ts';

const page = readFileSync(new URL('../../docs/format/state-proof.md', import.meta.url), 'utf8');
const vectors = page.slice(page.indexOf('## Vectors'));
const stateHash = /`([0-9a-f]{64})`/.exec(vectors)?.[1] as string;
const texts = [...vectors.matchAll(/```json\n(.*)\n```/g)].map(([, text]) => text as string);
/** The rows that the page says are shown; absent rows have none. */
const shown = [1, 10, undefined, undefined];

interface Way {
  readonly branches: readonly { readonly beside: readonly string[]; readonly children: number }[];
  readonly bucket?: string;
  readonly count: number;
}
interface Proof {
  readonly key: string;
  readonly rows?: Way;
  readonly salt?: string;
  readonly table: number;
  readonly tables: Way;
  readonly tenant: number;
}

const hash = (...parts: Uint8Array[]): Buffer =>
  createHash('sha256').update(Buffer.concat(parts)).digest();
const bytes = (text: string): Buffer => Buffer.from(text, 'base64');
const tag = (value: number): Buffer => Buffer.from([value]);
function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}
const u64 = (value: number): Buffer => Buffer.concat([u32(value), u32(0)]);

/** Top and what is found, as the page says it; the rules of shape are left out. */
function follow(way: Way, path: Buffer): { readonly top: Buffer; readonly found: string | undefined } {
  const { branches, bucket } = way;
  let below = bucket === undefined ? undefined : hash(tag(0), bytes(bucket));
  for (let level = branches.length - 1; level >= 0; level--) {
    const digit = ((path[level >> 2] as number) >> (6 - 2 * (level % 4))) & 3;
    const { beside, children } = branches[level]!;
    const rest = beside.map(bytes);
    const hashes = [0, 1, 2, 3]
      .filter((child) => (children >> child) & 1)
      .map((child) => (child === digit ? (below as Buffer) : (rest.shift() as Buffer)));
    expect(rest).toEqual([]);
    below = hash(tag(1), tag(children), ...hashes);
  }
  const entries = bytes(bucket ?? '').toString('hex').match(/.{128}/g) ?? [];
  const entry = entries.find((each) => each.startsWith(path.toString('hex')));
  return { top: below ?? Buffer.alloc(32), found: entry?.slice(64) };
}

function proved({ key, rows, salt, table, tables, tenant }: Proof): string | undefined {
  const named = [u32(tenant), u32(table)];
  const { top, found } = follow(tables, hash(tag(4), ...named));
  expect(hash(tag(3), u64(tables.count), top).toString('hex')).toBe(stateHash);
  expect(rows === undefined).toBe(found === undefined);
  if (rows === undefined) return undefined;
  const path = createHmac('sha256', bytes(salt as string)).update(bytes(key)).digest();
  const row = follow(rows, path);
  const tableHash = hash(tag(2), ...named, hash(tag(5), bytes(salt as string)), u64(rows.count), row.top);
  expect(tableHash.toString('hex')).toBe(found);
  return row.found;
}

const fromBase64 = (text: string): Uint8Array => new Uint8Array(bytes(text));
const wayOf = ({ branches, bucket, count }: Way): StateProof['tables'] => ({
  branches: branches.map(({ beside, children }) => ({ beside: beside.map(fromBase64), children })),
  ...(bucket !== undefined && { bucket: fromBase64(bucket) }),
  count,
});

describe.each(texts.map((text, index) => ({ text, row: shown[index] })))(
  'the proof of $row',
  ({ text, row }) => {
    const parsed = JSON.parse(text) as Proof;
    const commitment = row === undefined ? undefined : hash(tag(row)).toString('hex');

    test('shows by hand what the page says', () => {
      expect(proved(parsed)).toBe(commitment);
    });

    test('is checked and written as the page says', () => {
      const { key, rows, salt, table, tables, tenant } = parsed;
      const proof: StateProof = {
        tenant,
        table,
        key: fromBase64(key),
        tables: wayOf(tables),
        ...(rows !== undefined && { rows: { way: wayOf(rows), salt: fromBase64(salt as string) } }),
      };
      expect(provedState(sha256, proof)).toEqual({
        stateHash: fromHex(stateHash),
        ...(commitment !== undefined && { commitment: fromHex(commitment) }),
      });
      expect(formatStateProof(proof)).toBe(text);
    });
  },
);

test('the page has all four proofs', () => {
  expect(texts).toHaveLength(shown.length);
});
