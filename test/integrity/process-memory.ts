/** Searches the memory of another process, as a debugger or a core dump would show it. Linux only. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const chunkBytes = 4 << 20;

/** The writable parts of a process's memory: where keys can be. */
function regionsOf(pid: number): { readonly start: number; readonly end: number }[] {
  return readFileSync(`/proc/${pid}/maps`, 'latin1')
    .split('\n')
    .flatMap((line) => {
      const found = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line);
      if (found === null || line.includes('[vvar]')) return [];
      return [
        { start: Number.parseInt(found[1] ?? '', 16), end: Number.parseInt(found[2] ?? '', 16) },
      ];
    });
}

/** Whether this process may read the memory of that one. */
export function canReadMemory(pid: number): boolean {
  try {
    closeSync(openSync(`/proc/${pid}/mem`, 'r'));
    return true;
  } catch {
    return false;
  }
}

/** How often each needle is in the process's memory, and how much of it was read. */
export function searchMemory(
  pid: number,
  needles: ReadonlyMap<string, Buffer>,
): { readonly counts: Record<string, number>; readonly bytesRead: number } {
  const counts: Record<string, number> = Object.fromEntries(
    [...needles.keys()].map((name) => [name, 0]),
  );
  const memory = openSync(`/proc/${pid}/mem`, 'r');
  const buffer = Buffer.alloc(chunkBytes + 64);
  let bytesRead = 0;
  try {
    for (const { start, end } of regionsOf(pid)) {
      for (let at = start; at < end; at += chunkBytes) {
        const wanted = Math.min(chunkBytes + 64, end - at);
        let count = 0;
        try {
          count = readSync(memory, buffer, 0, wanted, at);
        } catch {
          continue; // Guard pages and devices do not read.
        }
        bytesRead += Math.min(count, chunkBytes);
        const part = buffer.subarray(0, count);
        for (const [name, needle] of needles) {
          for (
            let found = part.indexOf(needle);
            found !== -1;
            found = part.indexOf(needle, found + 1)
          )
            if (found < chunkBytes) counts[name] = (counts[name] ?? 0) + 1;
        }
      }
    }
  } finally {
    buffer.fill(0);
    closeSync(memory);
  }
  return { counts, bytesRead };
}
