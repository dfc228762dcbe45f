/** The record, in the log itself, of a tail that an operator had cut. */
import { type Op, systemTenant, treeOf, utf8Decode, utf8Encode } from '../base/index.ts';
import { keyPrefixRange } from '../codec/index.ts';
import {
  type Command,
  type CommandOrigin,
  decodeStreamRow,
  streamPrefix,
  streamsObject,
} from '../kernel/index.ts';
import { segmentPath } from '../log/index.ts';
import type { Store } from '../store/index.ts';
import type { PendingCut } from './anchor.ts';

/** Stream of the system tenant. */
const repairsStream = 'repairs';

/** What `repair --cut-tail` took away, by frames: ops from `firstOp` to `lastOp`, as far as they were known. */
export interface LoggedCut {
  /** Microseconds since 1970. */
  readonly time: number;
  readonly actor: string | undefined;
  readonly reason: string | undefined;
  readonly file: string;
  readonly offset: number;
  readonly lengthBytes: number;
  readonly firstOp: Op;
  readonly lastOp: Op;
}

export type CutRecord = Omit<LoggedCut, 'time' | 'actor' | 'reason'>;

/** What is said of a cut, with the file's path. */
export function cutRecordOf(cut: PendingCut): CutRecord {
  const { segment, offset, lengthBytes, firstOp, lastOp } = cut;
  return { file: segmentPath(segment), offset, lengthBytes, firstOp, lastOp };
}

/** The command that logs a cut. */
export function cutCommand(cut: PendingCut, origin: CommandOrigin): Command {
  return {
    kind: 'append',
    tenant: systemTenant,
    stream: repairsStream,
    events: [utf8Encode(JSON.stringify(cutRecordOf(cut)))],
    expectedVersion: undefined,
    origin,
  };
}

/** The cuts that the log records, oldest first. */
export function loggedCuts(store: Pick<Store, 'scan'>): LoggedCut[] {
  const cuts: LoggedCut[] = [];
  const range = keyPrefixRange(streamPrefix(repairsStream));
  const cursor = store.scan(treeOf(systemTenant, streamsObject), range);
  for (let entry = cursor.next(); entry !== undefined; entry = cursor.next()) {
    const { time, actor, reason, data } = decodeStreamRow(entry.row);
    cuts.push({ time, actor, reason, ...(JSON.parse(utf8Decode(data)) as CutRecord) });
  }
  return cuts;
}

/** Whether the newest record is of this cut: the process ended before the anchor could forget it. */
export function isLogged(store: Pick<Store, 'scan'>, cut: PendingCut): boolean {
  const newest = loggedCuts(store).at(-1);
  const record = cutRecordOf(cut);
  return (
    newest !== undefined &&
    newest.file === record.file &&
    newest.offset === record.offset &&
    newest.firstOp === record.firstOp &&
    newest.lastOp === record.lastOp &&
    newest.lengthBytes === record.lengthBytes
  );
}
