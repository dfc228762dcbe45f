import { CorruptionError } from '../../base/index.ts';
import { type Finding, Verity, type VerifyReport } from '../../database/index.ts';
import type { ExitCode } from '../failure.ts';
import {
  accessTo,
  assertDatabaseDirectory,
  type Invocation,
  memoryOptions,
  segmentProgress,
} from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';
import { byteCount, count } from '../progress.ts';

/** `verity verify DIR`: reads every byte and checks it. Exit code 3 if anything is not as it was written. */
export async function runVerify(invocation: Invocation, withoutKey: boolean): Promise<ExitCode> {
  const { directory, options, output } = invocation;
  assertDatabaseDirectory(directory);
  const access = withoutKey ? { withoutKey } : await accessTo(invocation);
  const progress = segmentProgress(invocation, 'verifying');
  const memory = memoryOptions(options);
  const report = await Verity.verify(directory, {
    ...access,
    ...memory,
    onProgress: progress.onProgress,
  })
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
  const { ok, findings } = report;
  if (ok && report.opened === false) {
    return `${figures(report)}checked without a key: checksums, digests and chain hold; nothing was opened.\n`;
  }
  if (ok)
    return `${figures(report)}${cutsText(report)}verified: every byte is as it was written.\n`;
  const total = findings.length === 1 ? '1 finding' : `${count(findings.length)} findings`;
  return `${findings.map(findingText).join('')}NOT VERIFIED: ${total}.\n`;
}

function cutsText({ cuts = [] }: PartialReport): string {
  return cuts
    .map(
      ({ time, actor, file, offset, firstOp, lastOp }) =>
        `cut by ${actor ?? 'a repair'} at ${time.toISOString()}: ${file} at byte ${offset}, ` +
        `frames ${count(firstOp)} to ${count(lastOp)}\n`,
    )
    .join('');
}

function findingText(finding: Finding): string {
  return `${finding.file} at byte ${finding.offset}: ${finding.code}\n  ${finding.message}\n`;
}

function stateText({ stateHash }: PartialReport): string {
  if (stateHash === undefined) return '';
  return `state hash ${stateHash.hash} at position ${stateHash.position}\n`;
}

function figures(report: PartialReport): string {
  const {
    filesRead = 0,
    bytesRead = 0,
    frames = 0,
    events = 0,
    position = 0n,
    chainHash = '',
  } = report;
  return (
    `read ${count(filesRead)} files, ${byteCount(bytesRead)}: ${count(frames)} frames, ` +
    `${count(events)} events, position ${position}\nchain head ${chainHash}\n${stateText(report)}`
  );
}
