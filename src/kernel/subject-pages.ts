/**
 * What the log says of the pages of subject keys: their generation, how many of a page's slots are taken, which were
 * erased, and whether the page is known to be written. Keys themselves are never in the log.
 */
import {
  assert,
  type LeafIndex,
  type StoreKey,
  type TenantId,
  VerityError,
} from '../base/index.ts';
import {
  decodeKey,
  encodeKey,
  keyPrefixRange,
  type LogEvent,
  Reader,
  Writer,
} from '../codec/index.ts';
import type { ReadView, StoreChange } from '../store/index.ts';
import type { Command } from './command.ts';
import { subjectPagesTree, unwrittenSubjectPagesTree } from './objects.ts';

/** Keys in one page. A subject's number is its page's number times this, plus its slot. */
export const subjectsPerPage = 112;
export const erasedBitmapBytes = subjectsPerPage / 8;
/** Most subjects that one command creates or erases. */
const subjectsPerCommandMax = 65_536;

export interface SubjectPagePlace {
  readonly owner: TenantId;
  readonly page: number;
}

export interface SubjectPageRecord extends SubjectPagePlace {
  /** From 1; one more for each change of the page. */
  readonly generation: number;
  /** Slots taken so far, from the first on. */
  readonly count: number;
  /** A bit a slot, least significant first. */
  readonly erased: Uint8Array;
  /** False from the moment the change is logged until the page is known to be on the disk. */
  readonly written: boolean;
}

const bigint = { name: 'bigint' } as const;
const placeTypes = [bigint, bigint];

export function subjectPageKey({ owner, page }: SubjectPagePlace): StoreKey {
  return encodeKey(placeTypes, [BigInt(owner), BigInt(page)]);
}

function decodeRecord(key: StoreKey, row: Uint8Array): SubjectPageRecord {
  const [owner, page] = decodeKey(placeTypes, key) as [bigint, bigint];
  const reader = new Reader(row);
  return {
    owner: Number(owner) as TenantId,
    page: Number(page),
    generation: reader.u64(),
    count: reader.u16(),
    written: reader.u8() === 1,
    erased: reader.raw(erasedBitmapBytes),
  };
}

/** The record of one page; undefined if the log never named it. */
export function subjectPage(
  view: ReadView,
  place: SubjectPagePlace,
): SubjectPageRecord | undefined {
  const key = subjectPageKey(place);
  const stored = view.get(subjectPagesTree, key);
  return stored === undefined ? undefined : decodeRecord(key, stored.row);
}

/** The records of all pages, by tenant and page. */
export function* subjectPages(view: ReadView): Generator<SubjectPageRecord, void> {
  const cursor = view.scan(subjectPagesTree, {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next())
    yield decodeRecord(entry.key, entry.row);
}

/** The pages that were being written when the log ends, or are now. */
export function unwrittenSubjectPages(view: ReadView): SubjectPageRecord[] {
  const records: SubjectPageRecord[] = [];
  const cursor = view.scan(unwrittenSubjectPagesTree, {});
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    const stored = view.get(subjectPagesTree, entry.key);
    if (stored !== undefined) records.push(decodeRecord(entry.key, stored.row));
  }
  return records;
}

/** How many pages a tenant has: they are numbered without gaps. */
function subjectPageCount(view: ReadView, owner: TenantId): number {
  let count = 0;
  const prefix = encodeKey([bigint], [BigInt(owner)]);
  const cursor = view.scan(subjectPagesTree, keyPrefixRange(prefix));
  while (cursor.next() !== undefined) count += 1;
  return count;
}

export function isErased(record: Pick<SubjectPageRecord, 'erased'>, slot: number): boolean {
  return ((record.erased[slot >> 3] as number) & (1 << (slot & 7))) !== 0;
}

export function erasedCount(record: Pick<SubjectPageRecord, 'erased'>): number {
  let count = 0;
  for (let slot = 0; slot < subjectsPerPage; slot++) if (isErased(record, slot)) count += 1;
  return count;
}

