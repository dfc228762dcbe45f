/**
 * What is left of keys in a process's memory, looked at from outside: while a database is open and after it was
 * closed and garbage was collected. SECURITY.md names these figures, and why they are no promise.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import type { TenantId } from '../../src/base/index.ts';
import { loadKeys, lastingKey } from '../../src/engine/index.ts';
import { nodeDisk } from '../../src/host/index.ts';
import { fromFile } from '../../src/keys/index.ts';
import { canReadMemory, searchMemory } from './process-memory.ts';

const folder = mkdtempSync(join(tmpdir(), 'verity-memory-'));
const directory = join(folder, 'data');
const keyFile = join(folder, 'data.key');
const digits = '0f1e2d3c4b5a69788796a5b4c3d2e1f00123456789abcdeffedcba9876543210';
writeFileSync(keyFile, digits, { mode: 0o600 });
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const child = fileURLToPath(new URL('secrets-child.mjs', import.meta.url));

/** The keys of the database as bytes to look for. */
async function needlesOf(): Promise<Map<string, Buffer>> {
  const hierarchy = await loadKeys(nodeDisk(directory, { readOnly: true }), fromFile(keyFile));
  const { keyring, root } = hierarchy;
  const needles = new Map([
    ['master key', Buffer.from(digits, 'hex')],
    ['master key as text', Buffer.from(digits, 'latin1')],
    ['root key', Buffer.from(root.expose())],
    ['lasting key', Buffer.from(lastingKey(keyring, root).expose())],
  ]);
  for (const tenant of [0, 1] as TenantId[]) {
    const secret = keyring.epochSecret(tenant, keyring.newestSecret(tenant) ?? 0, root);
    needles.set(`secret of tenant ${tenant}`, Buffer.from(secret?.expose() ?? []));
  }
  return needles;
}

/** Runs the child to its end and looks at each of its stages. */
async function look(
  memory: 'locked' | 'heap',
  stages: Record<string, (pid: number) => void | Promise<void>>,
): Promise<void> {
  const running: ChildProcess = spawn(
    process.execPath,
    ['--expose-gc', child, directory, keyFile, memory],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ended = new Promise<number | null>((resolve) => running.on('exit', resolve));
  const output = running.stdout as NodeJS.ReadableStream;
  for await (const stage of createInterface({ input: output })) {
    await stages[stage]?.(running.pid as number);
    running.stdin?.write('on\n');
  }
  expect(await ended).toBe(0);
}

const onLinux = test.skipIf(process.platform !== 'linux' || !canReadMemory(process.pid));

// What Node and OpenSSL give back they do not all overwrite: until it is used again a copy may be there, once in
// many runs. What the code leaves behind is there in each.
onLinux.each(['heap', 'locked'] as const)(
  'of keys in %s memory no copy is left',
  { retry: 2 },
  async (memory) => {
    // The first run makes the database, whose keys are random.
    await look(memory, {});
    const needles = await needlesOf();
    const seen: Record<string, Record<string, number>> = {};
    const inspect = (stage: string) => (pid: number) => {
      const { counts, bytesRead } = searchMemory(pid, needles);
      expect(bytesRead).toBeGreaterThan(8 << 20);
      seen[stage] = counts;
    };
    await look(memory, { open: inspect('open'), closed: inspect('closed') });
    const { open = {}, closed = {} } = seen;
    // The search works: the one key that an open database holds is found.
    expect(open['root key']).toBeGreaterThan(0);
    expect(open).toMatchObject({ 'master key': 0, 'master key as text': 0 });
    expect(closed).toEqual(Object.fromEntries([...needles.keys()].map((name) => [name, 0])));
  },
);
