/**
 * The links between the events of a row: each names the leaf of the one before it, so that a row's history is complete by itself
 * (docs/format/events.md). A log whose events skip one is held to what it holds: the version of that key before.
 */
import {
  type LeafIndex,
  type Position,
  type StoreKey,
  type TenantId,
  treeOf,
  type TreeId,
} from '../base/index.ts';
import type { LogEvent, RowEvent } from '../codec/index.ts';

/** What a link is that names another event than the one before it. */
export interface BrokenLink {
  readonly tree: TreeId;
  readonly key: StoreKey;
  readonly position: Position;
  readonly leaf: LeafIndex;
}

const isRow = (event: LogEvent): event is LogEvent & RowEvent =>
  event.type === 'rowInserted' || event.type === 'rowUpdated' || event.type === 'rowDeleted';

const treeOfRow = ({ tenant, object }: RowEvent & { readonly tenant: TenantId }): TreeId =>
  treeOf(tenant, object);

/** What was written last under keys of trees. */
class NewestLeaves {
  readonly #trees = new Map<TreeId, Map<StoreKey, LeafIndex>>();

  get(tree: TreeId, key: StoreKey): LeafIndex | undefined {
    return this.#trees.get(tree)?.get(key);
  }

  set(tree: TreeId, key: StoreKey, leaf: LeafIndex): void {
    const keys = this.#trees.get(tree);
    if (keys === undefined) this.#trees.set(tree, new Map([[key, leaf]]));
    else keys.set(key, leaf);
  }
}

/** The links of events that follow each other that are not of the version before: `latest` is what was newest before the first of them. */
export function brokenLinks(
  events: readonly LogEvent[],
  firstLeaf: LeafIndex,
  latest: (tree: TreeId, key: StoreKey) => LeafIndex | undefined,
): BrokenLink[] {
  const broken: BrokenLink[] = [];
  const written = new NewestLeaves();
  for (const [index, event] of events.entries()) {
    if (!isRow(event)) continue;
    const { key, position, previousLeaf } = event;
    const tree = treeOfRow(event);
    const leaf = (firstLeaf + index) as LeafIndex;
    const before = written.get(tree, key) ?? latest(tree, key);
    if (before !== previousLeaf) broken.push({ tree, key, position, leaf });
    written.set(tree, key, leaf);
  }
  return broken;
}

/** What the link of a version says that follows from no event of the command before it. */
export const noLink = -1;

/**
 * The links of the events of a frame, position by position: for each key that a position wrote, what the first of its events names. One
 * that names another than the event before it within the command makes all links of its key wrong.
 */
export class FrameLinks {
  readonly #events: readonly LogEvent[];
  readonly #firstLeaf: number;
  readonly #onTree: (tree: TreeId) => void;
  #next = 0;

  /** `onTree` is told of trees that rows lie in. */
  constructor(events: readonly LogEvent[], firstLeaf: LeafIndex, onTree: (tree: TreeId) => void) {
    this.#events = events;
    this.#firstLeaf = firstLeaf;
    this.#onTree = onTree;
  }

  /** The links of the next position of the frame: the leaf that a key's event names, `noLink` where it names none, undefined for what is no row. */
  take(position: Position): (tree: TreeId, key: StoreKey) => number | undefined {
    const first = this.#next;
    while (this.#events[this.#next]?.position === position) this.#next += 1;
    const [only] = this.#next - first === 1 ? [this.#events[first]] : [];
    if (only !== undefined) {
      if (!isRow(only)) return () => undefined;
      const rows = treeOfRow(only);
      this.#onTree(rows);
      const link = only.previousLeaf ?? noLink;
      return (tree, key) => (tree === rows && key === only.key ? link : undefined);
    }
    return this.#linksOf(first);
  }

  #linksOf(first: number): (tree: TreeId, key: StoreKey) => number | undefined {
    const written = new NewestLeaves();
    const links = new Map<TreeId, Map<StoreKey, number>>();
    for (let index = first; index < this.#next; index++) {
      const event = this.#events[index] as LogEvent;
      if (!isRow(event)) continue;
      const { key, previousLeaf } = event;
      const tree = treeOfRow(event);
      const before = written.get(tree, key);
      const leaf = (this.#firstLeaf + index) as LeafIndex;
      written.set(tree, key, leaf);
      let keys = links.get(tree);
      if (keys === undefined) {
        links.set(tree, (keys = new Map<StoreKey, number>()));
        this.#onTree(tree);
      }
      if (before === undefined) keys.set(key, previousLeaf ?? noLink);
      // No version has a later one before it.
      else if (before !== previousLeaf) keys.set(key, leaf);
    }
    return (tree, key) => links.get(tree)?.get(key);
  }
}
