import type { StoreKey, TreeId } from '../base/index.ts';
import { sameVersions, type WalkedStore } from './walked.ts';

/** Where two stores first differ in any version of any key, or undefined if they hold the same. */
export function firstStoreDifference(
  left: WalkedStore,
  right: WalkedStore,
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
