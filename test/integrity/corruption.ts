/** Damage to whole parts of files, and what a database answers to it: verified, and opened by its owner. */
import { CorruptionError, toHex, VerityError } from '../../src/base/index.ts';
import { auditDatabase } from '../../src/audit/index.ts';
import { Verity } from '../../src/database/index.ts';
import { type DiskImage, diskOf } from './disk-image.ts';
import { hostOn, TestKey } from './sample-database.ts';
import { recordsOf } from './sweep.ts';

export const damageKinds = [
  'zero',
  'ones',
  'swap',
  'truncate',
  'extend',
  'stale',
  'missing',
] as const;
export type DamageKind = (typeof damageKinds)[number];

export interface Damage {
  readonly kind: DamageKind;
  /** Files that differ from what they were; one of them must be named. */
  readonly files: readonly string[];
  readonly what: string;
  readonly image: DiskImage;
}

/** How many damages of a kind were answered in which way. */
export interface Tally {
  damages: number;
  /** Refused, with one of the damaged files and an offset. */
  refused: number;
  /** Opened, what was damaged reported as cut or mended, and nothing that was acknowledged is missing. */
  repaired: number;
  /** Opened and verified without a word, and nothing is missing: files as a killed process may leave them. */
  readonly unharmed: string[];
  /** Not a word from one of the two, or something is missing. */
  readonly silent: string[];
  /** Another file was named. */
  readonly misplaced: string[];
  /** Something else than a CorruptionError or a report. */
  readonly crashed: string[];
  readonly codes: Record<string, number>;
  slowestMs: number;
}

export function noTally(): Tally {
  return {
    damages: 0,
    refused: 0,
    repaired: 0,
    unharmed: [],
    silent: [],
    misplaced: [],
    crashed: [],
    codes: {},
    slowestMs: 0,
  };
}

/**
 * Zeros behind the log are what a killed process leaves of the room that it took, and an older anchor what
 * one leaves that had not moved it yet; either slot of the anchor may hold the newer words.
 */
export function mayBeUnharmed(kind: DamageKind, what: string): boolean {
  if (kind === 'extend') return /\.vlog: \d+ bytes 0 longer$/.test(what);
  if (kind === 'stale') return what.startsWith('anchor: ');
  return kind === 'swap' && what === 'anchor: blocks at 0 and 512 exchanged';
}

const blockBytes = 512;

export interface DamageChoice {
  /** Truncate at each n-th byte, besides the ends of records. */
  readonly cutStep: number;
  /** Zeros, ones and swaps of each n-th block, besides whole records and the whole file. */
  readonly blockStep: number;
}

/** Everything that is done to the files of `image`; `older` holds copies of the files as they were before. */
export function* damagesOf(
  image: DiskImage,
  older: readonly DiskImage[],
  choice: DamageChoice,
): Generator<Damage> {
  for (const [path, bytes] of image) {
    yield* overwritten(image, path, bytes, choice);
    yield* swappedBlocks(image, path, bytes, choice);
    yield* resized(image, path, bytes, choice);
    yield* replaced(image, path, older);
  }
  yield* swappedFiles(image);
}

function* changed(
  image: DiskImage,
  damage: Omit<Damage, 'image' | 'files'>,
  files: ReadonlyMap<string, Uint8Array | undefined>,
): Generator<Damage> {
  const next = new Map(image);
  for (const [path, bytes] of files) {
    if (bytes === undefined) next.delete(path);
    else next.set(path, bytes);
  }
  const differing = [...files.keys()].filter((path) => {
    const [before, after] = [image.get(path), next.get(path)];
    return before === undefined || after === undefined || Buffer.compare(before, after) !== 0;
  });
  if (differing.length > 0) yield { ...damage, files: differing, image: next };
}

