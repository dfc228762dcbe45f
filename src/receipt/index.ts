export { type ReceiptCheck, receiptChecks } from './checks.ts';
export { fieldCommitment } from './commitment.ts';
export type {
  CheckpointFacts,
  CommandFacts,
  EventFacts,
  HistoryFacts,
  OtherFacts,
  ReceiptFacts,
  ReceiptResult,
  RowFacts,
  ShownRow,
  StateRowFacts,
  TenantFacts,
} from './facts.ts';
export {
  ExportCheck,
  type ExportedFile,
  type ExportFacts,
  type ExportResult,
} from './export-check.ts';
export { ExportedTable, type ExportFormat, exportFormats, streamLine } from './exported-table.ts';
export { proofOfOpened } from './opened-tree.ts';
export type { TimeStamp, VerifyOptions } from './options.ts';
export {
  type EventField,
  type FieldedEvent,
  formatReceipt,
  type HandOver,
  type Receipt,
  receiptBytesMax,
  type ReceiptEvent,
  type ReceiptKind,
  type WholeEvent,
} from './receipt-text.ts';
export type { ShownValue } from './shown-value.ts';
export { formatStateProof, type StateProof } from './state-proof.ts';
export { type LeafProof, tlogProofs } from './tlog-proof.ts';
export type { FollowedHandOver } from './trust.ts';
export { verifyReceipt } from './verify.ts';
