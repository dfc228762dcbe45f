import type { TimestampMicros } from '../base/index.ts';
import { type CommandMetadata, Reader, Writer } from '../codec/index.ts';

/** What the store keeps of a stream event: its data and who appended it, when and why. */
export interface StreamRow {
  readonly time: TimestampMicros;
  readonly actor: string | undefined;
  readonly reason: string | undefined;
  /** JSON text, UTF-8. */
  readonly data: Uint8Array;
}

const writer = new Writer();

export function encodeStreamRow(command: CommandMetadata, data: Uint8Array): Uint8Array {
  const { time, actor, reason } = command;
  writer.reset();
  writer.varint(time);
  writer.u8((actor === undefined ? 0 : 1) | (reason === undefined ? 0 : 2));
  if (actor !== undefined) writer.text(actor);
  if (reason !== undefined) writer.text(reason);
  writer.raw(data);
  return writer.finish();
}

export function decodeStreamRow(row: Uint8Array): StreamRow {
  const reader = new Reader(row);
  const time = reader.varint() as TimestampMicros;
  const flags = reader.u8();
  const actor = (flags & 1) === 0 ? undefined : reader.text();
  const reason = (flags & 2) === 0 ? undefined : reader.text();
  return { time, actor, reason, data: reader.raw(reader.remaining) };
}
