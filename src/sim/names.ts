/**
 * The names of a simulated disk: directories, and the changes to them that no flush has covered.
 *
 * Invariants
 * - A change (create, remove, rename) happens whole or not at all, also across directories.
 * - Changes that touch the same name happen in order: none without those before it.
 * - A change is durable once every directory it touches was flushed, or one after it became durable.
 */
import type { CrashDice } from './crash-dice.ts';
import { FileNode } from './file-node.ts';

export class DirectoryNode {
  readonly kind = 'directory';
  readonly entries = new Map<string, Node>();
  readonly durable = new Map<string, Node>();
}

export type Node = DirectoryNode | FileNode;

/** A name gets a node, or none. */
export interface NameChange {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: Node | undefined;
}

interface PendingChange {
  readonly changes: readonly NameChange[];
  /** The directories whose flush it still waits for. */
  readonly waitsFor: Set<DirectoryNode>;
}

export class Names {
  readonly root: DirectoryNode;
  #pending: PendingChange[] = [];
  /** Directories with a failed flush: what later flushes say of them is worth nothing. */
  readonly #broken = new Set<DirectoryNode>();

  constructor(root: DirectoryNode = new DirectoryNode()) {
    this.root = root;
  }

  find(names: readonly string[]): Node | undefined {
    let node: Node | undefined = this.root;
    for (const name of names) {
      if (node?.kind !== 'directory') return undefined;
      node = node.entries.get(name);
    }
    return node;
  }

  /** Makes all `changes` at once; together they are atomic. */
  apply(changes: readonly NameChange[]): void {
    for (const change of changes) setEntry(change.directory.entries, change);
    this.#pending.push({ changes, waitsFor: new Set(changes.map((change) => change.directory)) });
  }

  flush(directory: DirectoryNode): void {
    if (this.#broken.has(directory)) return;
    for (const pending of this.#pending) pending.waitsFor.delete(directory);
    const durable = this.#durableNow();
    for (const pending of this.#pending) {
      if (!durable.has(pending)) continue;
      for (const change of pending.changes) setEntry(change.directory.durable, change);
    }
    this.#pending = this.#pending.filter((pending) => !durable.has(pending));
  }

  /** A flush of `directory` failed: its pending names stay in doubt for ever. */
  fail(directory: DirectoryNode): void {
    this.#broken.add(directory);
  }

  /** A tree that a crash now may leave behind, all of it durable. Changes nothing here. */
  treeAfterCrash(dice: CrashDice): DirectoryNode {
    const chosen = this.#entriesAfterCrash(dice);
    return copyTree(
      this.root,
      (directory) => chosen.get(directory) ?? directory.durable,
      (file) => file.afterCrash(dice),
    );
  }

  /** The same tree on a good medium: every file as flushes have promised it, all of it durable. */
  treeMended(): DirectoryNode {
    return copyTree(
      this.root,
      (directory) => directory.durable,
      (file) => new FileNode(file.honestContent()),
    );
  }

  /** The files of the tree as reads see it, by path, in order. */
  files(): Map<string, FileNode> {
    return collectFiles(this.root, (directory) => directory.entries);
  }

  durableFiles(): Map<string, FileNode> {
    return collectFiles(this.root, (directory) => directory.durable);
  }

  #durableNow(): Set<PendingChange> {
    const durable = new Set<PendingChange>();
    const needed = new NameSet();
    for (let index = this.#pending.length - 1; index >= 0; index--) {
      const pending = this.#pending[index] as PendingChange;
      if (pending.waitsFor.size > 0 && !needed.hasAny(pending.changes)) continue;
      durable.add(pending);
      needed.add(pending.changes);
    }
    return durable;
  }

  #entriesAfterCrash(dice: CrashDice): Map<DirectoryNode, Map<string, Node>> {
    const chosen = new Map<DirectoryNode, Map<string, Node>>();
    const lost = new NameSet();
    for (const { changes } of this.#pending) {
      const happened = dice.keeps();
      if (!happened || lost.hasAny(changes)) {
        lost.add(changes);
        continue;
      }
      for (const change of changes) {
        const entries = chosen.get(change.directory) ?? new Map(change.directory.durable);
        chosen.set(change.directory, entries);
        setEntry(entries, change);
      }
    }
    return chosen;
  }
}

/** Names in directories. */
class NameSet {
  readonly #names = new Map<DirectoryNode, Set<string>>();

  add(changes: readonly NameChange[]): void {
    for (const { directory, name } of changes) {
      const names = this.#names.get(directory) ?? new Set<string>();
      this.#names.set(directory, names.add(name));
    }
  }

  hasAny(changes: readonly NameChange[]): boolean {
    return changes.some(({ directory, name }) => this.#names.get(directory)?.has(name) === true);
  }
}

function setEntry(entries: Map<string, Node>, change: NameChange): void {
  if (change.node === undefined) entries.delete(change.name);
  else entries.set(change.name, change.node);
}

type EntriesOf = (directory: DirectoryNode) => ReadonlyMap<string, Node>;

function sortedEntries(entries: ReadonlyMap<string, Node>): [string, Node][] {
  return [...entries].sort(([left], [right]) => (left < right ? -1 : 1));
}

function collectFiles(root: DirectoryNode, entriesOf: EntriesOf): Map<string, FileNode> {
  const files = new Map<string, FileNode>();
  const waiting: { prefix: string; directory: DirectoryNode }[] = [{ prefix: '', directory: root }];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    for (const [name, node] of sortedEntries(entriesOf(next.directory))) {
      const path = next.prefix + name;
      if (node.kind === 'file') files.set(path, node);
      else waiting.push({ prefix: `${path}/`, directory: node });
    }
  }
  return new Map([...files].sort(([left], [right]) => (left < right ? -1 : 1)));
}

function copyTree(
  root: DirectoryNode,
  entriesOf: EntriesOf,
  fileOf: (file: FileNode) => FileNode,
): DirectoryNode {
  const copyOfRoot = new DirectoryNode();
  const waiting = [{ from: root, to: copyOfRoot }];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    for (const [name, node] of sortedEntries(entriesOf(next.from))) {
      const copy = node.kind === 'file' ? fileOf(node) : new DirectoryNode();
      next.to.entries.set(name, copy);
      next.to.durable.set(name, copy);
      if (node.kind === 'directory') waiting.push({ from: node, to: copy as DirectoryNode });
    }
  }
  return copyOfRoot;
}
