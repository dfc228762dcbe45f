/**
 * What can happen to a TreeStore, as commands for fast-check: each is done to a MemoryStore, too, and answers are
 * compared. The memory is so small that pages are evicted and spilled all the time.
 */
import fc from 'fast-check';
import {
  assert,
  type LeafIndex,
  type Position,
  type StoreKey,
  toHex,
  type TreeId,
} from '../../base/index.ts';
import { firstStoreDifference } from '../compare.ts';
import { MemoryStore } from '../memory-store.ts';
import { slotsMin } from '../pager.ts';
import { pageBytes } from '../page-device.ts';
import type { StoreChange, StoreVersion } from '../store.ts';
import { walkUsed } from '../store-walk.ts';
import { TreeStore } from '../tree-store.ts';
import type { Cursor, KeyRange } from '../view.ts';
import { MemoryDevice } from './memory-device.ts';
import { checkStructure } from './structure-check.ts';

/** What the model knows: the same store in memory, and what a log would hold. */
export interface Model {
  readonly store: MemoryStore;
  readonly log: { readonly position: Position; readonly batch: readonly StoreChange[] }[];
  readonly meta: Map<string, Uint8Array>;
  leaves: number;
}

/** The store under test, its device, and the checkpoint that a restart begins with. */
export class Real {
  readonly device = new MemoryDevice();
  store = new TreeStore(this.device, { cacheBytes: slotsMin * pageBytes });
  durable:
    | { readonly roots: Uint8Array; readonly meta: ReadonlyMap<string, Uint8Array> }
    | undefined;
  frozenMeta = new Map<string, Uint8Array>();
  readonly cursors: { readonly mine: Cursor; readonly theirs: Cursor }[] = [];

  /** The frozen state is written in full: it is checked and made durable. */
  finish(): void {
    const roots = this.store.frozenRoots();
    checkStructure(this.device, roots);
    this.device.checkpointIsDurable();
    this.durable = { roots, meta: this.frozenMeta };
  }
}

type StoreCommand = fc.Command<Model, Real>;

/** A command by what it does and how it is shown. */
class Step<T> implements StoreCommand {
  readonly #given: T;
  readonly #name: string;
  readonly #run: (given: T, model: Model, real: Real) => void;

  constructor(name: string, given: T, run: (given: T, model: Model, real: Real) => void) {
    this.#name = name;
    this.#given = given;
    this.#run = run;
  }

  check(): boolean {
    return true;
  }

  run(model: Model, real: Real): void {
    this.#run(this.#given, model, real);
  }

  toString(): string {
    return `${this.#name}(${JSON.stringify(this.#given)})`;
  }
}

function step<T>(
  name: string,
  given: fc.Arbitrary<T>,
  run: (given: T, model: Model, real: Real) => void,
): fc.Arbitrary<StoreCommand> {
  return given.map((one) => new Step(name, one, run));
}

const shortKey = fc.string({ unit: fc.constantFrom('\0', 'a', 'b', '\xff'), maxLength: 4 });
const numberKey = fc.nat(3_000).map((n) => `\x01\x80\0${String.fromCharCode(n >> 8, n & 0xff)}`);
const longKey = fc
  .tuple(
    fc.constantFrom('x', 'y'),
    fc.constantFrom(478, 479, 480, 481, 959, 960, 961, 8190),
    shortKey,
  )
  .map(([unit, length, end]) => unit.repeat(length) + end);
const key = fc.oneof(
  { weight: 4, arbitrary: shortKey },
  { weight: 8, arbitrary: numberKey },
  { weight: 2, arbitrary: longKey },
) as fc.Arbitrary<string> as fc.Arbitrary<StoreKey>;
const tree = fc.constantFrom(0, 1, 2, 2 ** 32 + 5, 2 ** 52 - 1) as fc.Arbitrary<TreeId>;
const rowLength = fc.option(
  fc.oneof(
    { weight: 6, arbitrary: fc.nat(200) },
    { weight: 3, arbitrary: fc.integer({ min: 900, max: 1_010 }) },
    { weight: 1, arbitrary: fc.integer({ min: 4_000, max: 13_000 }) },
  ),
  { nil: undefined, freq: 6 },
);
const range = fc.record(
  { from: key, to: key, reverse: fc.boolean() },
  { requiredKeys: [] },
) as fc.Arbitrary<KeyRange>;
/** A position as a share of the newest one; 1 is most often asked for. */
const share = fc.oneof(fc.constant(1), fc.double({ min: 0, max: 1, noNaN: true }));

function at(model: Model, part: number): Position {
  return Math.floor(model.store.appliedPosition * part) as Position;
}

