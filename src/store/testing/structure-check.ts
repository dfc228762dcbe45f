import { assert } from '../../base/index.ts';
import { Arena } from '../arena.ts';
import { childHasRuns, childPage, childRef } from '../inner-page.ts';
import { valueLengthOf, valueOf } from '../leaf-page.ts';
import { pageBytes, type PageDevice } from '../page-device.ts';
import {
  copyKey,
  countOf,
  entryBytes,
  flagsAt,
  headerBytes,
  heapAt,
  levelOf,
  prefixAt,
  restLength,
  runsFlag,
  wasteAt,
} from '../page-layout.ts';
import { pageHalves } from '../arena.ts';
import { entrySize } from '../page-rebuild.ts';
import { withRunPages } from '../row-runs.ts';
import { decodeRoots } from '../store-roots.ts';
import type { TreeRoot } from '../b-tree.ts';
import { runKind, VersionCell } from '../version-cell.ts';

type Bound = string | undefined;

/** What the checker learned of a state. */
export interface StructureReport {
  /** Every page that the state uses. */
  readonly used: ReadonlySet<number>;
  readonly leaves: number;
  readonly entries: number;
  /** Bytes of leaves that hold something. */
  readonly leafBytesUsed: number;
}

/**
 * Reads every page of the state behind `roots` and asserts what must hold of it: levels, order of keys, bounds,
 * prefixes, room, flags of runs, and that no page is used twice.
 */
export function checkStructure(device: PageDevice, roots: Uint8Array): StructureReport {
  const { current, history, meta } = decodeRoots(roots);
  const checker = new Checker(device);
  for (const root of [current, history, meta]) checker.checkTree(root);
  return checker;
}

class Checker implements StructureReport {
  readonly used = new Set<number>();
  leaves = 0;
  entries = 0;
  leafBytesUsed = 0;
  readonly #device: PageDevice;
  readonly #arena = new Arena(16);
  readonly #cell = new VersionCell();

  constructor(device: PageDevice) {
    this.#device = device;
  }

  checkTree(root: TreeRoot): void {
    this.#use(root.page, 1);
    const level = root.height - 1;
    this.#device.readPage(root.page, root.ref, 0, this.#arena.pageView(level));
    if (level > 0) assert(countOf(this.#arena, level) >= 2, 'an inner root has several children');
    this.#checkPage(level, [undefined, undefined], true);
  }

  #use(page: number, count: number): void {
    for (let at = page; at < page + count; at++) {
      assert(!this.used.has(at), `page ${at} is used once`);
      this.used.add(at);
    }
  }

  /** The slot of a page is its level. */
  #checkPage(level: number, bounds: readonly [Bound, Bound], isRoot: boolean): void {
    const arena = this.#arena;
    assert(levelOf(arena, level) === level, 'a page has the level of its place');
    const count = countOf(arena, level);
    assert(isRoot || count > 0, 'no page but the root is empty');
    const keys = this.#checkKeys(level, bounds);
    if (level > 0) assert(restLength(arena, level, 0) === 0, 'the first separator is not kept');
    this.#checkRoom(level);
    if (level === 0) {
      this.#checkLeaf();
      return;
    }
    for (let index = 0; index < count; index++) {
      const page = childPage(arena, level, index);
      this.#use(page, 1);
      this.#device.readPage(
        page,
        arena.bytes,
        childRef(arena, level, index),
        arena.pageView(level - 1),
      );
      const low = index === 0 ? bounds[0] : keys[index];
      const high = index + 1 < count ? keys[index + 1] : bounds[1];
      this.#checkPage(level - 1, [low, high], false);
      const hasRuns = (arena.halves[(level - 1) * pageHalves + flagsAt]! & runsFlag) !== 0;
      if (level === 1)
        assert(!hasRuns || childHasRuns(arena, level, index), 'parents know of leaves with runs');
    }
  }

  #checkKeys(slot: number, [low, high]: readonly [Bound, Bound]): string[] {
    const arena = this.#arena;
    const buffer = new Uint8Array(1024);
    const prefix = arena.halves[slot * pageHalves + prefixAt]!;
    const keys: string[] = [];
    for (let index = 0; index < countOf(arena, slot); index++) {
      const length = copyKey(arena, slot, index, buffer);
      keys.push(String.fromCharCode(...buffer.subarray(0, length)));
    }
    // The first separator of an inner page is not kept: it is the prefix.
    const first = levelOf(arena, slot) > 0 ? 1 : 0;
    for (let index = first; index < keys.length; index++) {
      const key = keys[index]!;
      assert(index === first || keys[index - 1]! < key, 'keys ascend');
      assert(low === undefined || key >= low, 'keys are not below their page');
      assert(high === undefined || key < high, 'keys are not above their page');
    }
    if (low === undefined || high === undefined)
      assert(prefix === 0, 'pages at the edges have no prefix');
    else assert(low.slice(0, prefix) === high.slice(0, prefix), 'the bounds have the prefix');
    if (prefix > 0)
      assert(keys[0]!.startsWith(low!.slice(0, prefix)), 'the prefix is that of the bounds');
    return keys;
  }

  #checkRoom(slot: number): void {
    const arena = this.#arena;
    const half = slot * pageHalves;
    const heap = arena.halves[half + heapAt]!;
    const count = countOf(arena, slot);
    assert(heap >= headerBytes + entryBytes * count, 'entries and cells do not meet');
    let cells = 0;
    for (let index = 0; index < count; index++) cells += entrySize(arena, slot, index) - entryBytes;
    const end = pageBytes - arena.halves[half + prefixAt]!;
    const top = levelOf(arena, slot) > 0 ? end & ~3 : end;
    const waste = arena.halves[half + wasteAt]!;
    assert(cells + waste === top - heap, 'every byte of the heap is a cell or counted as waste');
    if (slot === 0) {
      this.leaves++;
      this.entries += count;
      this.leafBytesUsed += headerBytes + count * entryBytes + cells + pageBytes - end;
    }
  }

  #checkLeaf(): void {
    const arena = this.#arena;
    const cell = this.#cell;
    for (let index = 0; index < countOf(arena, 0); index++) {
      cell.read(arena, valueOf(arena, 0, index), valueLengthOf(arena, 0, index));
      if (cell.kind !== runKind) continue;
      assert((arena.halves[flagsAt]! & runsFlag) !== 0, 'a leaf with runs says so');
      withRunPages(arena.view, cell.dataAt, (page, count) => this.#use(page, count));
    }
  }
}
