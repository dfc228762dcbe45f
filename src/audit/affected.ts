/** What a damage affects: positions and tenants from the frames' headers, tables and rows from what the store still has of them. */
import {
  type Disk,
  type LeafIndex,
  objectOfTree,
  type ObjectId,
  type Position,
  type StoreKey,
  type TenantId,
  toHex,
  treeOf,
  type TreeId,
} from '../base/index.ts';
import { decodeKey, Reader, rowIdOfKey } from '../codec/index.ts';
import { blobPath, type KeyHierarchy, subjectOwner } from '../engine/index.ts';
import {
  blobRecords,
  firstUserObject,
  tableById,
  tablesObject,
  tenantsTree,
} from '../kernel/index.ts';
import { indexesOf } from '../sql/index.ts';
import {
  PageFile,
  readSuperblock,
  type ReadView,
  StoreKeys,
  superblockIsAuthentic,
  TreeStore,
  type WalkedStore,
} from '../store/index.ts';
import type { LostFrames } from './lost-frames.ts';

/** Keys of rows that are told one by one, of each table. */
const rowsMax = 20;
const cacheBytes = 16 << 20;

/** What a finding affects, as far as it is known. */
export interface Affected {
  /** Frames, from the first to the last; without `last`: to the end of the log as it was. */
  readonly frames?: { readonly first: number; readonly last?: number };
  readonly positions?: { readonly first: number; readonly last?: number };
  readonly leaves?: { readonly first: number; readonly last?: number };
  /** By name, with the key; else by number. */
  readonly tenants: readonly (string | number)[];
  readonly tables: readonly AffectedTable[];
}

export interface AffectedTable {
  readonly tenant: string | number;
  /** By name, with the key. */
  readonly table: string | number;
  /** An index of the table, by name; absent: its rows. */
  readonly index?: string;
  /** Versions of rows that are affected. */
  readonly versions: number;
  /** Primary keys of some of the rows, as text, and the positions that wrote them. */
  readonly rows: readonly { readonly key: string; readonly position: number }[];
}

/** Frames that are lost, by what their neighbours and headers tell. */
export function affectedBy(lost: LostFrames): Affected {
  const { firstOp, firstPosition, firstLeaf, next, tenants } = lost;
  const range = (first: number, behind: number | undefined): { first: number; last?: number } => ({
    first,
    ...(behind !== undefined && behind > first && { last: behind - 1 }),
  });
  const hasEvents = next === undefined || next.leaf > firstLeaf;
  return {
    frames: range(firstOp, next?.op),
    ...(hasEvents && {
      positions: range(firstPosition, next?.position),
      leaves: range(firstLeaf, next?.leaf),
    }),
    tenants: hasEvents ? [...new Set(tenants)] : [],
    tables: [],
  };
}

/** Names of a database, as its definitions say. */
export class Names {
  readonly #view: ReadView;
  #tenants: Map<TenantId, string> | undefined;

  constructor(view: ReadView) {
    this.#view = view;
  }

