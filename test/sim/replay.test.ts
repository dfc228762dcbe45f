/** A seed decides everything: in one process, in two, whatever ran before. */
import { expect, test } from 'vitest';
import { embeddedDatabase } from '../../src/cli/sim/world.ts';
import { runSeed } from '../../src/sim/index.ts';
import { verity, verityJson } from '../cli/verity-command.ts';

const kind = embeddedDatabase();
await kind.prepare();

test('the same seed has the same trace, line by line', async () => {
  const trace = async (seed: number): Promise<string[]> => {
    const lines: string[] = [];
    await runSeed(kind, seed, { onTrace: (line) => void lines.push(line) });
    return lines;
  };
  for (const seed of [3, 8]) {
    const lines = await trace(seed);
    expect(lines.length).toBeGreaterThan(200);
    expect(await trace(seed)).toEqual(lines);
  }
});

test('twenty seeds have the same hashes again, and other seeds have others', async () => {
  const hashes: string[] = [];
  for (let seed = 1; seed <= 20; seed++) hashes.push((await runSeed(kind, seed)).traceHash);
  expect(new Set(hashes).size).toBe(20);
  for (let seed = 20; seed >= 1; seed--) {
    expect((await runSeed(kind, seed)).traceHash).toBe(hashes[seed - 1]);
  }
});

test('two other processes, too, have the same trace', async () => {
  const { traceHash } = await runSeed(kind, 11);
  for (let time = 0; time < 2; time++) {
    expect(verityJson(['sim', '--seed', '11']).document).toMatchObject({ ok: true, traceHash });
  }
});

test('runs shared by processes add up to the same as in one', () => {
  const alone = verityJson(['sim', '--seed', '21', '--runs', '6']);
  const shared = verityJson(['sim', '--seed', '21', '--runs', '6', '--jobs', '2']);
  const figures = ({ document }: typeof alone): unknown => {
    const { seconds: _seconds, seedsPerSecond: _rate, ...rest } = document;
    return rest;
  };
  expect(figures(shared)).toEqual(figures(alone));
  expect(alone.exitCode).toBe(0);
});

test('a part of a seed runs by the numbers of its events', () => {
  const { exitCode, stdout } = verity(['sim', '--seed', '4', '--keep', '0,1', '--trace']);
  const events = stdout.split('\n').filter((line) => line.startsWith('· '));
  expect(events).toHaveLength(3);
  expect(events.at(-1)).toBe('· finish');
  expect(exitCode).toBe(0);
});

test('the JSON document has these fields', () => {
  const { document } = verityJson(['sim', '--seed', '4', '--keep', '0']);
  expect(Object.keys(document).toSorted()).toEqual([
    'checks',
    'events',
    'failures',
    'faults',
    'firstSeed',
    'interrupted',
    'invalid',
    'load',
    'ok',
    'rarePaths',
    'runs',
    'seconds',
    'seedsPerSecond',
    'simulatedHours',
    'traceHash',
    'violations',
  ]);
});

test('wrong usage is refused', () => {
  for (const args of [
    ['--seed', 'x'],
    ['--seed', '0'],
    ['--keep', '1;2'],
    ['--runs', '2', '--keep', '1'],
    ['--runs', '2', '--trace'],
    ['--trace', '--json'],
  ]) {
    expect(verity(['sim', ...args]).exitCode, args.join(' ')).toBe(2);
  }
});
