import type { PageDevice } from './page-device.ts';
import { Arena } from './arena.ts';
import { childHasRuns, childPage, childRef } from './inner-page.ts';
import { valueLengthOf, valueOf } from './leaf-page.ts';
import { countOf } from './page-layout.ts';
import { decodeRoots } from './store-roots.ts';
import { levelsMax, type TreeRoot } from './b-tree.ts';
import { withRunPages } from './row-runs.ts';
import { runKind, VersionCell } from './version-cell.ts';

/**
 * Calls `mark(first page, count)` for every page and run that the state behind `roots` uses, and yields after
 * each page that it had to read: inner pages, and leaves that refer to runs. It reads through the device, past
 * the store's memory. Throws CorruptionError.
 */
export function* walkUsed(
  device: PageDevice,
  roots: Uint8Array,
  mark: (page: number, count: number) => void,
): Generator<void, void> {
  const { current, history, meta } = decodeRoots(roots);
  for (const root of [current, history, meta]) yield* walkTree(device, root, mark);
}

function* walkTree(
  device: PageDevice,
  root: TreeRoot,
  mark: (page: number, count: number) => void,
): Generator<void, void> {
  // One slot a level.
  const arena = new Arena(levelsMax);
  const next = new Int32Array(levelsMax);
  mark(root.page, 1);
  const top = root.height - 1;
  device.readPage(root.page, root.ref, 0, arena.pageView(top));
  if (top === 0) markRuns(arena, 0, mark);
  next[top] = 0;
  for (let level = top; level > 0 && level <= top;) {
    const index = next[level]!++;
    if (index === countOf(arena, level)) {
      level++;
      continue;
    }
    const page = childPage(arena, level, index);
    mark(page, 1);
    if (level === 1 && !childHasRuns(arena, level, index)) continue;
    device.readPage(page, arena.bytes, childRef(arena, level, index), arena.pageView(level - 1));
    yield;
    if (level === 1) markRuns(arena, 0, mark);
    else next[--level] = 0;
  }
}

function markRuns(arena: Arena, slot: number, mark: (page: number, count: number) => void): void {
  const cell = new VersionCell();
  for (let index = 0; index < countOf(arena, slot); index++) {
    cell.read(arena, valueOf(arena, slot, index), valueLengthOf(arena, slot, index));
    if (cell.kind === runKind) withRunPages(arena.view, cell.dataAt, mark);
  }
}
