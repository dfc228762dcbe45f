import { equalBytes, type StoreKey, type TreeId } from '../base/index.ts';
import type { MemoryStore } from './memory-store.ts';
import type { StoreVersion } from './store.ts';

/** Where two stores first differ in any version of any key, or undefined if they hold the same. */
export function firstStoreDifference(
  left: MemoryStore,
  right: MemoryStore,
): { readonly tree: TreeId; readonly key: StoreKey | undefined } | undefined {
  const trees = new Set([...left.trees(), ...right.trees()]);
  for (const tree of trees) {
    const others = right.history(tree);
    for (const { key, versions } of left.history(tree)) {
      const other = others.next().value;
      if (other === undefined || other.key !== key || !sameVersions(versions, other.versions))
        return { tree, key };
    }
    const extra = others.next().value;
    if (extra !== undefined) return { tree, key: extra.key };
  }
  return undefined;
}

function sameVersions(left: readonly StoreVersion[], right: readonly StoreVersion[]): boolean {
  return (
    left.length === right.length &&
    left.every((version, index) => sameVersion(version, right[index] as StoreVersion))
  );
}

function sameVersion(left: StoreVersion, right: StoreVersion): boolean {
  if (left.from !== right.from || left.leaf !== right.leaf) return false;
  if (left.row === undefined || right.row === undefined) return left.row === right.row;
  return equalBytes(left.row, right.row);
}
