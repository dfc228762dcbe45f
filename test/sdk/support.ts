/** Databases for the tests of the SDK, and what they ask of errors. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { Clock, Disk, Scheduler, TimestampMicros } from '../../src/base/index.ts';
import {
  type ErrorCode,
  errorTable,
  keys,
  type OpenOptions,
  Verity,
  VerityError,
} from '../../src/database/index.ts';
import { memoryDisk, systemEntropy, systemScheduler } from '../../src/host/index.ts';

/** A clock that stands until the test moves it. */
export class StandingClock implements Clock {
  micros = Date.UTC(2026, 0, 31, 12) * 1000;

  now(): TimestampMicros {
    return this.micros as TimestampMicros;
  }
  advance(milliseconds: number): void {
    this.micros += milliseconds * 1000;
  }
}

/** The key of databases on a disk of the test's own; cheap, unlike a passphrase. */
export const testKey = keys.fromEnv('VERITY_TEST_KEY');
process.env['VERITY_TEST_KEY'] = '5a'.repeat(32);

/** Runs what is deferred, and nothing after a delay: files change only when a command changes them. */
const withoutTimers: Scheduler = {
  defer: (callback) => systemScheduler.defer(callback),
  delay: () => () => undefined,
};

interface Place {
  readonly clock?: Clock;
  /** Default true; false: no mark is written when the database is idle. */
  readonly timers?: boolean;
}

/** Opens a database on `disk`, which outlives the handle. */
export function openOn(disk: Disk, options: OpenOptions & Place = {}): Promise<Verity> {
  const { clock = new StandingClock(), timers = true, ...rest } = options;
  const scheduler = timers ? systemScheduler : withoutTimers;
  return Verity.openOn(
    { disk, clock, entropy: systemEntropy, scheduler },
    { masterKey: testKey, ...rest },
  );
}

export const newDisk = memoryDisk;

/** A folder that `remove` takes away. */
export class Folder {
  readonly path = mkdtempSync(join(tmpdir(), 'verity-sdk-'));

  at(name: string): string {
    return join(this.path, name);
  }

  /** Every file below: name → digest of its bytes. LOCK aside, which says who holds it. */
  digests(name: string): Record<string, string> {
    const files: Record<string, string> = {};
    for (const path of readdirSync(this.at(name), { recursive: true, encoding: 'utf8' })) {
      const whole = join(this.at(name), path);
      if (path === 'LOCK' || !statSync(whole).isFile()) continue;
      files[path] = createHash('sha256').update(readFileSync(whole)).digest('hex');
    }
    return files;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** What `work` is refused with. Fails the test if it succeeds, or throws anything else than a VerityError. */
export async function refusal(work: () => unknown): Promise<VerityError> {
  let result: unknown;
  try {
    result = await work();
  } catch (error) {
    if (error instanceof VerityError) return error;
    throw error;
  }
  throw new Error(`expected a refusal, got ${String(result)}`);
}

/** `work` is refused with this code, its SQLSTATE, and a message of whole sentences. Returns the error. */
export async function refused(code: ErrorCode, work: () => unknown): Promise<VerityError> {
  const error = await refusal(work);
  expect(error.code, error.message).toBe(code);
  expect(error.sqlState).toBe(errorTable[code].sqlState);
  expect(error.message).toMatch(/^\S.{9,}[.)]$/s);
  return error;
}

export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}
