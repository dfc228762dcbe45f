import { type Disk, equalBytes } from '../base/index.ts';
import { sha256 } from '../crypto/index.ts';
import { anchorKey, writeNewAnchor } from './anchor.ts';
import { copyFileAs, writeSlices } from './copy-writer.ts';
import {
  anchorPath,
  damagedDirectory,
  keyringPath,
  logDirectory,
  temporarySuffix,
} from './files.ts';
import type { Replacement } from './overlay-disk.ts';
import { digestOfFile, notAsChecked } from './repair-copied.ts';
import type { RepairPlan } from './repair.ts';

type Pause = () => Promise<void>;

/**
 * Carries a plan out. Whenever the process ends, each file is as it was or as planned, and the same repair can be done
 * again. Returns the folder that holds what was replaced or cut; undefined if there was nothing to keep.
 */
export async function applyRepair(
  disk: Disk,
  plan: RepairPlan,
  pause: Pause,
): Promise<string | undefined> {
  const kept = await keepAside(disk, plan, pause);
  disk.makeDirectory(logDirectory);
  // A cut is announced before it is made; what is missing is put back before an anchor says that it is there.
  if (plan.cut !== undefined) replaceAnchor(disk, plan);
  for (const [path, replacement] of inOrder(plan)) {
    if (replacement.kind === 'nothing') {
      if (disk.exists(path)) disk.remove(path);
      disk.flushDirectory(directoryOf(path));
    } else {
      await replace(disk, path, { replacement, pause });
    }
  }
  if (plan.cut === undefined) replaceAnchor(disk, plan);
  return kept;
}

/** Later segments go first, so that at no moment one seems to continue another that it does not; verity.json comes last. */
function inOrder({ replacements }: RepairPlan): [string, Replacement][] {
  const rank = (path: string, { kind }: Replacement): number =>
    [kind === 'nothing', path.startsWith(logDirectory), path === keyringPath, true].indexOf(true);
  return [...replacements].toSorted(
    ([left, one], [right, other]) =>
      rank(left, one) - rank(right, other) || (left < right ? 1 : -1),
  );
}

function replaceAnchor(disk: Disk, { anchor, hierarchy }: RepairPlan): void {
  if (anchor === undefined) return;
  const key = anchorKey(hierarchy);
  writeNewAnchor(disk, anchor, { logId: hierarchy.keyring.logId, key });
  key.wipe();
}

async function replace(
  disk: Disk,
  path: string,
  how: { readonly replacement: Exclude<Replacement, { kind: 'nothing' }>; readonly pause: Pause },
): Promise<void> {
  const { replacement, pause } = how;
  disk.makeDirectory(directoryOf(path));
  const temporary = path + temporarySuffix;
  if (disk.exists(temporary)) disk.remove(temporary);
  let checked: Uint8Array;
  if (replacement.kind === 'file') {
    checked = replacement.digest;
    await copyFileAs(replacement.disk, replacement.path, (read) =>
      writeSlices(disk, temporary, { read, pause }),
    );
  } else {
    const { bytes } = replacement;
    checked = sha256(bytes);
    await writeSlices(disk, temporary, {
      read: (offset) => bytes.subarray(offset, offset + (1 << 20)),
      pause,
    });
  }
  // The copy was read a second time, and may have answered otherwise than when it was checked.
  if (!equalBytes(digestOfFile(disk, temporary), checked)) {
    disk.remove(temporary);
    throw notAsChecked(path);
  }
  disk.rename(temporary, path);
  disk.flushDirectory(directoryOf(path));
}

/** Copies everything that the plan replaces or removes. */
async function keepAside(disk: Disk, plan: RepairPlan, pause: Pause): Promise<string | undefined> {
  const changed = [...plan.replacements.keys(), ...(plan.anchor === undefined ? [] : [anchorPath])];
  const there = changed.filter((path) => disk.exists(path));
  if (there.length === 0) return undefined;
  const numbers = (disk.list(damagedDirectory) ?? []).map(Number).filter(Number.isSafeInteger);
  const folder = `${damagedDirectory}/${Math.max(0, ...numbers) + 1}`;
  for (const path of there) disk.makeDirectory(directoryOf(`${folder}/${path}`));
  for (const path of there) {
    await copyFileAs(disk, path, (read) => writeSlices(disk, `${folder}/${path}`, { read, pause }));
  }
  const below = new Set(there.map((path) => directoryOf(`${folder}/${path}`)));
  for (const directory of [...below, folder, damagedDirectory, '']) disk.flushDirectory(directory);
  return folder;
}

function directoryOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
