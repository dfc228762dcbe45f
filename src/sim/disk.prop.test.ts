/** What holds for any sequence of calls, any seed and any crash. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toHex, type DiskFile } from '../base/index.ts';
import { SimDisk } from './index.ts';

const sector = 512;
const names = ['a', 'b', 'log/c'] as const;

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('write'),
      offset: fc.nat(6_000),
      length: fc.integer({ min: 1, max: 3_000 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cut'), sectors: fc.nat(14) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('flush') }) },
);
type Step = { kind: string; offset?: number; length?: number; sectors?: number };
const program = fc.array(fc.tuple(fc.constantFrom(...names), step), { maxLength: 30 });
const seed = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** Runs the steps on durable files; after each step tells the file's whole content. */
function run(
  disk: SimDisk,
  steps: readonly (readonly [string, Step])[],
  told: (name: string, step: Step) => void,
): void {
  const files = new Map<string, DiskFile>();
  for (const name of names) files.set(name, disk.open(name, 'readwrite'));
  let filler = 0;
  for (const [name, one] of steps) {
    const file = files.get(name) as DiskFile;
    if (one.kind === 'write')
      file.write(new Uint8Array(one.length ?? 0).fill((filler++ % 250) + 1), one.offset ?? 0);
    else if (one.kind === 'cut') file.truncate((one.sectors ?? 0) * sector);
    else file.flush();
    told(name, one);
  }
}

const start = (seedValue: number): SimDisk =>
  SimDisk.fromImage(new Map(names.map((name) => [name, new Uint8Array(1_000).fill(255)])), {
    seed: seedValue,
  });

/** An image as text: comparing byte arrays one element at a time would take most of the test. */
function textOf(image: ReadonlyMap<string, Uint8Array>): string {
  return [...image].map(([name, content]) => `${name}: ${toHex(content)}`).join('\n');
}

/** The bytes of one sector, zeros past the end. */
function sectorOf(content: Uint8Array, index: number): string {
  const bytes = new Uint8Array(sector);
  bytes.set(content.subarray(index * sector, (index + 1) * sector));
  return toHex(bytes);
}

test('after a crash each sector and each size is one that the file had since its last flush', () => {
  fc.assert(
    fc.property(program, seed, (steps, seedValue) => {
      const disk = start(seedValue);
      const since = new Map<string, Uint8Array[]>(
        names.map((name) => [name, [disk.image().get(name) as Uint8Array]]),
      );
      run(disk, steps, (name, { kind }) => {
        const content = disk.image().get(name) as Uint8Array;
        if (kind === 'flush') since.set(name, [content]);
        else since.get(name)?.push(content);
      });
      for (let crash = 0; crash < 3; crash++) {
        for (const [name, content] of disk.crash().image()) {
          const versions = since.get(name) as Uint8Array[];
          expect(versions.map((version) => version.length)).toContain(content.length);
          for (let index = 0; index * sector < content.length; index++) {
            const allowed = versions.map((version) =>
              sectorOf(version.subarray(0, content.length), index),
            );
            expect(allowed).toContain(sectorOf(content, index));
          }
        }
      }
    }),
    { numRuns: 150 },
  );
});

test('what was flushed and not touched since survives every crash', () => {
  fc.assert(
    fc.property(program, seed, (steps, seedValue) => {
      const disk = start(seedValue);
      run(disk, steps, () => undefined);
      for (const name of names) disk.open(name, 'readwrite').flush();
      const flushed = textOf(disk.image());
      expect(textOf(disk.durableImage())).toBe(flushed);
      expect(textOf(disk.crash().image())).toBe(flushed);
    }),
    { numRuns: 100 },
  );
});

test('the same seed and the same calls give the same images', () => {
  fc.assert(
    fc.property(program, seed, (steps, seedValue) => {
      const images = [0, 1].map(() => {
        const disk = start(seedValue);
        run(disk, steps, () => undefined);
        const after = disk.crash();
        return [textOf(after.image()), textOf(disk.crash().image()), disk.calls];
      });
      expect(images[0]).toEqual(images[1]);
    }),
    { numRuns: 50 },
  );
});

test('another seed gives another image, sooner or later', () => {
  const imageOf = (seedValue: number): string => {
    const disk = start(seedValue);
    disk.open('a', 'readwrite').write(new Uint8Array(20 * sector).fill(1), 0);
    return String(disk.crash().image().get('a'));
  };
  expect(new Set(Array.from({ length: 30 }, (_, index) => imageOf(index))).size).toBeGreaterThan(5);
});

const path = fc.constantFrom('x', 'y', 'log/x');
const nameStep = fc.oneof(
  fc.record({ kind: fc.constant('create' as const), to: path }),
  fc.record({ kind: fc.constant('rename' as const), from: path, to: path }),
  fc.record({ kind: fc.constant('remove' as const), to: path }),
  fc.record({
    kind: fc.constant('flush' as const),
    directories: fc.subarray(['', 'log'], { minLength: 1 }),
  }),
);

/** The number that each file of an image holds, which tells it from all others. */
function filesOf(image: ReadonlyMap<string, Uint8Array>): number[] {
  return [...image.values()].map((content) => content[0] as number);
}

test('after a crash no file has two names, and none that was neither removed nor replaced has none', () => {
  fc.assert(
    fc.property(fc.array(nameStep, { maxLength: 25 }), seed, (steps, seedValue) => {
      const disk = SimDisk.fromImage(new Map([['log/keep', new Uint8Array(1)]]), {
        seed: seedValue,
      });
      const certain = new Set<number>([0]);
      let files = 0;
      for (const one of steps) {
        if (one.kind === 'flush') {
          for (const directory of one.directories) disk.flushDirectory(directory);
          if (one.directories.length === 2)
            for (const file of filesOf(disk.image())) certain.add(file);
          continue;
        }
        const replaced = disk.image().get(one.to)?.[0];
        if (one.kind === 'create') {
          if (replaced !== undefined) continue;
          const file = disk.open(one.to, 'create');
          file.write(Uint8Array.of(++files), 0);
          file.flush();
          continue;
        }
        if (one.kind === 'rename') {
          if (!disk.exists(one.from)) continue;
          disk.rename(one.from, one.to);
          if (one.from === one.to) continue;
        } else if (replaced !== undefined) {
          disk.remove(one.to);
        }
        if (replaced !== undefined) certain.delete(replaced);
      }
      const left = filesOf(disk.crash().image());
      expect(new Set(left).size).toBe(left.length);
      for (const file of certain) expect(left).toContain(file);
    }),
    { numRuns: 500 },
  );
});

test('what both directories were flushed with is what every crash leaves', () => {
  fc.assert(
    fc.property(fc.array(nameStep, { maxLength: 25 }), seed, (steps, seedValue) => {
      const disk = SimDisk.fromImage(new Map([['log/keep', new Uint8Array(1)]]), {
        seed: seedValue,
      });
      for (const one of steps) {
        if (one.kind === 'flush')
          for (const directory of one.directories) disk.flushDirectory(directory);
        else if (one.kind === 'create' && !disk.exists(one.to)) disk.open(one.to, 'create').close();
        else if (one.kind === 'rename' && disk.exists(one.from)) disk.rename(one.from, one.to);
        else if (one.kind === 'remove' && disk.exists(one.to)) disk.remove(one.to);
      }
      disk.flushDirectory('');
      disk.flushDirectory('log');
      expect([...disk.crash().image().keys()]).toEqual([...disk.image().keys()]);
    }),
    { numRuns: 300 },
  );
});
