import {
  CorruptionError,
  type Disk,
  type Entropy,
  type TenantId,
  VerityError,
} from '../base/index.ts';
import type { SecretKey } from '../crypto/index.ts';
import {
  type Command,
  erasedCount,
  isErased,
  type KernelState,
  subjectPage,
  subjectPageKey,
  type SubjectPageRecord,
  subjectPages,
  subjectsPerPage,
  unwrittenSubjectPages,
} from '../kernel/index.ts';
import type { CommandResult } from './commit-batch.ts';
import { poisonedError } from './commit-errors.ts';
import type { KeyHierarchy } from './key-hierarchy.ts';
import {
  chooseCopy,
  copyOffset,
  type CopyRead,
  openForWriting,
  type PageWrite,
  readCopies,
  subjectPath,
  writePages,
} from './subject-keys-file.ts';
import {
  checkSubjectFileHeader,
  encodeSubjectFileHeader,
  encodeSubjectPage,
  isPageProblem,
  SubjectPage,
  subjectPageBytes,
} from './subject-keys-page.ts';

/** Opened pages are kept up to this many: 64 × 112 keys. */
const cachedPagesMax = 64;
const lentKeysMax = 1_024;

export interface SubjectKeysParts {
  readonly disk: Disk;
  readonly entropy: Entropy;
  readonly hierarchy: KeyHierarchy;
  readonly state: KernelState;
  /** Rejects, or throws, where nothing can be written. */
  readonly submit: (command: Command) => Promise<CommandResult>;
  /** Gives a tenant that has none its keys, durably in the keyring. */
  readonly ensureKeys: (tenant: TenantId) => Promise<void>;
}

/** How many subject keys there are. */
export interface SubjectCounts {
  /** Keys that exist. */
  readonly subjects: number;
  readonly erased: number;
  readonly pages: number;
}

/**
 * The keys of data subjects. A change is logged before a page is written, with what the page will hold, and
 * again when it is on the disk; so opening finishes what a crash interrupted, above all a destruction.
 *
 * Invariants
 * - A key is given out only when the page that holds it is durable.
 * - From the moment its tombstone is durable a key is not given out, whatever the pages hold.
 * - One change at a time; a page has the generation that the log says, or, until it is known to be written, the one before.
 */
export class SubjectKeys {
  readonly #parts: SubjectKeysParts;
  /** Opened pages by place, the one used longest ago first. */
  readonly #cache = new Map<string, SubjectPage>();
  /** Keys that stay ours while others use them, by tenant and number. */
  readonly #lent = new Map<string, SecretKey>();
  #last: Promise<unknown> = Promise.resolve();
  #failure: VerityError | undefined;

  constructor(parts: SubjectKeysParts) {
    this.#parts = parts;
  }