function rowOf(length: number, fill: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index % 16 === 0 ? index >> 4 : fill));
}

function applyBoth(model: Model, real: Real, gap: number, changes: readonly Change[]): void {
  const position = (model.store.appliedPosition + gap) as Position;
  const batch = changes.map(({ length, ...place }) => {
    const leaf = model.leaves++ as LeafIndex;
    return { ...place, row: length === undefined ? undefined : rowOf(length, leaf & 0xff), leaf };
  });
  model.log.push({ position, batch });
  model.store.apply(position, batch);
  real.store.apply(position, batch);
}

interface Change {
  readonly tree: TreeId;
  readonly key: StoreKey;
  readonly length: number | undefined;
}

const gap = fc.oneof(
  { weight: 7, arbitrary: fc.integer({ min: 1, max: 3 }) },
  { weight: 1, arbitrary: fc.constantFrom(3_000_000_000, 2 ** 40) },
);
const apply = step(
  'apply',
  fc.record({
    gap,
    changes: fc.array(fc.record({ tree, key, length: rowLength }), { maxLength: 12 }),
  }),
  (given, model, real) => applyBoth(model, real, given.gap, given.changes),
);

/** Many keys in ascending, descending or scattered order, one position each or all in one. */
const load = step(
  'load',
  fc.record({
    tree,
    count: fc.integer({ min: 1, max: 1_200 }),
    stride: fc.constantFrom(1, -1, 7_919),
    start: fc.nat(60_000),
    length: fc.nat(400),
    together: fc.boolean(),
  }),
  ({ tree: id, count, stride, start, length, together }, model, real) => {
    const changes = Array.from({ length: count }, (_, index): Change => {
      const n = (start + index * stride + 0x1_0000_0000) & 0xffff;
      return {
        tree: id,
        key: `\x01\x80\0${String.fromCharCode(n >> 8, n & 0xff)}` as StoreKey,
        length,
      };
    });
    if (together) applyBoth(model, real, 1, changes);
    else for (const change of changes) applyBoth(model, real, 1, [change]);
  },
);

const readKey = step(
  'read',
  fc.record({ tree, key, share }),
  (given, { store, ...model }, real) => {
    const { tree: id, key: name } = given;
    const position = at({ store, ...model }, given.share);
    same(real.store.get(id, name), store.get(id, name), 'get');
    same(real.store.getAt(id, name, position), store.getAt(id, name, position), 'getAt');
    same(real.store.latest(id, name), store.latest(id, name), 'latest');
    const mine = real.store.versions(id, name);
    const theirs = store.versions(id, name);
    assert(mine.length === theirs.length, 'versions: as many');
    for (const [index, version] of mine.entries()) same(version, theirs[index], 'versions');
  },
);

const scan = step('scan', fc.record({ tree, range, share }), (given, model, real) => {
  const { tree: id, range: within } = given;
  const position = at(model, given.share);
  sameRest(real.store.scanAt(id, within, position), model.store.scanAt(id, within, position));
  const changed = model.store.changedSince(id, within, position);
  assert(real.store.changedSince(id, within, position) === changed, 'changedSince is right');
});

const openCursor = step('openCursor', fc.record({ tree, range, share }), (given, model, real) => {
  const position = at(model, given.share);
  const mine = real.store.scanAt(given.tree, given.range, position);
  const theirs = model.store.scanAt(given.tree, given.range, position);
  real.cursors.push({ mine, theirs });
});

const stepCursors = step('stepCursors', fc.integer({ min: 1, max: 20 }), (count, _, real) => {
  for (const { mine, theirs } of real.cursors) {
    for (let index = 0; index < count; index++) {
      const expected = theirs.next();
      const found = mine.next();
      assert(found?.key === expected?.key, 'a kept cursor goes on with the next key');
      same(found, expected, 'kept cursor');
    }
  }
});

const putMeta = step(
  'putMeta',
  fc.record({ key: shortKey, length: rowLength }),
  (given, model, real) => {
    const value =
      given.length === undefined ? undefined : rowOf(given.length, model.leaves++ & 0xff);
    if (value === undefined) model.meta.delete(given.key);
    else model.meta.set(given.key, value);
    real.store.meta.put(given.key as StoreKey, value);
  },
);

const freeze = step('freeze', fc.constant(null), (_, model, real) => {
  if (real.store.checkpointRunning) return;
  finishUnseen(real);
  real.store.freeze();
  unseen.add(real);
  real.frozenMeta = new Map(model.meta);
});

/** Checkpoints that back-pressure may have written to the end, unseen. */
const unseen = new WeakSet<Real>();

