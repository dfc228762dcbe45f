/** `verity sim` in a process of its own: what an interruption leaves. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

test.each(['1', '2'])(
  'an interrupted run with %s processes reports what it has run',
  async (jobs) => {
    const args = [main, 'sim', '--seed', '5', '--runs', '100000', '--jobs', jobs, '--json'];
    const child = spawn(process.execPath, args);
    let text = '';
    child.stdout.on('data', (bytes: Buffer) => void (text += bytes.toString()));
    // A dozen seeds or so; a signal that came before any could not be told from one that was not heard.
    const timer = setInterval(() => child.kill('SIGINT'), 6_000);
    await new Promise((resolve) => child.once('close', resolve));
    clearInterval(timer);
    const report = JSON.parse(text) as {
      runs: number;
      interrupted: boolean;
      violations: unknown[];
    };
    expect(report).toMatchObject({ interrupted: true, firstSeed: 5, violations: [] });
    expect(report.runs).toBeGreaterThan(0);
    expect(report.runs).toBeLessThan(100_000);
  },
);