  tenant(id: TenantId): string | number {
    if (this.#tenants === undefined) {
      this.#tenants = new Map();
      const cursor = this.#view.scan(tenantsTree, {});
      for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
        const [name] = decodeKey([{ name: 'text' }], entry.key);
        this.#tenants.set(new Reader(entry.row).u32() as TenantId, name as string);
      }
    }
    return this.#tenants.get(id) ?? id;
  }

  /** What a tree is of: a table, or an index of one; undefined for what the kernel keeps for itself. */
  tree(tree: TreeId): Pick<AffectedTable, 'tenant' | 'table' | 'index'> | undefined {
    const { tenant, object } = objectOfTree(tree);
    if (object < firstUserObject) return undefined;
    const name = this.tenant(tenant);
    const table = tableById(this.#view, tenant, object);
    if (table !== undefined) return { tenant: name, table: table.name };
    const cursor = this.#view.scan(treeOf(tenant, tablesObject), {});
    for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
      const [id] = decodeKey([{ name: 'bigint' }], entry.key);
      const owner = tableById(this.#view, tenant, Number(id) as ObjectId);
      const index = owner && indexesOf(owner).find((each) => each.id === object);
      if (owner !== undefined && index !== undefined)
        return { tenant: name, table: owner.name, index: index.name };
    }
    return { tenant: name, table: object };
  }

  /** A row's key as text. */
  key(tree: TreeId, key: StoreKey): string {
    const { tenant, object } = objectOfTree(tree);
    const table = tableById(this.#view, tenant, object);
    if (table === undefined) return hexOf(key);
    try {
      if (table.primaryKey.length === 0) return `row ${rowIdOfKey(key)}`;
      const types = table.primaryKey.flatMap((column) => table.columns[column]?.type ?? []);
      return decodeKey(types, key).map(textOf).join(', ');
    } catch {
      return hexOf(key);
    }
  }
}

function textOf(value: ReturnType<typeof decodeKey>[number]): string {
  if (value === null) return 'NULL';
  return value instanceof Uint8Array ? `\\x${toHex(value)}` : String(value);
}
const hexOf = (key: string): string =>
  `\\x${[...key].map((char) => char.charCodeAt(0).toString(16).padStart(2, '0')).join('')}`;

/** Gathers versions by table. */
export class AffectedTables {
  readonly #names: Names;
  readonly #trees = new Map<
    TreeId,
    { versions: number; rows: { key: string; position: number }[] }
  >();

  constructor(names: Names) {
    this.#names = names;
  }

  add(tree: TreeId, key: StoreKey, position: Position): void {
    let found = this.#trees.get(tree);
    if (found === undefined) {
      found = { versions: 0, rows: [] };
      this.#trees.set(tree, found);
    }
    found.versions += 1;
    if (found.rows.length < rowsMax) found.rows.push({ key: this.#names.key(tree, key), position });
  }

  tables(): AffectedTable[] {
    return [...this.#trees].flatMap(([tree, { versions, rows }]) => {
      const of = this.#names.tree(tree);
      if (of === undefined) return [];
      return [{ ...of, versions, rows: of.index === undefined ? rows : [] }];
    });
  }
}

/** What rests on a damaged file of subject keys, or of a large value: undefined for other files. Rows are those that named the value first. */
export function affectedByFile(path: string, store: WalkedStore & ReadView): Affected | undefined {
  const names = new Names(store);
  const owner = subjectOwner(path.split('/').at(-1) ?? '');
  if (owner !== undefined) return { tenants: [names.tenant(owner)], tables: [] };
  const blob = [...blobRecords(store)].find(({ id }) => blobPath(id) === path);
  if (blob === undefined) return undefined;
  const tables = new AffectedTables(names);
  for (const tree of store.trees()) {
    const { tenant, object } = objectOfTree(tree);
    if (object < firstUserObject || tenant !== blob.tenant) continue;
    for (const { key, versions } of store.history(tree))
      for (const { from, leaf } of versions) if (leaf === blob.leaf) tables.add(tree, key, from);
  }
  const found = tables.tables().filter(({ index }) => index === undefined);
  const positions = found.flatMap(({ rows }) => rows.map(({ position }) => position));
  return {
    ...(positions.length > 0 && {
      positions: { first: Math.min(...positions), last: Math.max(...positions) },
    }),
    leaves: { first: blob.leaf, last: blob.leaf },
    tenants: [names.tenant(blob.tenant)],
    tables: found,
  };
}

/** The newest checkpoint's trees, whether or not they fit a log that is damaged; undefined if they cannot be read. */
export function withStoredTrees<T>(
  disk: Disk,
  hierarchy: KeyHierarchy,
  use: (store: TreeStore) => T,
): T | undefined {
  const { keyring, suite, root } = hierarchy;
  const reading = readSuperblock(disk, keyring.logId);
  if (reading?.newest === undefined) return undefined;
  const { keys: wrapped, epoch, roots } = reading.newest;
  const of = { logId: keyring.logId, algorithm: suite.algorithm };
  const keys = StoreKeys.unwrap(of, wrapped, root);
  if (keys === undefined) return undefined;
  let pages: PageFile | undefined;
  try {
    if (!superblockIsAuthentic(reading.bytes, keys)) return undefined;
    const settings = { disk, logId: keyring.logId, keys, epoch: epoch + 1, mode: 'read' as const };
    pages = new PageFile({ ...settings, onDamage: () => undefined });
    return use(new TreeStore(pages, { cacheBytes }, roots));
  } catch {
    // What is said of a damage rests on what is left: a damaged store tells nothing.
    return undefined;
  } finally {
    pages?.close();
    keys.wipe();
  }
}

/** Tenants and tables by name, and the rows that lost events wrote, as far as the store has them. */
export function nameAffected(
  disk: Disk,
  hierarchy: KeyHierarchy,
  lost: readonly LostFrames[],
): Affected[] {
  const plain = lost.map(affectedBy);
  return (
    withStoredTrees(disk, hierarchy, (store) => {
      const names = new Names(store);
      const tables = lost.map(() => new AffectedTables(names));
      const ranges = lost.map(({ firstLeaf, next }) => ({
        first: firstLeaf,
        behind: next?.leaf ?? (Number.POSITIVE_INFINITY as LeafIndex),
      }));
      for (const tree of store.trees()) {
        if (objectOfTree(tree).object < firstUserObject) continue;
        for (const { key, versions } of store.history(tree))
          for (const { from, leaf } of versions)
            for (const [index, { first, behind }] of ranges.entries())
              if (leaf >= first && leaf < behind) tables[index]?.add(tree, key, from);
      }
      return plain.map((affected, index) => {
        const named = tables[index]?.tables() ?? [];
        // A header that is damaged tells no tenants; the rows that the store has still do.
        const tenants = affected.tenants.map((tenant) => names.tenant(tenant as TenantId));
        for (const { tenant } of named) if (!tenants.includes(tenant)) tenants.push(tenant);
        return { ...affected, tenants, tables: named };
      });
    }) ?? plain
  );
}
