import type { Position } from '../base/index.ts';
import { DecodeError } from '../codec/index.ts';
import { levelsMax, type TreeRoot } from './b-tree.ts';
import { pageRefBytes } from './page-device.ts';
import type { PageRefs } from './page-refs.ts';

/** What leads to everything in a store. */
export interface StoreRoots {
  readonly current: TreeRoot;
  readonly history: TreeRoot;
  readonly meta: TreeRoot;
  /** The newest position applied. */
  readonly position: Position;
  /** The number that the next layer of long keys gets. */
  readonly nextLayer: number;
}

const rootBytes = 8 + pageRefBytes;
/** Three times u32 page, u32 height, the page's reference (32); then f64 position, f64 next layer. */
const storeRootsBytes = 3 * rootBytes + 16;

/** `refs` knows what proves the roots that were written since `roots` were noted. */
export function encodeRoots(roots: StoreRoots, refs: PageRefs): Uint8Array {
  const bytes = new Uint8Array(storeRootsBytes);
  const view = new DataView(bytes.buffer);
  for (const [index, { page, height, ref }] of [
    roots.current,
    roots.history,
    roots.meta,
  ].entries()) {
    const at = index * rootBytes;
    view.setUint32(at, page, true);
    view.setUint32(at + 4, height, true);
    const written = refs.offsetOf(page);
    bytes.set(written === -1 ? ref : refs.bytes.subarray(written, written + pageRefBytes), at + 8);
  }
  view.setFloat64(3 * rootBytes, roots.position, true);
  view.setFloat64(3 * rootBytes + 8, roots.nextLayer, true);
  return bytes;
}

/** The opposite of encodeRoots. The bytes were authenticated by the caller, but in plain mode. Throws DecodeError. */
export function decodeRoots(bytes: Uint8Array): StoreRoots {
  if (bytes.length !== storeRootsBytes) throw new DecodeError('roots of another length', 0);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const root = (at: number): TreeRoot => {
    const height = view.getUint32(at + 4, true);
    if (height === 0 || height >= levelsMax)
      throw new DecodeError('a tree of no such height', at + 4);
    return { page: view.getUint32(at, true), height, ref: bytes.slice(at + 8, at + rootBytes) };
  };
  return {
    current: root(0),
    history: root(rootBytes),
    meta: root(2 * rootBytes),
    position: view.getFloat64(3 * rootBytes, true) as Position,
    nextLayer: view.getFloat64(3 * rootBytes + 8, true),
  };
}
