/**
 * How much memory a large database takes with a small cache: importing and scanning it, reading it beside its owner, and
 * verifying it, each in a process of its own.
 *
 *   npx tsx test/memory/memory.long.ts [--rows 2000000] [--cache-mib 64] [--resident-mib 400] [--out FILE]
 *
 * Prints one line of JSON for each, and exits with 1 if one of them took more than `--resident-mib`.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { keys } from '../../src/database/index.ts';
import { memoryOf, type MemoryAction, type MemoryFigures } from './children.ts';

const { values } = parseArgs({
  options: {
    rows: { type: 'string', default: '2000000' },
    'cache-mib': { type: 'string', default: '64' },
    'resident-mib': { type: 'string', default: '400' },
    out: { type: 'string' },
  },
});

const actions: readonly MemoryAction[] = ['import', 'scan', 'follow', 'verify'];
const residentMax = Number(values['resident-mib']);
const folder = mkdtempSync(join(process.env['TMPDIR'] ?? '/var/tmp', 'veritydb-memory-'));
try {
  const keyFile = join(folder, 'key');
  await keys.generateFile(keyFile);
  const run = {
    directory: join(folder, 'data'),
    keyFile,
    rows: Number(values.rows),
    cacheBytes: Number(values['cache-mib']) << 20,
  };
  const all: MemoryFigures[] = [];
  for (const action of actions) {
    const figures = await memoryOf(action, run);
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    all.push(figures);
  }
  const pass = all.every(({ residentMiBMax }) => residentMiBMax <= residentMax);
  const document = { pass, residentMax, cacheBytes: run.cacheBytes, node: process.version, all };
  if (values.out !== undefined)
    writeFileSync(values.out, `${JSON.stringify(document, undefined, 2)}\n`);
  process.stdout.write(`${JSON.stringify({ pass, residentMax })}\n`);
  process.exitCode = pass ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true });
}