  get counts(): SubjectCounts {
    let [subjects, erased, pages] = [0, 0, 0];
    for (const record of subjectPages(this.#parts.state.store)) {
      const gone = erasedCount(record);
      subjects += record.count - gone;
      erased += gone;
      pages += 1;
    }
    return { subjects, erased, pages };
  }

  /** Draws keys for `count` new subjects of a tenant; durable when answered. The first one's number; the rest follow. */
  create(tenant: TenantId, count: number): Promise<number> {
    return this.#change({ tenant, create: count, erase: [], renew: false });
  }

  /**
   * Destroys the keys of subjects: logs the tombstone, then seals each of their pages anew under a new bucket key, both
   * copies. Rejects with UNKNOWN_SUBJECT; a key that is destroyed already is no error.
   */
  async erase(tenant: TenantId, numbers: readonly number[]): Promise<void> {
    await this.#change({ tenant, create: 0, erase: numbers, renew: false });
    for (const number of numbers) {
      const name = `${tenant}:${number}`;
      this.#lent.get(name)?.wipe();
      this.#lent.delete(name);
    }
  }

  /** Seals all pages of a tenant anew under the newest of its secrets, so that older secrets can be removed. */
  async renew(tenant: TenantId): Promise<void> {
    await this.#change({ tenant, create: 0, erase: [], renew: true });
  }

  /** A copy of a subject's key, which the caller wipes. Throws UNKNOWN_SUBJECT, SUBJECT_ERASED and CorruptionError. */
  key(tenant: TenantId, number: number): SecretKey {
    const page = Math.floor(number / subjectsPerPage);
    const slot = number % subjectsPerPage;
    const known = Number.isSafeInteger(number) && number >= 0;
    const record = known
      ? subjectPage(this.#parts.state.store, { owner: tenant, page })
      : undefined;
    if (record === undefined || slot >= record.count) throw unknownSubject(number);
    if (isErased(record, slot)) {
      throw new VerityError(
        'SUBJECT_ERASED',
        `The key of subject ${number} was destroyed. What was sealed under it cannot be read again.`,
      );
    }
    const opened = this.#open(record);
    // Taken by a change that is on its way: nobody has been given this number yet.
    if (slot >= opened.count) throw unknownSubject(number);
    return opened.key(slot);
  }

  /** As `key`, but it stays ours, and is wiped when it is erased and at the end; for keys that are used often. */
  lend(tenant: TenantId, number: number): SecretKey {
    const name = `${tenant}:${number}`;
    const known = this.#lent.get(name);
    if (known !== undefined && !this.#isErased(tenant, number)) return known;
    known?.wipe();
    this.#lent.delete(name);
    const key = this.key(tenant, number);
    if (this.#lent.size >= lentKeysMax) {
      const [oldest, evicted] = this.#lent.entries().next().value as [string, SecretKey];
      evicted.wipe();
      this.#lent.delete(oldest);
    }
    this.#lent.set(name, key);
    return key;
  }

  #isErased(tenant: TenantId, number: number): boolean {
    const page = Math.floor(number / subjectsPerPage);
    const record = subjectPage(this.#parts.state.store, { owner: tenant, page });
    return record === undefined || isErased(record, number % subjectsPerPage);
  }

  /** Finishes what a crash interrupted. Called once, before anything else, by whoever may write. */
  async recover(): Promise<void> {
    const pending = unwrittenSubjectPages(this.#parts.state.store);
    if (pending.length > 0) await this.#serially(() => this.#finish(pending));
  }

  wipe(): void {
    for (const page of this.#cache.values()) page.wipe();
    for (const key of this.#lent.values()) key.wipe();
    this.#cache.clear();
    this.#lent.clear();
  }

  #change(
    change: Omit<Extract<Command, { kind: 'subjectPagesChanging' }>, 'kind' | 'origin'>,
  ): Promise<number> {
    return this.#serially(async () => {
      const { state, submit, ensureKeys } = this.#parts;
      if (this.#failure !== undefined) throw poisonedError(this.#failure);
      // A full disk may have left pages of an earlier change unwritten.
      const before = unwrittenSubjectPages(state.store);
      if (before.length > 0) await this.#finish(before);
      await ensureKeys(change.tenant);
      const { outcome } = await submit({ kind: 'subjectPagesChanging', ...change, origin: {} });
      await this.#finish(unwrittenSubjectPages(state.store));
      return outcome.firstSubject ?? 0;
    });
  }

  /** One change at a time, in the order they were asked for. */
  #serially<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#last.then(action);
    this.#last = result.catch(() => undefined);
    return result;
  }

  /** Brings pages on the disk to what the log says, and logs that they are. */
  async #finish(records: readonly SubjectPageRecord[]): Promise<void> {
    if (records.length === 0) return;
    const byOwner = new Map<TenantId, SubjectPageRecord[]>();
    for (const record of records) {
      const pages = byOwner.get(record.owner) ?? [];
      pages.push(record);
      byOwner.set(record.owner, pages);
    }
    for (const [owner, pages] of byOwner) this.#writeOwner(owner, pages);
    const pages = records.map(({ owner, page }) => ({ owner, page }));
    await this.#parts.submit({ kind: 'subjectPagesWritten', pages, origin: {} });
  }

  #writeOwner(owner: TenantId, records: readonly SubjectPageRecord[]): void {
    const { disk, hierarchy } = this.#parts;
    try {
      // Only the first change of all finds a file, or a header, that was left half made.
      const isFirst = records.some(({ page, generation }) => page === 0 && generation === 1);
      const file = openForWriting(disk, hierarchy.keyring.logId, { owner, isFirst });
      try {
        const header = new Uint8Array(subjectPageBytes);
        const problem = checkSubjectFileHeader(
          header.subarray(0, file.read(header, 0)),
          hierarchy.keyring.logId,
          owner,
        );
        if (problem !== undefined && isFirst)
          file.write(encodeSubjectFileHeader(hierarchy.keyring.logId, owner), 0);
        else if (problem !== undefined)
          throw new CorruptionError(problem.code, file.path, problem.offset, problem.what);
        writePages(
          file,
          records.map((record) => this.#writeOf(record, this.#read(file, record))),
        );
      } finally {
        file.close();
      }
    } catch (error) {
      // After a failed write or flush it is not known what the disk holds; a full disk refuses and damages nothing.
      const isIo = error instanceof VerityError && error.code === 'IO_ERROR';
      if (isIo) this.#failure ??= error;
      throw error;
    }
  }

  #writeOf(record: SubjectPageRecord, read: readonly [CopyRead, CopyRead]): PageWrite {
    const { hierarchy, entropy } = this.#parts;
    const chosen = chooseCopy(read, record);
    if (chosen === undefined && record.generation > 1) throw unreadable(record, read);
    const content = SubjectPage.contentOf(record, chosen?.page, entropy);
    const secretNumber = hierarchy.keyring.newestSecret(record.owner) ?? 0;
    const bytes = encodeSubjectPage(
      { logId: hierarchy.keyring.logId, record, secretNumber },
      content,
      { secretOf: this.#secretOf(record.owner), entropy },
    );
    content.fill(0);
    for (const copy of read) if (!isPageProblem(copy)) copy.wipe();
    this.#forget(record);
    if (bytes === undefined) throw noSecret(record);
    return { page: record.page, bytes, first: chosen?.copy === 0 ? 1 : 0 };
  }

  /** The page's keys, from the cache or the disk. */
  #open(record: SubjectPageRecord): SubjectPage {
    const name = subjectPageKey(record);
    const known = this.#cache.get(name);
    if (known !== undefined && (known.generation === record.generation || !record.written)) {
      this.#cache.delete(name);
      this.#cache.set(name, known);
      return known;
    }
    this.#forget(record);
    const { disk } = this.#parts;
    const path = subjectPath(record.owner);
    if (!disk.exists(path))
      throw new CorruptionError(
        'MISSING_DATA',
        path,
        0,
        'The whole file is missing: nothing is left',
      );
    const file = disk.open(path, 'read');
    let read: [CopyRead, CopyRead];
    try {
      read = this.#read(file, record);
    } finally {
      file.close();
    }
    const chosen = chooseCopy(read, record);
    if (chosen === undefined) throw unreadable(record, read);
    const other = read[chosen.copy === 0 ? 1 : 0];
    if (!isPageProblem(other)) other.wipe();
    this.#keep(name, chosen.page);
    return chosen.page;
  }

  #read(file: Parameters<typeof readCopies>[0], record: SubjectPageRecord): [CopyRead, CopyRead] {
    const { keyring, security } = this.#parts.hierarchy;
    const place = { ...record, logId: keyring.logId };
    const read = readCopies(file, place, this.#secretOf(record.owner));
    // Also where the other copy serves.
    if (record.written) {
      for (const copy of read)
        if (isPageProblem(copy))
          security.observe(
            new CorruptionError(copy.code, subjectPath(record.owner), copy.offset, copy.what),
          );
    }
    return read;
  }

  #secretOf(owner: TenantId): (secretNumber: number) => SecretKey | undefined {
    const { hierarchy } = this.#parts;
    return (secretNumber) => hierarchy.keyring.epochSecret(owner, secretNumber, hierarchy.root);
  }

