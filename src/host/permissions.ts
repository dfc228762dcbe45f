import { statSync } from 'node:fs';

const othersMask = 0o077;

/**
 * The mode of a directory of ours that others may enter, list or change, as four octal digits; undefined if it is closed
 * to them, another user's, not there, or on a system without such modes.
 */
export function openToOthers(directory: string): string | undefined {
  if (process.getuid === undefined) return undefined;
  const found = statSync(directory, { throwIfNoEntry: false });
  if (found === undefined || !found.isDirectory() || found.uid !== process.getuid())
    return undefined;
  if ((found.mode & othersMask) === 0) return undefined;
  return (found.mode & 0o777).toString(8).padStart(4, '0');
}
