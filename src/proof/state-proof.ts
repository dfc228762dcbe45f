/**
 * Proofs that the row of a key is what an event wrote, or that there is none: their check, and what they prove.
 * docs/format/state-proof.md draws them.
 *
 * - A way goes from the top of a trie to where a path leads: branches, each with the hashes beside it, and a bucket at the
 *   end, unless the last branch has no child there or there is no entry at all.
 * - The path is made here, from the tenant's and the table's number and from the key: nothing that a proof says of itself
 *   leads anywhere else. The state hash binds the salt, since the table's hash does.
 * - A way that does not fit its trie's count, depth or order is refused, whatever its hash: the trie of a set of
 *   entries has one shape.
 * - Checks say what is wrong, and never throw.
 */
import { concatBytes, equalBytes, limits } from '../base/index.ts';
import { hashBytes, type Sha256 } from './merkle.ts';

/** A branch on the way. */
export interface StateBranch {
  /** Bit d says that there is a child d, for d from 0 to 3. */
  readonly children: number;
  /** The hashes of its children but the one on the way, ascending. */
  readonly beside: readonly Uint8Array[];
}

/** The way to where a path leads. */
export interface StateWay {
  /** From the top down. */
  readonly branches: readonly StateBranch[];
  /** The entries at its end, path and value of each; absent where the last branch has no child there, or nothing is in the trie. */
  readonly bucket?: Uint8Array | undefined;
  /** Entries in the whole trie. */
  readonly count: number;
}

export interface StateProof {
  readonly tenant: number;
  readonly table: number;
  /** The row's key as in its events. */
  readonly key: Uint8Array;
  /** The way to the table. */
  readonly tables: StateWay;
  /** The way to the row, and the salt of the table's paths; absent where the table has no rows. */
  readonly rows?: { readonly way: StateWay; readonly salt: Uint8Array } | undefined;
}

/** What a proof that fits proves of the state of a certain hash. */
export interface ProvedState {
  readonly stateHash: Uint8Array;
  /** The commitment of the event that wrote the row; absent: there is no row of that key. */
  readonly commitment?: Uint8Array | undefined;
}

/** Bytes of an entry: its path, then its value. */
export const stateEntryLength = 2 * hashBytes;
export const stateBucketEntriesMax = 14;
/** Two bits of a path each. */
export const stateBranchesMax = 4 * hashBytes;
/** Bits of `children` that may be there. */
const allChildren = 0b1111;
const tags = { bucket: 0, branch: 1, table: 2, state: 3, path: 4, saltHash: 5 } as const;
const hmacBlock = 64;
const emptyTop = new Uint8Array(hashBytes);

/** What the proof proves, and of which state hash; or what is wrong with it, as the end of a sentence. */
export function provedState(sha256: Sha256, proof: StateProof): ProvedState | string {
  const { tenant, table, key, tables, rows } = proof;
  if (!isNumber(tenant, 0xffff_ffff) || !isNumber(table, 0xffff_ffff))
    return 'names no tenant and table';
  if (key.length === 0 || key.length > limits.keyBytesMax) return 'names no key';
  const named = concatBytes(u32(tenant), u32(table));
  const found = walk(sha256, tables, tagged(sha256, tags.path, named));
  if (typeof found === 'string') return `does not lead to the table: ${found}`;
  const stateHash = tagged(sha256, tags.state, u64(tables.count), found.top);
  if (rows === undefined)
    return found.value === undefined
      ? { stateHash }
      : 'shows a table that has rows, and not which of them there are';
  if (found.value === undefined) return 'shows rows of a table that has none';
  const { way, salt } = rows;
  if (salt.length !== hashBytes) return 'has no salt of 32 bytes';
  const row = walk(sha256, way, hmac(sha256, salt, key));
  if (typeof row === 'string') return `does not lead to the row: ${row}`;
  const saltHash = tagged(sha256, tags.saltHash, salt);
  const tableHash = tagged(sha256, tags.table, named, saltHash, u64(way.count), row.top);
  if (way.count === 0 || !equalBytes(tableHash, found.value))
    return 'shows rows that are not those of the table';
  return row.value === undefined ? { stateHash } : { stateHash, commitment: row.value };
}

/** Where the way of a path leads: the hash of the trie's top, and the value of the path's entry if it has one. */
function walk(
  sha256: Sha256,
  { branches, bucket, count }: StateWay,
  path: Uint8Array,
): { readonly top: Uint8Array; readonly value: Uint8Array | undefined } | string {
  const problem = shapeProblem({ branches, bucket, count }, path);
  if (problem !== undefined) return problem;
  if (branches.length === 0 && bucket === undefined) return { top: emptyTop, value: undefined };
  let below = bucket && tagged(sha256, tags.bucket, bucket);
  for (let depth = branches.length - 1; depth >= 0; depth--) {
    const { children, beside } = branches[depth] as StateBranch;
    const hashes = [...beside];
    if (below !== undefined)
      hashes.splice(countBits(children & (bitAt(path, depth) - 1)), 0, below);
    below = tagged(sha256, tags.branch, Uint8Array.of(children), ...hashes);
  }
  return { top: below as Uint8Array, value: bucket && valueIn(bucket, path) };
}

