import type { Disk, LeafIndex } from '../base/index.ts';
import { Reader } from '../codec/index.ts';
import { physicalHeaderBytes } from '../log/index.ts';
import type { LogIndex, LogPlace } from './log-index.ts';

/** Where the logical header names the first leaf. */
const firstLeafAt = physicalHeaderBytes + 40;

/** The last place of the index whose frame does not begin behind the leaf; undefined while the log is empty. */
export function placeOfLeaf(
  { disk, index }: { readonly disk: Disk; readonly index: LogIndex },
  leaf: LeafIndex,
): LogPlace | undefined {
  let low = 0;
  let high = index.size;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (firstLeafOf(disk, index.place(middle)) <= leaf) low = middle + 1;
    else high = middle;
  }
  return low === 0 ? index.first : index.place(low - 1);
}

/** A hint for the search only: the frame that it leads to is checked as a whole. */
function firstLeafOf(disk: Disk, { path, offset }: LogPlace): number {
  const file = disk.open(path, 'read');
  try {
    const bytes = new Uint8Array(8);
    file.read(bytes, offset + firstLeafAt);
    return new Reader(bytes).u64();
  } finally {
    file.close();
  }
}