/** Blocks, records, everything behind a record, and the whole file, as zeros and as ones. */
function* overwritten(
  image: DiskImage,
  path: string,
  bytes: Uint8Array,
  { blockStep }: DamageChoice,
): Generator<Damage> {
  const ranges: (readonly [number, number])[] = [[0, bytes.length]];
  for (let start = 0; start < bytes.length; start += blockBytes * blockStep) {
    ranges.push([start, Math.min(start + blockBytes, bytes.length)]);
  }
  for (const [start, end] of recordsOf(path, bytes).filter(([from, to]) => to - from > 1)) {
    ranges.push([start, end], [start, bytes.length]);
  }
  for (const [start, end] of ranges) {
    for (const [kind, value] of [
      ['zero', 0],
      ['ones', 0xff],
    ] as const) {
      const what = `${path}: ${value} from ${start} to ${end}`;
      const after = bytes.slice().fill(value, start, end);
      yield* changed(image, { kind, what }, new Map([[path, after]]));
    }
  }
}

function* swappedBlocks(
  image: DiskImage,
  path: string,
  bytes: Uint8Array,
  { blockStep }: DamageChoice,
): Generator<Damage> {
  for (let start = 0; start + 2 * blockBytes <= bytes.length; start += blockBytes * blockStep) {
    const middle = start + blockBytes;
    const after = bytes.slice();
    after.copyWithin(start, middle, middle + blockBytes);
    after.set(bytes.subarray(start, middle), middle);
    const what = `${path}: blocks at ${start} and ${middle} exchanged`;
    yield* changed(image, { kind: 'swap', what }, new Map([[path, after]]));
  }
}

function* resized(
  image: DiskImage,
  path: string,
  bytes: Uint8Array,
  { cutStep }: DamageChoice,
): Generator<Damage> {
  const lengths = new Set(recordsOf(path, bytes).map(([start]) => start));
  for (let length = 0; length < bytes.length; length += cutStep) lengths.add(length);
  for (const length of lengths) {
    const what = `${path}: cut at ${length}`;
    yield* changed(image, { kind: 'truncate', what }, new Map([[path, bytes.slice(0, length)]]));
  }
  for (const [count, value] of [
    [1, 1],
    [1, 0],
    [700, 0],
    [700, 0xff],
  ] as const) {
    const after = new Uint8Array(bytes.length + count).fill(value);
    after.set(bytes);
    const what = `${path}: ${count} bytes ${value} longer`;
    yield* changed(image, { kind: 'extend', what }, new Map([[path, after]]));
  }
}

function* replaced(image: DiskImage, path: string, older: readonly DiskImage[]): Generator<Damage> {
  yield* changed(
    image,
    { kind: 'missing', what: `${path}: missing` },
    new Map([[path, undefined]]),
  );
  for (const [number, before] of older.entries()) {
    const bytes = before.get(path);
    const what = `${path}: as it was in copy ${number}`;
    if (bytes !== undefined)
      yield* changed(image, { kind: 'stale', what }, new Map([[path, bytes]]));
  }
}

/** Each file in the place of each other. */
function* swappedFiles(image: DiskImage): Generator<Damage> {
  const all = [...image];
  for (const [index, [left, leftBytes]] of all.entries()) {
    for (const [right, rightBytes] of all.slice(index + 1)) {
      const what = `${left} and ${right} exchanged`;
      const files = new Map([
        [left, rightBytes],
        [right, leftBytes],
      ]);
      yield* changed(image, { kind: 'swap', what }, files);
    }
  }
}

/** What the database was: the chain hash is that of everything it held. */
export interface Whole {
  readonly position: bigint;
  readonly chainHash: string;
  /** A key in a page of subject keys, which opening does not read: its id and digits. */
  readonly subjectKey: { readonly id: string; readonly digits: string };
}

/** The digits of a tenant's envelope key. Throws what reading its page throws. */
export function subjectKeyIn(db: Verity, id: string): string | undefined {
  const key = db.tenant('north').envelopeKeys(id).kek(id);
  return key === undefined ? undefined : toHex(key.expose());
}

