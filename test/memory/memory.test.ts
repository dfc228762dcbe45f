import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { keys } from '../../src/database/index.ts';
import { type MemoryAction, type MemoryFigures, memoryOf } from './children.ts';

const cacheBytes = 1 << 20;
const actions: readonly MemoryAction[] = ['import', 'scan', 'follow', 'verify'];
const folder = mkdtempSync(join(tmpdir(), 'veritydb-memory-'));

afterAll(() => rmSync(folder, { recursive: true }));

/** What is held at the end, the rest of the process included. */
const heldMiB = ({ heapMiBEnd, arrayMiBEnd }: MemoryFigures): number => heapMiBEnd + arrayMiBEnd;

async function allOf(rows: number): Promise<Record<string, number>> {
  const keyFile = join(folder, `${rows}.key`);
  await keys.generateFile(keyFile);
  const run = { directory: join(folder, String(rows)), keyFile, rows, cacheBytes };
  const held: Record<string, number> = {};
  for (const action of actions) held[action] = heldMiB(await memoryOf(action, run));
  return held;
}

test('a database five times as large is imported, read, followed and verified in the same memory', async () => {
  const small = await allOf(5_000);
  const large = await allOf(25_000);
  // 20,000 rows and their index entries have 6 MiB, and in memory several times as much.
  for (const action of actions)
    expect.soft((large[action] ?? 0) - (small[action] ?? 0), action).toBeLessThan(8);
}, 180_000);