  #keep(name: string, page: SubjectPage): void {
    this.#cache.set(name, page);
    if (this.#cache.size <= cachedPagesMax) return;
    const [oldest, evicted] = this.#cache.entries().next().value as [string, SubjectPage];
    evicted.wipe();
    this.#cache.delete(oldest);
  }

  #forget(record: SubjectPageRecord): void {
    const name = subjectPageKey(record);
    this.#cache.get(name)?.wipe();
    this.#cache.delete(name);
  }
}

function unknownSubject(number: number): VerityError {
  return new VerityError(
    'UNKNOWN_SUBJECT',
    `There is no subject key ${number}. Use a number that was given when it was created.`,
  );
}

function noSecret({ owner, page }: SubjectPageRecord): CorruptionError {
  return new CorruptionError(
    'MISSING_DATA',
    subjectPath(owner),
    copyOffset(page, 0),
    'A page whose tenant has no key in the keyring lies',
  );
}

/** The error for a copy that opens and is not what the log says: of another generation, most likely an older one. */
export function damaged(
  record: SubjectPageRecord,
  copy: 0 | 1,
  found: SubjectPage,
): CorruptionError {
  return new CorruptionError(
    'SUBJECT_KEYS_ROLLED_BACK',
    subjectPath(record.owner),
    copyOffset(record.page, copy) + 32,
    `A page of generation ${found.generation}, while the log names ${record.generation}, lies`,
  );
}

/** The error for a page of which no copy is what the log says. */
function unreadable(
  record: SubjectPageRecord,
  [first, second]: readonly [CopyRead, CopyRead],
): CorruptionError {
  if (!isPageProblem(first)) return damaged(record, 0, first);
  if (!isPageProblem(second)) return damaged(record, 1, second);
  return new CorruptionError(first.code, subjectPath(record.owner), first.offset, first.what);
}
