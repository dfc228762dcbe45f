import { type RepairReport, Verity } from '../../database/index.ts';
import { type ExitCode, usageError } from '../failure.ts';
import {
  accessTo,
  assertDatabaseDirectory,
  type Invocation,
  segmentProgress,
} from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';
import { byteCount, count } from '../progress.ts';
import { readSecret } from '../secret-prompt.ts';

/** What `verity repair` is asked for besides DIR. */
export interface RepairRequest {
  readonly from?: string | undefined;
  readonly extend?: boolean | undefined;
  readonly cutTail?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  readonly yes?: boolean | undefined;
}

const confirmation = 'cut';

/** `verity repair DIR`: makes the store again from the log, takes what is damaged from another copy, or cuts the log. Exit code 3 if it is still damaged. */
export async function runRepair(invocation: Invocation, request: RepairRequest): Promise<ExitCode> {
  const { directory, options, output } = invocation;
  const { from, cutTail } = request;
  if (from !== undefined && cutTail === true) {
    throw usageError('Say how to repair: --from COPY or --cut-tail, one of the two.');
  }
  assertDatabaseDirectory(directory);
  if (from !== undefined) assertDatabaseDirectory(from);
  const access = await accessTo(invocation);
  const way = {
    ...access,
    ...(from !== undefined && { from }),
    ...(cutTail === true && { cutTail }),
    ...(request.extend === true && { extend: true }),
    ...(options.actor !== undefined && { actor: options.actor }),
    ...(options.reason !== undefined && { reason: options.reason }),
  };
  const isAsked = cutTail !== true || request.dryRun === true || request.yes === true;
  if (!isAsked)
    await confirmCut(invocation, await Verity.repair(directory, { ...way, dryRun: true }));
  const progress = segmentProgress(invocation, 'verifying');
  const report = await Verity.repair(directory, {
    ...way,
    dryRun: request.dryRun === true,
    onProgress: progress.onProgress,
  }).finally(progress.end);
  await output.write(options.json === true ? jsonDocument(report) : reportText(report, request));
  return report.ok ? 0 : 3;
}

/** Data is lost by a cut: somebody must have said so, on the command line or at the terminal. */
async function confirmCut({ terminal, options }: Invocation, plan: RepairReport): Promise<void> {
  if (plan.cut === undefined) return;
  if (options.json === true || terminal.stdin.isTTY !== true) {
    throw usageError(
      `${cutText(plan)}Data is lost by that. Look for another copy first (--from); to cut, add --yes.`,
    );
  }
  terminal.stderr.write(`${cutText(plan)}What is cut is kept aside, and the log records it.\n`);
  const answer = await readSecret(terminal, `Type "${confirmation}" to go on: `);
  if (answer.trim() !== confirmation) throw usageError('Nothing was cut.');
}

function cutText({ cut }: RepairReport): string {
  if (cut === undefined) return '';
  const { file, offset, lengthBytes, firstOp, lastOp } = cut;
  const frames =
    lastOp < firstOp ? 'no frame that is known of' : `frames ${count(firstOp)} to ${count(lastOp)}`;
  return `The log is cut in ${file} at byte ${count(offset)}: ${frames}, ${byteCount(lengthBytes)}.\n`;
}

function reportText(report: RepairReport, { extend }: RepairRequest): string {
  const { dryRun, restored, replaced, removed, kept, copyGoesOn, verification } = report;
  const lines = [
    ...restored.map((file) => `restored ${file}`),
    ...replaced.map(
      ({ file, offset, lengthBytes, firstOp, lastOp }) =>
        `taken from the copy: ${file} at byte ${count(offset)}, ${byteCount(lengthBytes)}, ` +
        (lastOp < firstOp ? 'the header' : `frames ${count(firstOp)} to ${count(lastOp)}`),
    ),
    ...removed.map((file) => `removed ${file}, which belongs to no place in the log`),
    ...cutText(report).split('\n').filter(Boolean),
  ];
  if (report.storeRebuilt === true) lines.push('the store was made again from the log');
  if (lines.length === 0) lines.push('nothing to repair');
  if (copyGoesOn)
    lines.push(
      extend === true
        ? 'the copy has frames behind the end of this log, and none of them continues it: the two went different ways'
        : 'the copy has frames behind the end of this log: --extend takes them',
    );
  if (kept !== undefined) lines.push(`what was there before is kept in ${kept}`);
  if (dryRun) lines.push('nothing was changed: this was a dry run');
  const findings = verification?.findings ?? [];
  for (const { file, offset, code, message } of findings) {
    lines.push(`${file} at byte ${count(offset)}: ${code}`, `  ${message}`);
  }
  if (verification !== undefined) {
    lines.push(verification.ok ? 'verified: every byte is as it was written.' : 'NOT VERIFIED.');
  }
  return `${lines.join('\n')}\n`;
}
