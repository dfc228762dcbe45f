import type { LoggedCut, Verification } from '../audit/index.ts';
import type { VerifyReport } from './types.ts';

/** The report in the SDK's form: positions as bigint, times as Date. */
export function verifyReportOf(report: Verification): VerifyReport {
  const { storeCompared, stateHash, ...rest } = report;
  return {
    ...rest,
    ...(storeCompared !== undefined && { storeCompared: BigInt(storeCompared) }),
    ...(stateHash !== undefined && {
      stateHash: { hash: stateHash.hash, position: BigInt(stateHash.position) },
    }),
    position: BigInt(report.position),
    findings: [...report.findings],
    cuts: report.cuts.map((cut: LoggedCut) => ({ ...cut, time: new Date(cut.time / 1_000) })),
  };
}
