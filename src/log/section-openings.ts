/** What opens the commitments of a section's events: their bytes with the salts, for receipts. */
import type { TenantId } from '../base/index.ts';
import { Reader } from '../codec/index.ts';
import { commitmentSalt, type SectionKey, seedBytes } from '../crypto/index.ts';
import { frameBytesMax, leafBytes } from './format.ts';
import { sectionAad } from './frame-encoder.ts';
import {
  type CheckedFrame,
  type FrameProblem,
  isProblem,
  openFrame,
  type SealedSection,
} from './frame-reader.ts';
import { unpackRecords } from './section-form.ts';

/** Bytes, and the salt of 16 bytes that their commitment was made with. */
export interface SaltedBytes {
  readonly bytes: Uint8Array;
  readonly salt: Uint8Array;
}

/** An event and what opens its commitment: of kind 0 as a whole, of kind 1 field by field. */
export interface EventOpening {
  /** Place among the frame's leaves. */
  readonly leaf: number;
  readonly tenant: TenantId;
  readonly event: Uint8Array;
  /** 32 bytes. */
  readonly commitment: Uint8Array;
  /** Of kind 0. */
  readonly salt?: Uint8Array;
  /** Of kind 1; joined they are the event. */
  readonly fields?: readonly SaltedBytes[];
}

/** The section's events in log order, each checked against its commitment, with their salts; or what is wrong. */
export function openSectionForReceipts(
  frame: CheckedFrame,
  section: SealedSection,
  key: SectionKey,
): EventOpening[] | FrameProblem {
  const opened = openFrame(frame, (each) => (each === section ? key : undefined));
  if (isProblem(opened)) return opened;
  const { header, chainHash, leaves } = frame;
  const plaintext = key.open(
    sectionAad(header, section.number, chainHash),
    section.commitment,
    section.nonce,
    section.sealed,
  );
  const records = plaintext && unpackRecords(plaintext, header.compression, frameBytesMax);
  if (plaintext === undefined || records === undefined) return [];
  const seed = new Reader(plaintext).raw(seedBytes);
  const reader = new Reader(records);
  return opened.map(({ leaf, tenant, event }, number) => {
    const commitment = leaves.slice(leaf * leafBytes + 2, (leaf + 1) * leafBytes);
    const common = { leaf, tenant, event, commitment };
    if (reader.u8() === 0) {
      reader.bytes();
      return { ...common, salt: commitmentSalt(seed, number, 0) };
    }
    const fields = Array.from({ length: reader.varint() }, (_, field) => ({
      bytes: reader.bytes(),
      salt: commitmentSalt(seed, number, field),
    }));
    return { ...common, fields };
  });
}
