/** How long a database takes to open after its process was killed, and how fast it is verified. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, cpSync, fsyncSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { quantile, round } from '../measure.ts';
import { Place } from '../place.ts';
import type { Result, Scale } from './turns.ts';

const rowsOfTable = 1_000_000;
const openings = 5;
const aimSeconds = 2;

type Said = Readonly<Record<string, number>>;

/** `open-1m` and `verify-1m`: each opening is of its own copy of what the killed process left. */
export async function reopen(scale: Scale): Promise<Result[]> {
  const place = new Place();
  const path = join(place.folder, 'killed');
  const keyFile = join(place.folder, 'killed.key');
  const opened: Said[] = [];
  const verified: Said[] = [];
  try {
    const { acknowledged = 0 } = await loadAndKill([path, keyFile, String(scale.of(rowsOfTable))]);
    for (let round = 0; round < openings; round++) {
      const copy = `${path}-${round}`;
      copyDurably(path, copy);
      const said = await finished(childFor(['open', copy, keyFile]));
      if ((said['rows'] ?? 0) < acknowledged)
        throw new Error(`${acknowledged} rows were acknowledged, ${said['rows']} are there.`);
      opened.push(said);
      const report = await finished(childFor(['verify', copy, keyFile]));
      if ((report['events'] ?? 0) < acknowledged)
        throw new Error(`verify read ${report['events']} events of ${acknowledged}.`);
      verified.push(report);
      rmSync(copy, { recursive: true });
    }
  } finally {
    place.remove();
  }
  return linesOf(opened, verified);
}

function linesOf(opened: readonly Said[], verified: readonly Said[]): Result[] {
  const all = (said: readonly Said[], name: string) => said.map((each) => each[name] ?? 0);
  // What opens lazily pays at its first read.
  const toFirstRead = all(opened, 'readSeconds');
  const rows = Math.min(...all(opened, 'rows'));
  const speeds = verified.map(({ events = 0, seconds = 1 }) => events / seconds);
  const range = (values: readonly number[]) =>
    [round(Math.min(...values)), round(Math.max(...values))] as const;
  const [least, most] = range(toFirstRead);
  return [
    {
      bench: 'open-1m',
      perSecond: Math.round(rows / quantile(toFirstRead, 0.5)),
      unit: 'rows',
      seconds: round(quantile(toFirstRead, 0.5)),
      range: [least, most],
      openSeconds: round(quantile(all(opened, 'openSeconds'), 0.5)),
      rows,
      openings,
      aimSeconds,
      summary: `${round(quantile(toFirstRead, 0.5))} s (${least}–${most}) for ${rows.toLocaleString('en-US')} rows; asked: under ${aimSeconds} s for 1,000,000`,
    },
    {
      bench: 'verify-1m',
      perSecond: Math.round(quantile(speeds, 0.5)),
      unit: 'records',
      seconds: round(quantile(all(verified, 'seconds'), 0.5)),
      range: range(speeds).map(Math.round),
      events: Math.min(...all(verified, 'events')),
    },
  ];
}

function childFor(words: readonly string[]): ChildProcess {
  const script = fileURLToPath(new URL('reopen-child.ts', import.meta.url));
  return spawn(process.execPath, [...process.execArgv, script, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Kills the process that loads as soon as it has said that all rows are there; it is writing more of them then. */
async function loadAndKill(words: readonly string[]): Promise<Said> {
  const child = childFor(['load', ...words]);
  return finished(child, () => child.kill('SIGKILL'));
}

/** What a child says in its first line, when it has ended. */
async function finished(
  child: ChildProcess,
  onLine: () => unknown = () => undefined,
): Promise<Said> {
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    if (text.includes('\n')) onLine();
  });
  const status = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  const line = text.split('\n')[0] ?? '';
  if (line === '' || (status !== 0 && status !== null))
    throw new Error(`A process of the bench ended with exit code ${status}.`);
  return JSON.parse(line) as Said;
}

/** The copy is on the disk when this returns, so that no opening pays for writing it. */
function copyDurably(from: string, to: string): void {
  cpSync(from, to, { recursive: true });
  for (const entry of readdirSync(to, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const descriptor = openSync(join(entry.parentPath, entry.name), 'r');
    fsyncSync(descriptor);
    closeSync(descriptor);
  }
}
