export type { Affected, AffectedTable } from './affected.ts';
export * from './audit.ts';
export * from './jobs.ts';
export * from './live.ts';
export type { AuditNotebook } from './memory.ts';
export { keysFromRoot } from './parts.ts';
export type { ProofsReport } from './proofs-check.ts';
export * from './report.ts';
