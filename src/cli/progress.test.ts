import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { type Invocation, segmentProgress } from './invocation.ts';
import { byteCount, count, startProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

function fakeTerminal(isTTY: boolean): {
  terminal: Terminal;
  text: () => string;
  clock: { now: number };
} {
  const pieces: string[] = [];
  const clock = { now: 0 };
  const stderr = Object.assign(
    new Writable({ write: (chunk, _encoding, done) => (pieces.push(String(chunk)), done()) }),
    { isTTY, columns: 120, cursorTo: () => true, clearLine: () => true, moveCursor: () => true },
  );
  const terminal = {
    stdin: process.stdin,
    stdout: stderr,
    stderr,
    env: {},
    now: () => clock.now,
    onInterrupt: () => () => undefined,
  };
  return { terminal, text: () => pieces.join(''), clock };
}

test('without a terminal progress is a line now and then, and a last one with the rate', () => {
  const { terminal, text, clock } = fakeTerminal(false);
  const progress = startProgress({
    terminal,
    label: 'patients.csv',
    total: 5_000,
    unit: 'rows',
    quiet: false,
  });
  clock.now = 1_000;
  progress.update(1_000);
  clock.now = 2_500;
  progress.update(2_500);
  clock.now = 5_000;
  progress.update(5_000);
  progress.end();
  expect(text()).toBe(
    'patients.csv: 2,500 of 5,000 rows, 1,000 rows/s\n' +
      'patients.csv: 5,000 of 5,000 rows, 1,000 rows/s\n'.repeat(2),
  );
});

test('on a terminal progress is a bar with rows per second', () => {
  const { terminal, text, clock } = fakeTerminal(true);
  const progress = startProgress({
    terminal,
    label: 'patients.csv',
    total: 10,
    unit: 'rows',
    quiet: false,
  });
  clock.now = 2_000;
  progress.update(10);
  progress.end();
  expect(text()).toContain('█');
  expect(text()).toContain('10/10 rows, 5 rows/s');
});

test('opening and repairing show a bar for each phase, for one segment only if it takes its time', () => {
  const { terminal, text, clock } = fakeTerminal(true);
  const options = { json: false } as Invocation['options'];
  const invocation = { terminal, options } as Invocation;
  const quick = segmentProgress(invocation, 'verifying');
  quick.onProgress({ phase: 'replay', done: 0, total: 1 });
  clock.now = 100;
  quick.onProgress({ phase: 'replay', done: 0.9, total: 1 });
  quick.end();
  expect(text()).toBe('');
  const slow = segmentProgress(invocation, 'verifying');
  slow.onProgress({ phase: 'replay', done: 0, total: 3 });
  clock.now = 2_100;
  slow.onProgress({ phase: 'replay', done: 2.5, total: 3 });
  // The next phase ends the bar of the one before.
  slow.onProgress({ phase: 'verify', done: 0, total: 1 });
  expect(text()).toMatch(/reading the log .*2\/3 segments/s);
  clock.now = 2_900;
  slow.onProgress({ phase: 'verify', done: 0.5, total: 1 });
  slow.end();
  expect(text()).toMatch(/verifying .*0\/1 segments/s);
  const silent = fakeTerminal(true);
  const json = { terminal: silent.terminal, options: { json: true } } as Invocation;
  segmentProgress(json, 'verifying').onProgress({ phase: 'replay', done: 1, total: 9 });
  expect(silent.text()).toBe('');
});

test('quiet progress prints nothing', () => {
  const { terminal, text } = fakeTerminal(true);
  const progress = startProgress({ terminal, label: 'x', total: 10, unit: 'rows', quiet: true });
  progress.update(5);
  progress.end();
  expect(text()).toBe('');
});

test('figures are grouped and bytes scaled the same on every machine', () => {
  expect([count(0), count(999), count(1_000), count(12_345_678)]).toEqual([
    '0',
    '999',
    '1,000',
    '12,345,678',
  ]);
  expect([byteCount(9_999), byteCount(12_340), byteCount(5_000_000_000)]).toEqual([
    '9,999 bytes',
    '12.3 kB',
    '5.0 GB',
  ]);
});
