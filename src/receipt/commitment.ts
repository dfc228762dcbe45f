/** Commitments of opened events, kinds 0 and 1 (docs/format/log.md, Commitments). */
import { concatBytes, utf8Encode } from '../base/index.ts';
import { leafHash, nodeHash, type Sha256 } from '../proof/index.ts';
import type { EventField, ReceiptEvent } from './receipt-text.ts';

const commitmentDomain = utf8Encode('veritydb/commitment/v1');
const fieldDomain = utf8Encode('veritydb/field/v1');
const wholeKind = Uint8Array.of(0);
const fieldedKind = Uint8Array.of(1);

/** The 32 bytes that stand for the event in the log. */
export function commitmentOf(sha256: Sha256, opened: ReceiptEvent): Uint8Array {
  if ('event' in opened)
    return sha256(concatBytes(commitmentDomain, wholeKind, opened.salt, opened.event));
  return sha256(concatBytes(commitmentDomain, fieldedKind, fieldsRoot(sha256, opened.fields)));
}

/** The Merkle tree hash (RFC 6962, 2.1) over the fields' commitments, level by level. */
function fieldsRoot(sha256: Sha256, fields: readonly EventField[]): Uint8Array {
  let level = fields.map((field) => leafHash(sha256, fieldCommitment(sha256, field)));
  while (level.length > 1) {
    const next: Uint8Array[] = [];
    for (let index = 0; index + 1 < level.length; index += 2)
      next.push(nodeHash(sha256, level[index] as Uint8Array, level[index + 1] as Uint8Array));
    if (level.length % 2 === 1) next.push(level[level.length - 1] as Uint8Array);
    level = next;
  }
  return level[0] as Uint8Array;
}

/** What stands for a field when it is withheld. */
export function fieldCommitment(sha256: Sha256, field: EventField): Uint8Array {
  if ('commitment' in field) return field.commitment;
  return sha256(concatBytes(fieldDomain, field.salt, field.bytes));
}