/** Verifies the damaged files and opens them. */
export async function judge(damage: Damage, whole: Whole, tally: Tally): Promise<void> {
  const started = performance.now();
  tally.damages += 1;
  try {
    const verified = await verifiedPlace(damage);
    const opened = await openedPlace(damage, whole);
    // The other copy of a page of subject keys serves on; verification tells of the damaged one.
    const isMended = opened === 'whole' && damage.files.every(isSubjects);
    const isNamedToo = verified !== undefined && isNamed(damage, verified);
    if (opened === 'repaired' || (isMended && isNamedToo)) tally.repaired += 1;
    else if (
      opened === 'whole' &&
      (verified === undefined || mayBeUnharmed(damage.kind, damage.what))
    )
      tally.unharmed.push(damage.what);
    else if (opened === 'whole') tally.silent.push(`${damage.what}: only verify said so`);
    else count(damage, tally, [verified, opened]);
  } catch (error) {
    tally.crashed.push(`${damage.what}: ${String(error)}`);
  }
  tally.slowestMs = Math.max(tally.slowestMs, Math.ceil(performance.now() - started));
}

export function isSubjects(path: string): boolean {
  return path.startsWith('subjects/');
}

interface Place {
  readonly by: 'verify' | 'open';
  readonly code: string;
  readonly file: string;
}

function count(damage: Damage, tally: Tally, places: readonly (Place | undefined)[]): void {
  if (places.includes(undefined)) {
    const named = places.find((place) => place !== undefined)?.by ?? 'nothing';
    tally.silent.push(`${damage.what}: only ${named} said so`);
    return;
  }
  const wrong = places.find((place) => place !== undefined && !isNamed(damage, place));
  if (wrong !== undefined) tally.misplaced.push(`${damage.what}: ${wrong.by} named ${wrong.file}`);
  else tally.refused += 1;
  for (const place of places) {
    if (place !== undefined) tally.codes[place.code] = (tally.codes[place.code] ?? 0) + 1;
  }
}

/** One of the damaged files; where a file or its contents are gone also its directory, or a neighbour that shows the gap. */
function isNamed({ files, kind }: Damage, { file, code }: Place): boolean {
  if (files.includes(file)) return true;
  const directory = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));
  const isNear = (path: string): boolean =>
    directory(path) === file || directory(path) === directory(file);
  return (kind === 'missing' || code === 'MISSING_DATA') && files.some(isNear);
}

async function verifiedPlace({ image }: Damage): Promise<Place | undefined> {
  const report = await auditDatabase({ disk: diskOf(image), root: new TestKey() });
  const [finding] = report.findings;
  if (finding !== undefined) return { by: 'verify', code: finding.code, file: finding.file };
  return report.tornTail && { by: 'verify', code: 'torn tail', file: report.tornTail.file };
}

async function openedPlace(
  { image, files }: Damage,
  whole: Whole,
): Promise<Place | 'repaired' | 'whole' | undefined> {
  let db: Verity | undefined;
  try {
    db = await Verity.openOn(hostOn(diskOf(image)), { masterKey: new TestKey(), create: false });
    const { position, chainHash, recovery } = db.status();
    const key = subjectKeyIn(db, whole.subjectKey.id);
    const isWhole =
      position === whole.position &&
      chainHash === whole.chainHash &&
      key === whole.subjectKey.digits;
    const isReported =
      recovery.cut.some(({ file }) => files.includes(file)) ||
      (recovery.anchorRenewed === true && files.includes('anchor'));
    if (!isWhole) return undefined;
    return isReported ? 'repaired' : 'whole';
  } catch (error) {
    if (error instanceof CorruptionError) return { by: 'open', code: error.code, file: error.file };
    if (!(error instanceof VerityError)) throw error;
    const { file } = error.details as { file?: string };
    return { by: 'open', code: error.code, file: file ?? '' };
  } finally {
    await db?.close();
  }
}
