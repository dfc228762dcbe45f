/**
 * `npm run bench:compare [-- name…] [--scale 0.05]`: VerityDB and its peers in one run. Prints one JSON line for each
 * bench, then a table in Markdown. See ../README.md.
 */
import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { machineAt } from '../measure.ts';
import { Place } from '../place.ts';
import { getAsOf } from './as-of.ts';
import { bulkImport } from './imports.ts';
import { inserts } from './inserts.ts';
import { reads } from './reads.ts';
import { reopen } from './reopen.ts';
import { stall } from './stall.ts';
import { markdownOf, type Printed } from './table.ts';
import { type Result, type Scale, scaleBy } from './turns.ts';

type Group = (scale: Scale) => Promise<Result[]>;

/** Named by what is ours; each runs in a process of its own. */
const groups: Readonly<Record<string, Group>> = {
  'insert-64': (scale) => inserts(scale, { indexed: false }),
  'insert-64-indexed': (scale) => inserts(scale, { indexed: true }),
  'bulk-import': bulkImport,
  get: reads,
  'get-as-of': getAsOf,
  'open-1m': reopen,
  stall,
};

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    scale: { type: 'string', default: '1' },
    'in-this-process': { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const factor = Number(options.scale);
  const unknown = names.filter((name) => !Object.hasOwn(groups, name));
  if (unknown.length > 0 || !(factor > 0)) {
    const what =
      unknown.length > 0 ? `There is no bench ${unknown.join(', ')}.` : '--scale is > 0.';
    process.stderr.write(`${what} There are ${Object.keys(groups).join(', ')}.\n`);
    return 2;
  }
  const chosen = names.length === 0 ? Object.keys(groups) : names;
  if (options['in-this-process']) {
    for (const name of chosen) await runHere(name, scaleBy(factor));
    return 0;
  }
  const printed: Printed[] = [];
  let failed = 0;
  for (const name of chosen) {
    if (!(await runApart(name, printed))) failed += 1;
  }
  process.stdout.write(markdownOf(printed));
  return failed === 0 ? 0 : 1;
}

async function runHere(name: string, scale: Scale): Promise<void> {
  const place = new Place();
  const machine = machineAt(place.folder);
  place.remove();
  for (const line of (await groups[name]?.(scale)) ?? [])
    process.stdout.write(`${JSON.stringify({ ...line, ...machine })}\n`);
}

/** Runs a group in a process of its own; its lines are shown as they come, and kept for the table. */
async function runApart(name: string, printed: Printed[]): Promise<boolean> {
  const child = spawn(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url), '--in-this-process', name].concat([
      '--scale',
      options.scale,
    ]),
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    process.stdout.write(part);
  });
  const status = await new Promise<number | null>((resolve) => {
    child.once('close', resolve);
  });
  for (const line of text.split('\n')) {
    if (line !== '') printed.push(JSON.parse(line) as Printed);
  }
  return status === 0;
}

process.exitCode = await main();