function finishUnseen(real: Real): void {
  if (!unseen.has(real) || real.store.checkpointRunning) return;
  unseen.delete(real);
  real.finish();
}

const write = step('write', fc.integer({ min: 1, max: 60 }), (pagesMax, _, real) => {
  if (real.store.checkpointRunning) real.store.writeSlice(pagesMax);
  finishUnseen(real);
});

/** A checkpoint with nothing changed after it uses exactly the pages that are taken. */
const checkpoint = step('checkpoint', fc.constant(null), (_, model, real) => {
  if (real.store.checkpointRunning) real.store.writeSlice(Infinity);
  finishUnseen(real);
  real.store.freeze();
  real.frozenMeta = new Map(model.meta);
  real.store.writeSlice(Infinity);
  real.finish();
  const { used } = checkStructure(real.device, real.durable!.roots);
  assert(used.size === real.device.pagesTaken.size, 'the pages taken are those that are used');
  for (const page of used) assert(real.device.pagesTaken.has(page), 'a used page is taken');
});

/** The process ends: what was not in the last durable checkpoint is applied again from the log. */
const restart = step('restart', fc.constant(null), (_, model, real) => {
  finishUnseen(real);
  unseen.delete(real);
  real.cursors.length = 0;
  const { durable } = real;
  const used = new Set<number>();
  if (durable !== undefined) {
    const mark = (page: number, count: number): void => {
      for (let index = page; index < page + count; index++) used.add(index);
    };
    for (const _ of walkUsed(real.device, durable.roots, mark));
    const seen = checkStructure(real.device, durable.roots).used;
    assert(seen.size === used.size, 'the walk finds every page');
  }
  real.device.restart(used);
  const options = { cacheBytes: slotsMin * pageBytes };
  real.store = new TreeStore(real.device, options, durable?.roots);
  for (const { position, batch } of model.log) {
    if (position > real.store.appliedPosition) real.store.apply(position, batch);
  }
  model.meta.clear();
  for (const [name, value] of durable?.meta ?? []) model.meta.set(name, value);
});

const compareAll = step('compareAll', fc.constant(null), (_, model, real) => {
  const difference = firstStoreDifference(model.store, real.store);
  assert(difference === undefined, `both stores hold the same, but for tree ${difference?.tree}`);
  compareMeta(model, real);
});

/** The commands; those named more often come more often. */
export const storeCommands: fc.Arbitrary<StoreCommand>[] = [
  apply,
  load,
  load,
  load,
  readKey,
  scan,
  write,
  openCursor,
  stepCursors,
  putMeta,
  freeze,
  checkpoint,
  restart,
  compareAll,
];

/** A fresh store and its model. */
export function newSetup(): { model: Model; real: Real } {
  return {
    model: { store: new MemoryStore(), log: [], meta: new Map(), leaves: 0 },
    real: new Real(),
  };
}

/** Compares everything, in the end. */
export function compareStores(model: Model, real: Real): void {
  const difference = firstStoreDifference(model.store, real.store);
  assert(difference === undefined, `both stores hold the same, but for tree ${difference?.tree}`);
  compareMeta(model, real);
}

function compareMeta(model: Model, real: Real): void {
  const { meta } = real.store;
  const names = [...model.meta.keys()].sort();
  let from = '' as StoreKey;
  for (const name of names) {
    const found = meta.ceiling(from);
    assert(found?.key === name, 'the meta tree has the keys in order');
    const value = meta.get(found.key);
    assert(value !== undefined && toHex(value) === toHex(found.value), 'get and ceiling agree');
    assert(toHex(value) === toHex(model.meta.get(name)!), 'a meta value is the one put last');
    from = `${name}\0` as StoreKey;
  }
  assert(meta.ceiling(from) === undefined, 'the meta tree has no other keys');
}

function same(
  mine: StoreVersion | undefined,
  theirs: StoreVersion | undefined,
  what: string,
): void {
  assert((mine === undefined) === (theirs === undefined), `${what}: both find it or none`);
  if (mine === undefined || theirs === undefined) return;
  assert(mine.from === theirs.from && mine.leaf === theirs.leaf, `${what}: of the same event`);
  const rows = [mine.row, theirs.row].map((row) => (row === undefined ? row : toHex(row)));
  assert(rows[0] === rows[1], `${what}: the same row`);
}

function sameRest(mine: Cursor, theirs: Cursor): void {
  for (;;) {
    const expected = theirs.next();
    const found = mine.next();
    assert(found?.key === expected?.key, 'scan: the same key comes next');
    same(found, expected, 'scan');
    if (expected === undefined) return;
  }
}
