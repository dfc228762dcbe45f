/** Many seeds, by the command and in as many processes as there are cores: the longest test, which no single one should end with. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { root } from '../support/project.ts';

const seeds = 500;

interface Report {
  readonly ok: boolean;
  readonly runs: number;
  readonly violations: readonly unknown[];
  /** What the runs lacked: load, faults, commits, a checker or a rare path that none reached. */
  readonly invalid: readonly string[];
  readonly rarePaths: unknown;
  readonly faults: unknown;
  readonly checks: unknown;
  readonly simulatedHours: number;
}

test('whatever the disk, the clock and the end of processes do, everything that was told is so', async () => {
  const args = ['sim', '--seed', '1', '--runs', String(seeds), '--jobs', '2', '--json'];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [join(root, 'dist/cli/main.js'), ...args],
    { maxBuffer: 1 << 26 },
  ).catch((error: { readonly stdout: string }) => error);
  const { runs, violations, invalid, rarePaths, faults, checks, simulatedHours } = JSON.parse(
    stdout,
  ) as Report;
  // Each has its seed: npm run sim -- --seed N shrinks it.
  expect(violations).toEqual([]);
  expect([runs, invalid]).toEqual([seeds, []]);
  const figures = { rarePaths, faults, checks, simulatedHours: Math.round(simulatedHours) };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}, 900_000);
