import { assert } from '../base/index.ts';
import { comparePaths, stateEntryBytes } from './state-changes.ts';
import { branchOf, digitAt, type TrieNodes, trieSummary } from './state-trie.ts';

/** The way from the top of a trie to where a path leads (docs/format/state-proof.md): one read a level. */
export interface TrieWay {
  /** From the top down: which children there are, and the hashes of those beside the way. */
  readonly branches: readonly { readonly children: number; readonly beside: Uint8Array[] }[];
  /** The entries at its end; absent where the last branch has no child there, or nothing is in the trie. */
  readonly bucket?: Uint8Array;
  readonly count: number;
}

export function trieWay(nodes: TrieNodes, path: Uint8Array): TrieWay {
  const { count } = trieSummary(nodes);
  const branches: TrieWay['branches'][number][] = [];
  if (count === 0) return { branches, count };
  for (let prefix = ''; ;) {
    const node = nodes.get(prefix);
    assert(node !== undefined, 'a branch leads to each of its children');
    const branch = branchOf(node);
    if (branch === undefined) return { branches, bucket: node.subarray(1), count };
    const { children, hashes } = branch;
    const digit = digitAt(path, 0, prefix.length);
    const beside = hashes.filter(({ child }) => child !== digit);
    branches.push({ children, beside: beside.map(({ hash }) => hash) });
    if (beside.length === hashes.length) return { branches, count };
    prefix += String(digit);
  }
}

/** Whether the path to which the way leads has an entry. */
export function isOnWay({ bucket }: TrieWay, path: Uint8Array): boolean {
  if (bucket === undefined) return false;
  for (let at = 0; at < bucket.length; at += stateEntryBytes)
    if (comparePaths(bucket, at, path, 0) === 0) return true;
  return false;
}
