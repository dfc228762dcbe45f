import type { Status } from '../../database/index.ts';
import type { ExitCode } from '../failure.ts';
import { type Invocation, openDatabase } from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';
import { printable } from '../output/value-text.ts';
import { byteCount, count } from '../progress.ts';

const tenantsShownMax = 20;

/** `verity status DIR`: what the database is and how far its log has got. Does not wait for a running owner. */
export async function runStatus(invocation: Invocation): Promise<ExitCode> {
  await using database = await openDatabase(invocation, 'readOnly');
  // Where that is not possible, the rest is told all the same.
  await database.stateHash().catch(() => undefined);
  const status = database.status();
  const { json } = invocation.options;
  await invocation.output.write(json === true ? jsonDocument(status) : statusText(status));
  return 0;
}

function statusText(status: Status): string {
  const slots = status.keySlots.map((slot) => `${slot.id} ${slot.kind}`).join(', ');
  const lines: readonly (readonly [string, string])[] = [
    ['path', status.path],
    ['format', `revision ${status.formatRevision}`],
    ['log', status.logId],
    ['origin', status.origin],
    ['encryption', status.encryption === 'none' ? 'NONE (plain mode)' : status.encryption],
    ['compression', status.compression],
    ['key slots', slots],
    ['position', count(Number(status.position))],
    ['frames', count(status.frames)],
    ['events', count(status.events)],
    ['chain head', status.chainHash],
    ['state hash', status.stateHash?.hash ?? 'not known'],
    [
      'log size',
      `${byteCount(status.logBytes)} in ${count(status.segments)} ${status.segments === 1 ? 'segment' : 'segments'}`,
    ],
    ['store', storeText(status.store)],
    ['tenants', tenantsText(status.tenants)],
    ['subjects', subjectsText(status.subjects)],
    ['failures', failuresText(status.security)],
    ['memory', memoryText(status.memory)],
    ['last close', status.recovery.cleanShutdown ? 'clean' : 'not clean, or still open elsewhere'],
    ...status.recovery.cut.map(
      (cut) => ['torn tail', `${cut.file} at byte ${cut.offset}: ${cut.message}`] as const,
    ),
  ];
  const width = Math.max(...lines.map(([name]) => name.length));
  return lines.map(([name, value]) => `${name.padEnd(width)}  ${printable(value)}\n`).join('');
}

function storeText({ checkpoint, bytes }: Status['store']): string {
  if (checkpoint === 0n) return 'no checkpoint; opening replays the log';
  return `${byteCount(bytes)}, checkpoint at position ${count(Number(checkpoint))}`;
}

function subjectsText({ live, erased }: Status['subjects']): string {
  return `${count(live)} keys${erased === 0 ? '' : `, ${count(erased)} erased`}`;
}

function failuresText({ failures, records }: Status['security']): string {
  if (failures === 0 && records === 0) return 'none of authentication';
  return `${count(failures)} of authentication now; ${count(records)} records of them in the log`;
}

function memoryText({ secureHeap, locked, lockedBytes }: Status['memory']): string {
  const keys = locked ? `keys in ${byteCount(lockedBytes)} of locked memory` : 'keys not locked';
  return secureHeap === 0 ? keys : `${keys}, secure heap of ${byteCount(secureHeap)}`;
}

function tenantsText(tenants: readonly string[]): string {
  if (tenants.length === 0) return 'none';
  const shown = tenants.slice(0, tenantsShownMax).join(', ');
  const more = tenants.length - tenantsShownMax;
  return more > 0 ? `${shown} and ${count(more)} more` : shown;
}
