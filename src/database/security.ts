/** What status and options say of attacks and of the memory that keys are in. */
import { secureHeapUsed } from 'node:crypto';
import { systemTenant, type TimestampMicros, treeOf, utf8Decode } from '../base/index.ts';
import { keyPrefixRange } from '../codec/index.ts';
import { useSecretMemory } from '../crypto/index.ts';
import {
  type Engine,
  type SecurityFailure as EngineFailure,
  securityStream,
  type SecuritySummary,
} from '../engine/index.ts';
import { type LockedMemory, lockMemory as lockBytes, openToOthers } from '../host/index.ts';
import { decodeStreamRow, streamPrefix, streamsObject } from '../kernel/index.ts';
import type { OpenOptions, SecurityRecord, Status } from './types.ts';
import { warnWith } from './warnings.ts';

/** Of the process: what is locked stays so, for every database that it opens. */
let locked: LockedMemory | undefined;

/**
 * Keeps keys, in this whole process and from now on, in memory that is never swapped out and left out of core dumps:
 * `bytes` of it, default 256 KiB (8,192 keys). Call it before any database is opened. Throws MEMORY_LOCK_UNAVAILABLE
 * without the package sodium-native or where the system's limit is too low, and INVALID_ARGUMENT.
 */
export function lockMemory(bytes?: number): void {
  if (locked !== undefined) return;
  locked = lockBytes(bytes);
  useSecretMemory(locked);
}

export function memoryOfProcess(): Status['memory'] {
  return {
    secureHeap: secureHeapUsed().total,
    locked: locked !== undefined && !locked.isExhausted,
    lockedBytes: locked?.sizeBytes ?? 0,
  };
}

/** Hands failures to `onSecurityFailure`, or else, once the database is open, to whoever gets warnings. */
export function failureHandler(
  options: Pick<OpenOptions, 'onSecurityFailure' | 'onWarning'>,
  isOpen: () => boolean,
): (failure: EngineFailure) => void {
  const { onSecurityFailure, onWarning } = options;
  return (failure) => {
    if (onSecurityFailure !== undefined) {
      onSecurityFailure({ ...failure, time: dateOf(failure.time) });
      return;
    }
    if (!isOpen()) return;
    const more =
      failure.suppressed === 0 ? '' : ` ${failure.suppressed} more before it were not reported.`;
    warnWith(onWarning, `${failure.code}: ${failure.message}${more}`, 'VERITY_SECURITY');
  };
}

/** Warns of a database directory that others than its owner may look into: names, sizes and times show. */
export function warnOfOpenDirectory(path: string, onWarning: OpenOptions['onWarning']): void {
  const mode = openToOthers(path);
  if (mode === undefined) return;
  warnWith(
    onWarning,
    `The directory ${path} has mode ${mode}: others can look into it. Close it with: chmod 700 ${path}`,
    'VERITY_DIRECTORY_OPEN',
  );
}

export function securityOf(engine: Engine): Status['security'] {
  const { failures, byCode, suppressed, lastFailure } = engine.hierarchy.security.figures;
  let records = 0;
  for (const _record of securityRecords(engine)) records += 1;
  return {
    failures,
    byCode,
    suppressed,
    lastFailure: lastFailure === undefined ? undefined : dateOf(lastFailure),
    records,
  };
}

export function subjectsOf(engine: Engine): Status['subjects'] {
  const { subjects, erased, pages } = engine.subjects.counts;
  return { live: subjects, erased, pages };
}

/** The records of failures in the log, oldest first. */
export function* securityRecords(engine: Engine): Generator<SecurityRecord, void> {
  const view = engine.state.store.viewAt(engine.committedPosition);
  const range = keyPrefixRange(streamPrefix(securityStream));
  const cursor = view.scan(treeOf(systemTenant, streamsObject), range);
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    const { data } = decodeStreamRow(entry.row);
    const summary = JSON.parse(utf8Decode(data)) as SecuritySummary;
    yield {
      position: BigInt(entry.from),
      from: dateOf(summary.from),
      to: dateOf(summary.to),
      failures: summary.failures,
      byCode: summary.byCode,
      file: summary.file,
      offset: summary.offset,
    };
  }
}

function dateOf(micros: number | TimestampMicros): Date {
  return new Date(micros / 1_000);
}
