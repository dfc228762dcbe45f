/** The checkpoint record: the last leaf under the note, which ties log and state to one signature. */
import { check } from './checks.ts';
import type { DecodedEvent } from './decoded-event.ts';

/** The state that a record names. */
export interface CheckpointState {
  readonly position: number;
  readonly hash: Uint8Array;
}

export interface CheckpointRecord {
  /** Of the record itself. */
  readonly position: number;
  /** The newest position that it covers. */
  readonly covers: number;
  /** Microseconds since 1970, by the database's clock. */
  readonly time: number;
  readonly state: CheckpointState | undefined;
}

/** Throws CheckFailure 'record'. */
export function checkRecord({
  leaf,
  position,
  tenant,
  command,
  body,
}: DecodedEvent): CheckpointRecord {
  check(
    'record',
    body.type === 'checkpoint' && tenant === 0,
    'The last leaf under the note is not a checkpoint record.',
  );
  check(
    'record',
    command !== undefined && command.eventCount === 1,
    'The checkpoint record is not a command of its own.',
  );
  const { size, covered, state } = body;
  check(
    'record',
    size <= leaf && covered <= position && (state?.position ?? 0) <= covered,
    'The checkpoint record names what comes after it.',
  );
  return { position, covers: covered, time: command.time, state };
}
