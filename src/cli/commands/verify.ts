import { CorruptionError } from '../../base/index.ts';
import { type Finding, Verity, type VerifyReport } from '../../database/index.ts';
import type { ExitCode } from '../failure.ts';
import { assertDatabaseDirectory, type Invocation, progressReporter } from '../invocation.ts';
import { keySourceOf, masterKeyOf } from '../master-key.ts';
import { jsonDocument } from '../output/json.ts';
import { byteCount, count } from '../progress.ts';

/** `verity verify DIR`: reads every byte and checks it. Exit code 3 if anything is not as it was written. */
export async function runVerify(invocation: Invocation): Promise<ExitCode> {
  const { directory, options, terminal, output } = invocation;
  assertDatabaseDirectory(directory);
  const masterKey = await masterKeyOf(keySourceOf(directory, options, terminal), terminal);
  const progress = progressReporter(invocation, 'verifying', 'bytes');
  const report = await Verity.verify(directory, { masterKey, onProgress: progress.onProgress })
    .catch(brokenReport)
    .finally(progress.end);
  await output.write(options.json === true ? jsonDocument(report) : reportText(report));
  return report.ok ? 0 : 3;
}

type PartialReport = Pick<VerifyReport, 'ok' | 'findings'> & Partial<VerifyReport>;

/** Damage that ends the check early is a finding like any other; everything else is an error. */
function brokenReport(error: unknown): PartialReport {
  if (!(error instanceof CorruptionError)) throw error;
  const { code, file, offset, message } = error;
  return { ok: false, findings: [{ code, file, offset, message }] };
}

function reportText(report: PartialReport): string {
  if (report.ok) return `${figures(report)}\nverified: every byte is as it was written.\n`;
  const findings = report.findings.map(findingText).join('');
  const number = report.findings.length;
  return `${findings}${figures(report)}\nNOT VERIFIED: ${count(number)} ${number === 1 ? 'finding' : 'findings'}.\n`;
}

function findingText(finding: Finding): string {
  return `${finding.file} at byte ${finding.offset}: ${finding.code}: ${finding.message}\n`;
}

function figures(report: PartialReport): string {
  const { filesRead, bytesRead, frames, events, position, chainHash } = report;
  if (filesRead === undefined || bytesRead === undefined) return 'The check could not go on from there.';
  return (
    `read ${count(filesRead)} files, ${byteCount(bytesRead)}: ${count(frames ?? 0)} frames, ` +
    `${count(events ?? 0)} events, position ${position ?? 0n}\nchain head ${chainHash ?? ''}`
  );
}
