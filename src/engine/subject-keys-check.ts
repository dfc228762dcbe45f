import {
  CorruptionError,
  type Disk,
  type DiskFile,
  type ErrorCode,
  type LogId,
  type TenantId,
} from '../base/index.ts';
import { type KernelState, type SubjectPageRecord, subjectPages } from '../kernel/index.ts';
import { subjectsDirectory } from './files.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import {
  copies,
  copyOffset,
  type CopyRead,
  readCopies,
  subjectOwner,
  subjectPath,
} from './subject-keys-file.ts';
import {
  checkPageLayout,
  checkSubjectFileHeader,
  isPageProblem,
  type PageProblem,
  subjectPageBytes,
} from './subject-keys-page.ts';
import { damaged } from './subject-keys.ts';

export interface SubjectCheck {
  readonly disk: Disk;
  readonly hierarchy: KeyHierarchy;
  readonly state: Pick<KernelState, 'store'>;
}

/** A page that another process is just writing looks damaged for a moment. */
const readsMax = 3;

/** The paths of all files of subject keys. */
export function subjectPaths(disk: Disk): string[] {
  return (disk.list(subjectsDirectory) ?? []).map((name) => `${subjectsDirectory}/${name}`);
}

/**
 * Reads every byte of the subject keys and compares them with what the log says: both copies of each page, header and
 * size of each file. An owner may be writing meanwhile: authentic pages may be newer than the log was when it was read,
 * never older. Damage is returned, not thrown.
 */
export function checkSubjectKeys(check: SubjectCheck): CorruptionError[] {
  const byOwner = new Map<TenantId, SubjectPageRecord[]>();
  for (const record of subjectPages(check.state.store)) {
    const records = byOwner.get(record.owner) ?? [];
    records.push(record);
    byOwner.set(record.owner, records);
  }
  const found: CorruptionError[] = [];
  for (const path of subjectPaths(check.disk)) {
    const owner = subjectOwner(path.slice(subjectsDirectory.length + 1));
    if (owner === undefined)
      found.push(new CorruptionError('FOREIGN_FILE', path, 0, 'A file that is none of ours lies'));
    else if (!byOwner.has(owner)) byOwner.set(owner, []);
  }
  for (const [owner, records] of byOwner) found.push(...checkFile(check, owner, records));
  return found;
}

/**
 * What can be told without a key of a database that was closed, so that no page is just being written: that pages are whole and in their
 * place. Which pages there are, and their generations, the log says to who can open it. Damage is returned, not thrown.
 */
export function checkSubjectLayout(disk: Disk, logId: LogId): CorruptionError[] {
  return subjectPaths(disk).flatMap((path) => {
    const owner = subjectOwner(path.slice(subjectsDirectory.length + 1));
    if (owner === undefined)
      return [new CorruptionError('FOREIGN_FILE', path, 0, 'A file that is none of ours lies')];
    const file = disk.open(path, 'read');
    try {
      return layoutProblems(file, logId, owner).map(
        ({ code, offset, what }) => new CorruptionError(code, path, offset, what),
      );
    } finally {
      file.close();
    }
  });
}

function layoutProblems(file: DiskFile, logId: LogId, owner: TenantId): PageProblem[] {
  const bytes = new Uint8Array(subjectPageBytes);
  const header = checkSubjectFileHeader(bytes.subarray(0, file.read(bytes, 0)), logId, owner);
  const found = header === undefined ? [] : [header];
  for (let page = 0; copyOffset(page, 0) < file.sizeBytes(); page++)
    for (const copy of copies) {
      const offset = copyOffset(page, copy);
      const count = file.read(bytes, offset);
      // A disk that was full ends a file anywhere, or leaves zeros where a page was to come.
      if (count < subjectPageBytes || bytes.every((byte) => byte === 0)) continue;
      const problem = checkPageLayout(bytes, { logId, owner, page });
      if (problem !== undefined) found.push({ ...problem, offset: offset + problem.offset });
    }
  return found;
}

function checkFile(
  check: SubjectCheck,
  owner: TenantId,
  records: readonly SubjectPageRecord[],
): CorruptionError[] {
  const { disk, hierarchy } = check;
  const path = subjectPath(owner);
  const error = (code: ErrorCode, offset: number, what: string): CorruptionError =>
    new CorruptionError(code, path, offset, what);
  // The first change of all may have been interrupted before it made the file.
  const isNew =
    records.length > 0 && records.every(({ generation, written }) => generation === 1 && !written);
  if (isNew) return [];
  if (!disk.exists(path))
    return [error('MISSING_DATA', 0, 'The whole file is missing: nothing is left')];
  const file = disk.open(path, 'read');
  try {
    const header = new Uint8Array(subjectPageBytes);
    const count = file.read(header, 0);
    const problem = checkSubjectFileHeader(
      header.subarray(0, count),
      hierarchy.keyring.logId,
      owner,
    );
    const found = problem === undefined ? [] : [error(problem.code, problem.offset, problem.what)];
    const reader = { file, hierarchy, owner };
    for (const record of records) found.push(...checkPage(reader, record));
    const end = copyOffset(records.length, 0);
    if (!endsInPages(reader, records.length))
      found.push(error('CHECKSUM_MISMATCH', end, 'Bytes that nobody wrote lie'));
    return found;
  } finally {
    file.close();
  }
}

interface PageReader {
  readonly file: DiskFile;
  readonly hierarchy: KeyHierarchy;
  readonly owner: TenantId;
}

function readPage({ file, hierarchy, owner }: PageReader, page: number): [CopyRead, CopyRead] {
  const { keyring, root } = hierarchy;
  const read = readCopies(file, { logId: keyring.logId, owner, page }, (number) =>
    keyring.epochSecret(owner, number, root),
  );
  for (const copy of read) if (!isPageProblem(copy)) copy.seal();
  return read;
}

/** What follows the pages that the log names is nothing, or pages that an owner has added since. */
function endsInPages(reader: PageReader, first: number): boolean {
  for (let page = first; copyOffset(page, 0) < reader.file.sizeBytes(); page++)
    if (readPage(reader, page).every(isPageProblem)) return false;
  return true;
}

function checkPage(reader: PageReader, record: SubjectPageRecord): CorruptionError[] {
  let found: CorruptionError[] = [];
  for (let count = 0; count < readsMax; count++) {
    found = problemsOf(record, readPage(reader, record.page));
    if (found.length === 0) break;
  }
  return found;
}

function problemsOf(
  record: SubjectPageRecord,
  read: readonly [CopyRead, CopyRead],
): CorruptionError[] {
  const fits = (copy: CopyRead): boolean => {
    if (isPageProblem(copy)) return false;
    if (copy.generation === record.generation) return copy.fits(record);
    return copy.generation > record.generation || isBefore(copy.generation, record);
  };
  if (read.every(fits)) return [];
  // Until a page is known to be written, one of its copies may be anything, and both of a new page.
  if (!record.written && (record.generation === 1 || read.some(fits))) return [];
  return copies.flatMap((copy) => {
    const one = read[copy];
    if (fits(one)) return [];
    return isPageProblem(one) ? [asError(record, one)] : [damaged(record, copy, one)];
  });
}

/** The generation that a page still has while its next one is being written. */
function isBefore(generation: number, record: SubjectPageRecord): boolean {
  return !record.written && generation === record.generation - 1;
}

function asError(record: SubjectPageRecord, { code, offset, what }: PageProblem): CorruptionError {
  return new CorruptionError(code, subjectPath(record.owner), offset, what);
}