type Changing = Extract<Command, { kind: 'subjectPagesChanging' }>;

/** The pages that a command changes, as they will be, and the number of the first subject it creates. */
export function changedSubjectPages(
  view: ReadView,
  { tenant, create, erase, renew }: Changing,
): { readonly records: SubjectPageRecord[]; readonly first: number } {
  if (create < 0 || create > subjectsPerCommandMax || erase.length > subjectsPerCommandMax) {
    throw new VerityError(
      'COMMAND_TOO_LARGE',
      `A command creates or erases at most ${subjectsPerCommandMax} subjects. Make several.`,
    );
  }
  const changed = new Map<number, SubjectPageRecord>();
  const next = (page: number): SubjectPageRecord => {
    const known = changed.get(page);
    if (known !== undefined) return known;
    const record = subjectPage(view, { owner: tenant, page });
    assert(record?.written !== false, 'a page is written before it is changed again');
    const after = {
      owner: tenant,
      page,
      generation: (record?.generation ?? 0) + 1,
      count: record?.count ?? 0,
      erased: record?.erased.slice() ?? new Uint8Array(erasedBitmapBytes),
      written: false,
    };
    changed.set(page, after);
    return after;
  };
  const pageCount = subjectPageCount(view, tenant);
  for (const number of erase) eraseIn(view, { tenant, number }, next);
  if (renew) for (let page = 0; page < pageCount; page++) next(page);
  const first =
    create === 0 ? 0 : takeSlots(view, { tenant, pageCount, create }, { changed, next });
  return { records: [...changed.values()], first };
}

function takeSlots(
  view: ReadView,
  of: { readonly tenant: TenantId; readonly pageCount: number; readonly create: number },
  pages: {
    readonly changed: Map<number, SubjectPageRecord>;
    readonly next: (page: number) => SubjectPageRecord;
  },
): number {
  const { tenant, pageCount, create } = of;
  const last = subjectPage(view, { owner: tenant, page: pageCount - 1 });
  let page = last === undefined || last.count === subjectsPerPage ? pageCount : pageCount - 1;
  const first = page * subjectsPerPage + (page === pageCount ? 0 : (last?.count ?? 0));
  for (let left = create; left > 0; page++) {
    const record = pages.next(page);
    const taken = Math.min(left, subjectsPerPage - record.count);
    pages.changed.set(page, { ...record, count: record.count + taken });
    left -= taken;
  }
  return first;
}

function eraseIn(
  view: ReadView,
  { tenant, number }: { readonly tenant: TenantId; readonly number: number },
  next: (page: number) => SubjectPageRecord,
): void {
  const page = Math.floor(number / subjectsPerPage);
  const slot = number % subjectsPerPage;
  const known = Number.isSafeInteger(number) && number >= 0;
  const record = known ? subjectPage(view, { owner: tenant, page }) : undefined;
  if (record === undefined || slot >= record.count) {
    throw new VerityError(
      'UNKNOWN_SUBJECT',
      `There is no subject key ${number}. Use a number that was given when it was created.`,
    );
  }
  if (isErased(record, slot)) return;
  const { erased } = next(page);
  erased[slot >> 3] = (erased[slot >> 3] as number) | (1 << (slot & 7));
}

type SubjectPageEvent = Extract<LogEvent, { type: 'subjectPage' }>;

/** What a record of the log changes in the store. */
export function subjectPageChanges(event: SubjectPageEvent, leaf: LeafIndex): StoreChange[] {
  const key = subjectPageKey(event);
  const row = new Writer(32);
  row.u64(event.generation);
  row.u16(event.count);
  row.u8(event.written ? 1 : 0);
  row.raw(event.erased);
  const unwritten = event.written ? undefined : new Uint8Array();
  return [
    { tree: subjectPagesTree, key, row: row.finish(), leaf },
    { tree: unwrittenSubjectPagesTree, key, row: unwritten, leaf },
  ];
}
