/**
 * The files of subject keys: one a tenant, a header page, then each page twice. A change is written into one copy,
 * flushed, then into the other, flushed: whenever the process ends, one copy is whole, and afterwards no copy holds what
 * was before.
 */
import { type Disk, type DiskFile, type LogId, type TenantId } from '../base/index.ts';
import type { SubjectPagePlace, SubjectPageRecord } from '../kernel/index.ts';
import { subjectsDirectory } from './files.ts';
import {
  decodeSubjectPage,
  encodeSubjectFileHeader,
  isPageProblem,
  type PageProblem,
  type SecretOf,
  type SubjectPage,
  subjectPageBytes,
} from './subject-keys-page.ts';

const suffix = '.vsub';
const nameDigits = 10;
export const copies = [0, 1] as const;

export function subjectPath(owner: TenantId): string {
  return `${subjectsDirectory}/${String(owner).padStart(nameDigits, '0')}${suffix}`;
}

/** The tenant of a file's name; undefined for a name that is none of ours. */
export function subjectOwner(name: string): TenantId | undefined {
  return /^\d{10}\.vsub$/.test(name) && Number(name.slice(0, nameDigits)) <= 0xffff_ffff
    ? (Number(name.slice(0, nameDigits)) as TenantId)
    : undefined;
}

/** Where a copy of a page lies in its file. */
export function copyOffset(page: number, copy: 0 | 1): number {
  return subjectPageBytes * (1 + 2 * page + copy);
}

/** What one copy of a page holds. */
export type CopyRead = SubjectPage | PageProblem;

/** Reads both copies of a page; problems name offsets in the file. */
export function readCopies(
  file: DiskFile,
  place: SubjectPagePlace & { readonly logId: LogId },
  secretOf: SecretOf,
): [CopyRead, CopyRead] {
  const read = (copy: 0 | 1): CopyRead => {
    const offset = copyOffset(place.page, copy);
    const bytes = new Uint8Array(subjectPageBytes);
    const count = file.read(bytes, offset);
    const found = decodeSubjectPage(bytes.subarray(0, count), place, secretOf);
    return isPageProblem(found) ? { ...found, offset: offset + found.offset } : found;
  };
  return [read(0), read(1)];
}

/**
 * Which copy holds what the log says: of the record's generation or, while that is being written, of the one
 * before. Undefined if neither does.
 */
export function chooseCopy(
  [first, second]: readonly [CopyRead, CopyRead],
  record: SubjectPageRecord,
): { readonly copy: 0 | 1; readonly page: SubjectPage } | undefined {
  const at = (generation: number): ReturnType<typeof chooseCopy> => {
    if (!isPageProblem(first) && first.generation === generation) return { copy: 0, page: first };
    if (!isPageProblem(second) && second.generation === generation)
      return { copy: 1, page: second };
    return undefined;
  };
  const newest = at(record.generation);
  if (newest !== undefined && newest.page.fits(record)) return newest;
  return record.written ? undefined : at(record.generation - 1);
}

/**
 * Opens a tenant's file for writing; makes it, durably, if it is not there. `isFirst`: its first change is not known to
 * be done, so what is there may be what an interrupted one left.
 */
export function openForWriting(
  disk: Disk,
  logId: LogId,
  { owner, isFirst }: { readonly owner: TenantId; readonly isFirst: boolean },
): DiskFile {
  const path = subjectPath(owner);
  if (disk.exists(path)) {
    // Its name may be there in memory only.
    if (isFirst) for (const directory of ['', subjectsDirectory]) disk.flushDirectory(directory);
    return disk.open(path, 'readwrite');
  }
  disk.makeDirectory(subjectsDirectory);
  disk.flushDirectory('');
  const file = disk.open(path, 'create');
  try {
    file.write(encodeSubjectFileHeader(logId, owner), 0);
    file.flush();
    disk.flushDirectory(subjectsDirectory);
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}

/** New bytes of a page, and the copy that is written first: the one that nothing rests on. */
export interface PageWrite {
  readonly page: number;
  readonly bytes: Uint8Array;
  readonly first: 0 | 1;
}

/** Writes one copy of each page, flushes, then the other, flushes. */
export function writePages(file: DiskFile, writes: readonly PageWrite[]): void {
  for (const round of copies) {
    for (const { page, bytes, first } of writes)
      file.write(bytes, copyOffset(page, round === 0 ? first : first === 0 ? 1 : 0));
    file.flush();
  }
}
