import { type Arena, pageHalves, pageWords } from './arena.ts';
import { pageBytes } from './page-device.ts';
import { countAt, headerBytes, innerTailAt, prefixAt } from './page-layout.ts';
import type { Probe } from './probe.ts';

const headerWords = headerBytes / 4;

/**
 * The index of the entry with the probe's key, or ~index of the first one after it. `tailAt` is where tails
 * begin in the cells of this kind of page.
 */
export function search(arena: Arena, slot: number, probe: Probe, tailAt: number): number {
  const { words, halves } = arena;
  const half = slot * pageHalves;
  const prefix = halves[half + prefixAt]!;
  const head = probe.headAt(prefix);
  const base = slot * pageWords + headerWords;
  let low = 0;
  let high = halves[half + countAt]!;
  if (prefix === 0 && high > 4) {
    // The first separator of an inner page is not kept.
    const first = tailAt === innerTailAt ? 2 : 0;
    if (words[base + first] === head && words[base + 2 * high - 2] === head)
      return searchAlike(arena, slot, probe, tailAt);
  }
  while (low < high) {
    const middle = (low + high) >> 1;
    const other = words[base + 2 * middle]!;
    if (other < head) low = middle + 1;
    else if (other > head) high = middle;
    else {
      const place = words[base + 2 * middle + 1]!;
      const tail = slot * pageBytes + (place & 0xffff) + tailAt;
      const order = probe.compareTail(prefix, arena.bytes, tail, place >>> 16);
      if (order === 0) return middle;
      if (order > 0) low = middle + 1;
      else high = middle;
    }
  }
  return ~low;
}

/**
 * As search, in a page without a prefix (those at the edges of the tree, which one bound only limits) whose keys
 * have the head in common: keys between two others begin with whatever those have in common with the probe,
 * so comparisons start after that.
 */
function searchAlike(arena: Arena, slot: number, probe: Probe, tailAt: number): number {
  const { words, bytes } = arena;
  const base = slot * pageWords + headerWords;
  const page = slot * pageBytes + tailAt - 4;
  const count = arena.halves[slot * pageHalves + countAt]!;
  const { length } = probe;
  let high = count;
  let highCommon = 0;
  let low = tailAt === innerTailAt ? 0 : -1;
  let lowCommon = 0;
  // The ends first: keys often come in ascending order.
  for (let at = count - 1; ;) {
    const place = words[base + 2 * at + 1]!;
    const rest = place >>> 16;
    const key = page + (place & 0xffff);
    const known = lowCommon < highCommon ? lowCommon : highCommon;
    const common = probe.commonWith(bytes, key, rest, known > 4 ? known : 4);
    if (common === length && common === rest) return at;
    if (common === rest || (common < length && probe.bytes[common]! > bytes[key + common]!)) {
      low = at;
      lowCommon = common;
    } else {
      high = at;
      highCommon = common;
    }
    if (high - low <= 1) return ~high;
    at = lowCommon === 0 ? low + 1 : (low + high) >> 1;
  }
}
