import type { LoggedCut, Verification } from '../audit/index.ts';
import type { VerifyReport } from './types.ts';

/** The report in the SDK's form: positions as bigint, times as Date. */
export function verifyReportOf(report: Verification): VerifyReport {
  const { storeCompared, ...rest } = report;
  return {
    ...rest,
    ...(storeCompared !== undefined && { storeCompared: BigInt(storeCompared) }),
    position: BigInt(report.position),
    findings: [...report.findings],
    cuts: report.cuts.map((cut: LoggedCut) => ({ ...cut, time: new Date(cut.time / 1_000) })),
  };
}