/** What of a way no trie can have, whatever its hashes are. */
function shapeProblem({ branches, bucket, count }: StateWay, path: Uint8Array): string | undefined {
  if (!isNumber(count, Number.MAX_SAFE_INTEGER)) return 'a count is not a number';
  if (branches.length > stateBranchesMax) return 'the way is longer than a path';
  for (const [depth, { children, beside }] of branches.entries()) {
    if (!isNumber(children, allChildren) || children === 0) return 'a branch has no children';
    const isOn = (children & bitAt(path, depth)) !== 0;
    if (beside.length !== countBits(children) - (isOn ? 1 : 0))
      return 'a branch has a hash too many or too few';
    if (beside.some((hash) => hash.length !== hashBytes)) return 'a hash has not 32 bytes';
    const isLast = depth === branches.length - 1;
    if (!isOn && !(isLast && bucket === undefined)) return 'the way goes on where it has ended';
    if (isOn && isLast && bucket === undefined) return 'the way does not go to its end';
  }
  if (branches.length > 0 && count <= stateBucketEntriesMax)
    return 'there are branches above fewer entries than a bucket holds';
  if (bucket === undefined)
    return branches.length === 0 && count !== 0 ? 'the way is missing' : undefined;
  return bucketProblem(bucket, path, { depth: branches.length, count });
}

function bucketProblem(
  bucket: Uint8Array,
  path: Uint8Array,
  { depth, count }: { readonly depth: number; readonly count: number },
): string | undefined {
  const entries = bucket.length / stateEntryLength;
  if (!isNumber(entries, stateBucketEntriesMax) || entries === 0)
    return 'a bucket does not hold 1 to 14 entries';
  if (depth === 0 ? entries !== count : entries > count)
    return 'a bucket does not hold as many entries as there are';
  for (let at = 0; at < bucket.length; at += stateEntryLength) {
    const entry = bucket.subarray(at, at + hashBytes);
    if (at > 0 && !isBefore(bucket.subarray(at - stateEntryLength), entry))
      return 'the entries of a bucket do not ascend';
    for (let digit = 0; digit < depth; digit++)
      if (bitAt(entry, digit) !== bitAt(path, digit)) return 'an entry is not below its branches';
  }
  return undefined;
}

function valueIn(bucket: Uint8Array, path: Uint8Array): Uint8Array | undefined {
  for (let at = 0; at < bucket.length; at += stateEntryLength) {
    const middle = at + hashBytes;
    if (equalBytes(bucket.subarray(at, middle), path))
      return bucket.slice(middle, middle + hashBytes);
  }
  return undefined;
}

/** Whether the path at the beginning of `left` is before `right`. */
function isBefore(left: Uint8Array, right: Uint8Array): boolean {
  for (let index = 0; index < hashBytes; index++) {
    const difference = (left[index] as number) - (right[index] as number);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

/** The bit of `children` of the child that the path has at a depth: two bits a level, the highest first. */
function bitAt(path: Uint8Array, depth: number): number {
  const byte = path[depth >> 2] as number;
  return 1 << ((byte >> (6 - 2 * (depth & 3))) & 3);
}

function countBits(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count += 1;
  return count;
}

const isNumber = (value: number, max: number): boolean =>
  Number.isSafeInteger(value) && value >= 0 && value <= max;

function tagged(sha256: Sha256, tag: number, ...parts: readonly Uint8Array[]): Uint8Array {
  return sha256(concatBytes(Uint8Array.of(tag), ...parts));
}

/** HMAC-SHA-256; keys are of 32 bytes here. */
function hmac(sha256: Sha256, key: Uint8Array, message: Uint8Array): Uint8Array {
  const inner = new Uint8Array(hmacBlock).fill(0x36);
  const outer = new Uint8Array(hmacBlock).fill(0x5c);
  for (const [index, byte] of key.entries()) {
    inner[index] = byte ^ 0x36;
    outer[index] = byte ^ 0x5c;
  }
  return sha256(concatBytes(outer, sha256(concatBytes(inner, message))));
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

const u64 = (value: number): Uint8Array =>
  concatBytes(u32(value % 0x1_0000_0000), u32(Math.floor(value / 0x1_0000_0000)));

/** The path of a row of a table with this salt. */
export function rowPath(sha256: Sha256, salt: Uint8Array, key: Uint8Array): Uint8Array {
  return hmac(sha256, salt, key);
}

/** The hash of the top of the table's rows that a proof shows; undefined where it shows none, or does not fit. */
export function rowsTopOf(sha256: Sha256, { rows, key }: StateProof): Uint8Array | undefined {
  const row = rows && walk(sha256, rows.way, hmac(sha256, rows.salt, key));
  return row === undefined || typeof row === 'string' ? undefined : row.top;
}
