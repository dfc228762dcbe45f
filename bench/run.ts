/**
 * `npm run bench [-- name…]`: prints one JSON line for each bench. See README.md.
 *
 * What is compared with each other is measured in one process, in turns; every group of benches gets a process
 * of its own, so that none meets the heap or the compiled code of another.
 */
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { audits } from './audits.ts';
import { compression } from './compression.ts';
import { encryptionOverhead } from './encryption-overhead.ts';
import { bulkImport } from './imports.ts';
import { insertAndBare, insertTenants } from './inserts.ts';
import { logTreeCost } from './log-tree.ts';
import { loneWriter } from './lone.ts';
import { type Line, machineAt } from './measure.ts';
import { Place } from './place.ts';
import { get, getAsOf, type Skipped } from './reads.ts';
import { receipts } from './receipts.ts';
import { stateHashCost } from './state-hash.ts';
import { stateProofs } from './state-proofs.ts';

interface Group {
  readonly benches: readonly string[];
  readonly run: () => Promise<(Line | Skipped)[]>;
}

const groups: readonly Group[] = [
  { benches: ['lone', 'write-and-flush'], run: loneWriter },
  { benches: ['insert-1', 'bare-1', 'bare-log-1'], run: () => insertAndBare(1, 2_000) },
  { benches: ['insert-64', 'bare-64', 'bare-log-64'], run: () => insertAndBare(64, 30_000) },
  { benches: ['insert-256', 'bare-256', 'bare-log-256'], run: () => insertAndBare(256, 40_000) },
  { benches: ['state-hash', 'state-hash-without'], run: stateHashCost },
  {
    benches: ['log-tree', 'log-tree-checkpoints', 'log-tree-without'],
    run: logTreeCost,
  },
  {
    benches: ['state-proofs', 'state-proofs-written', 'state-proofs-check'],
    run: stateProofs,
  },
  { benches: ['receipt', 'check', 'check-node'], run: receipts },
  {
    benches: ['audit-1m', 'audit-1m-without-key', 'audit-1m-log', 'audit-1m-store'],
    run: audits,
  },
  { benches: ['insert-64-tenants-64'], run: () => insertTenants(64, 20_000) },
  { benches: ['encryption-overhead'], run: () => encryptionOverhead() },
  {
    benches: ['encryption-overhead-chacha20-poly1305'],
    run: () => encryptionOverhead('chacha20-poly1305'),
  },
  { benches: ['encryption-overhead-brotli'], run: () => encryptionOverhead('brotli') },
  { benches: ['compression-64', 'compression-bulk'], run: compression },
  { benches: ['bulk-import'], run: bulkImport },
  { benches: ['get', 'better-sqlite3-get'], run: get },
  { benches: ['get-as-of'], run: getAsOf },
];

const inThisProcess = '--in-this-process';

async function main(args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => arg !== inThisProcess);
  const unknown = names.filter((name) => !groups.some((group) => group.benches.includes(name)));
  if (unknown.length > 0) {
    const known = groups.flatMap((group) => group.benches).join(', ');
    process.stderr.write(`There is no bench ${unknown.join(', ')}. There are ${known}.\n`);
    return 2;
  }
  const chosen = groups.filter(
    (group) => names.length === 0 || group.benches.some((bench) => names.includes(bench)),
  );
  if (args.includes(inThisProcess)) {
    for (const group of chosen) await runHere(group);
    return 0;
  }
  let failed = 0;
  for (const group of chosen) {
    const child = [
      ...process.execArgv,
      fileURLToPath(import.meta.url),
      inThisProcess,
      ...group.benches,
    ];
    if (spawnSync(process.execPath, child, { stdio: 'inherit' }).status !== 0) failed += 1;
  }
  return failed === 0 ? 0 : 1;
}

async function runHere(group: Group): Promise<void> {
  const place = new Place();
  const machine = machineAt(place.folder);
  place.remove();
  for (const line of await group.run())
    process.stdout.write(`${JSON.stringify({ ...line, ...machine })}\n`);
}

process.exitCode = await main(process.argv.slice(2));
