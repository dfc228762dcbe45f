/** Streams of events: appending to them and reading them. */
import { parsePosition, treeOf, utf8Encode, VerityError } from '../base/index.ts';
import { keyPrefixRange } from '../codec/index.ts';
import type { CommandResult } from '../engine/index.ts';
import {
  checkName,
  decodeStreamRow,
  parseStreamKey,
  streamKey,
  streamPrefix,
  streamsObject,
} from '../kernel/index.ts';
import { originOf } from './arguments.ts';
import { checkDeadline, commandLate, withDeadline } from './deadline.ts';
import { naming } from './naming.ts';
import type { RequestScope } from './requests.ts';
import type { TransactionScope } from './transaction.ts';
import type { CommandOptions, StreamEvent } from './types.ts';

export interface AppendResult {
  position: bigint;
  version: bigint;
}

/** Appends in one command. Throws, rather than rejects, for what is wrong before anything is sent. */
export function append(
  scope: TransactionScope & RequestScope,
  stream: string,
  events: readonly unknown[],
  options: CommandOptions & { readonly expectedVersion?: bigint | number },
): Promise<AppendResult> {
  checkDeadline(options);
  if (typeof stream !== 'string' || !Array.isArray(events)) {
    throw new VerityError(
      'INVALID_ARGUMENT',
      'append() takes a stream name and an array of events.',
    );
  }
  const { expectedVersion } = options;
  // Not map(), which skips the holes of a sparse array.
  const encoded = Array.from(events, encodeData);
  const command = {
    kind: 'append',
    tenant: scope.tenant,
    stream,
    events: encoded,
    origin: originOf(options, scope, () => ['append', stream, expectedVersion, ...encoded]),
    expectedVersion: expectedVersion === undefined ? undefined : parsePosition(expectedVersion),
  } as const;
  return withDeadline(scope.engine.submitFor(command, toAppendResult), options, commandLate);
}

/** The events of a stream as of now, in order. Throws when the first is asked for. */
export async function* readStream(
  { engine, tenant }: Pick<TransactionScope, 'engine' | 'tenant'>,
  stream: string,
  options: { readonly fromVersion?: bigint | number; readonly toVersion?: bigint | number },
): AsyncGenerator<StreamEvent, undefined> {
  engine.checkReadable();
  engine.catchUp();
  checkName('stream', stream);
  const range = keyPrefixRange(streamPrefix(stream));
  const from =
    options.fromVersion === undefined
      ? range.from
      : streamKey(stream, parsePosition(options.fromVersion));
  const last = options.toVersion === undefined ? undefined : parsePosition(options.toVersion);
  const view = engine.state.store.viewAt(engine.committedPosition);
  const cursor = view.scan(treeOf(tenant, streamsObject), { from, to: range.to });
  const step = (): ReturnType<typeof cursor.next> => naming(engine, () => cursor.next());
  for (let entry = step(); entry !== undefined; entry = step()) {
    const { version } = parseStreamKey(entry.key);
    if (last !== undefined && version > last) return undefined;
    const { time, actor, reason, data } = decodeStreamRow(entry.row);
    yield {
      stream,
      version: BigInt(version),
      position: BigInt(entry.from),
      time: new Date(time / 1000),
      actor,
      reason,
      data: JSON.parse(new TextDecoder().decode(data)) as unknown,
    };
  }
  return undefined;
}

function encodeData(data: unknown): Uint8Array {
  let text: string | undefined;
  try {
    text = JSON.stringify(data);
  } catch {
    // The error would quote the event.
  }
  if (text === undefined)
    throw new VerityError('INVALID_ARGUMENT', 'An event must be a JSON value.');
  return utf8Encode(text);
}

function toAppendResult({ position, outcome }: CommandResult): AppendResult {
  return { position: BigInt(position), version: BigInt(outcome.version ?? 0) };
}
