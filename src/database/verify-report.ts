import type { Audit, LoggedCut, Verification } from '../audit/index.ts';
import type { AuditReport } from './audit-types.ts';
import type { VerifyReport } from './types.ts';

/** The report in the SDK's form: positions as bigint, times as Date. */
export function verifyReportOf(report: Verification): VerifyReport {
  const { ok, filesRead, bytesRead, frames, events, chainHash, tornTail, opened } = report;
  const { segmentsCompared, storeCompared, stateHash, blobs } = report;
  return {
    ok,
    filesRead,
    bytesRead,
    frames,
    events,
    position: BigInt(report.position),
    chainHash,
    findings: report.findings.map(({ code, file, offset, message }) => ({
      code,
      file,
      offset,
      message,
    })),
    tornTail,
    opened,
    segmentsCompared,
    cuts: report.cuts.map((cut: LoggedCut) => ({ ...cut, time: new Date(cut.time / 1_000) })),
    ...(storeCompared !== undefined && { storeCompared: BigInt(storeCompared) }),
    ...(stateHash !== undefined && {
      stateHash: { hash: stateHash.hash, position: BigInt(stateHash.position) },
    }),
    ...(blobs !== undefined && { blobs }),
  };
}

export function auditReportOf(audit: Audit, threads: number): AuditReport {
  const { eventsOpened, segmentsResumed, versionsCompared, proofs, since } = audit;
  return {
    ...verifyReportOf(audit),
    findings: [...audit.findings],
    threads,
    eventsOpened,
    segmentsResumed,
    ...(versionsCompared !== undefined && { versionsCompared }),
    ...(proofs !== undefined && { proofs }),
    ...(since !== undefined && { since }),
  };
}
