import { assert, firstNonZero, type TenantId } from '../base/index.ts';
import type { SectionKey } from '../crypto/index.ts';
import {
  type CheckedFrame,
  checkFrame,
  decodeFrameHeader,
  decodeSegmentHeader,
  encodeFrame,
  isProblem,
  openFrame,
  physicalHeaderBytes,
  sectionAad,
  type SealedSection,
  segmentHeaderBytes,
} from '../log/index.ts';
import { corruption } from './log-walk.ts';

/** The keys that a segment is opened and sealed with; both stay their owner's. */
export interface ResealKeys {
  /** The key that a section was sealed with; undefined if it is not there. */
  readonly opening: (section: SealedSection, epochSalt: Uint8Array) => SectionKey | undefined;
  readonly sealing: (tenant: TenantId) => SectionKey;
  /** The salt that the sealing keys were derived with. */
  readonly epochSalt: Uint8Array;
}

/** The frames of a finished segment, one a turn; each is checked. Throws CorruptionError. */
export function* framesOf(
  path: string,
  bytes: Uint8Array,
): Generator<{ readonly frame: CheckedFrame; readonly offset: number }, void> {
  if (typeof decodeSegmentHeader(bytes) === 'string') throw damagedHeader(path, 0);
  for (let offset = segmentHeaderBytes; offset < bytes.length;) {
    const header = decodeFrameHeader(bytes, offset);
    if (typeof header === 'string') throw damagedHeader(path, offset);
    const frame = checkFrame(bytes.subarray(offset, offset + header.frameLength), header);
    if (isProblem(frame)) throw corruption(path, { ...frame, offset: offset + frame.offset });
    yield { frame, offset };
    offset += header.frameLength;
    // A crash may have come before the zeros behind the last frame were cut off.
    if (header.kind === 'end' && firstNonZero(bytes, offset) === -1) return;
  }
}

function damagedHeader(path: string, offset: number): Error {
  return corruption(path, { code: 'CHECKSUM_MISMATCH', offset, what: 'A frame header is damaged' });
}

/**
 * A frame sealed anew: the same logical header, leaves, chain hash and length, and the same bytes in every section
 * under another key. Each section is opened, and each event checked against its commitment, before. Throws CorruptionError.
 */
export function resealFrame(
  path: string,
  place: { readonly bytes: Uint8Array; readonly frame: CheckedFrame; readonly offset: number },
  keys: ResealKeys,
): Uint8Array {
  const { bytes, frame, offset } = place;
  const { header, leaves, chainHash } = frame;
  checkOpens(path, place, (section) => keys.opening(section, header.epochSalt));
  const fields = { ...header, epochSalt: keys.epochSalt };
  const sections = frame.sections.map((section) => {
    const opening = keys.opening(section, header.epochSalt);
    const aad = sectionAad(header, section.number, chainHash);
    const plaintext = opening?.open(aad, section.commitment, section.nonce, section.sealed);
    assert(plaintext !== undefined, 'a section that was opened opens again');
    const sealing = keys.sealing(section.tenant);
    const { secretNumber, commitment } = sealing;
    const sealed = { secretNumber, commitment, ...sealing.seal(aad, plaintext) };
    plaintext.fill(0);
    return sealed;
  });
  const logicalHeader = bytes.subarray(offset + physicalHeaderBytes, offset + header.bodyStart);
  const resealed = encodeFrame(fields, { logicalHeader, leaves, sections, chain: chainHash });
  assert(resealed.length === header.frameLength, 'another key changes no length');
  return resealed;
}

/** Opens every section, each event checked against its commitment. Throws CorruptionError. */
export function checkOpens(
  path: string,
  { frame, offset }: { readonly frame: CheckedFrame; readonly offset: number },
  keyFor: (section: SealedSection) => SectionKey | undefined,
): void {
  for (const section of frame.sections) {
    if (keyFor(section) !== undefined) continue;
    const what = 'A section whose key the keyring lacks lies';
    throw corruption(path, { code: 'MISSING_DATA', offset: offset + section.offset, what });
  }
  const opened = openFrame(frame, keyFor);
  if (isProblem(opened)) throw corruption(path, { ...opened, offset: offset + opened.offset });
  for (const { event } of opened) event.fill(0);
}
