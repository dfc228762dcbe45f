import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type AuditFinding,
  type AuditOptions,
  type AuditReport,
  CorruptionError,
  type Progress,
  Verity,
  VerityError,
} from '../../database/index.ts';
import { type ExitCode, usageError } from '../failure.ts';
import {
  accessIfNamed,
  assertDatabaseDirectory,
  type Invocation,
  memoryOptions,
} from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';
import { byteCount, count, type ProgressLine, startProgress } from '../progress.ts';

export interface AuditRequest {
  readonly withoutKey: boolean;
  /** A file with a signed checkpoint. */
  readonly since?: string | undefined;
  /** A PEM file with the certificates that time stamps must lead to. */
  readonly tsaCa?: string | undefined;
  /** Where the report goes as JSON, beside what is printed. */
  readonly out?: string | undefined;
  /** A file, or a directory for one, that keeps how far the audit is. */
  readonly resume?: string | undefined;
  readonly threads?: string | undefined;
}

const stateFile = 'verity-audit.state';
const rowsShown = 5;

/** `verity audit DIR`: reads and checks everything, with all cores. Exit code 3 if anything is not as it was written. */
export async function runAudit(invocation: Invocation, request: AuditRequest): Promise<ExitCode> {
  const { directory, options, output } = invocation;
  assertDatabaseDirectory(directory);
  const wanted = optionsOf(request);
  const memory = memoryOptions(options);
  const { withoutKey } = request;
  const access = withoutKey ? { withoutKey } : await accessIfNamed(invocation);
  const progress = auditProgress(invocation);
  const { onProgress } = progress;
  const report = await Verity.audit(directory, { ...access, ...memory, ...wanted, onProgress })
    .catch(brokenReport)
    .finally(progress.end);
  const json = jsonDocument(report);
  await output.write(options.json === true ? json : reportText(report));
  if (request.out !== undefined) writeReport(request.out, json);
  return report.ok ? 0 : 3;
}

function optionsOf({
  since,
  tsaCa,
  resume,
  threads,
}: AuditRequest): Pick<AuditOptions, 'since' | 'timeStampCa' | 'resume' | 'threads'> {
  if (threads !== undefined && !/^[1-8]$/.test(threads))
    throw usageError('--threads takes a number from 1 to 8.');
  const isDirectory = resume !== undefined && existsSync(resume) && statSync(resume).isDirectory();
  return {
    ...(since !== undefined && {
      since: textIn(
        since,
        'checkpoint',
        '--since takes a file with a note, such as `verity checkpoint` prints.',
      ),
    }),
    ...(tsaCa !== undefined && {
      timeStampCa: textIn(tsaCa, 'certificates', '--tsa-ca takes a file in PEM.'),
    }),
    ...(resume !== undefined && { resume: isDirectory ? join(resume, stateFile) : resume }),
    ...(threads !== undefined && { threads: Number(threads) }),
  };
}

function textIn(path: string, what: string, advice: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw fileError(error, path, `Cannot read the ${what} in ${path}`, advice);
  }
}

function writeReport(path: string, json: string): void {
  try {
    writeFileSync(path, json, { mode: 0o600 });
  } catch (error) {
    const advice = 'The audit is done, and was printed; --out takes a file that can be written.';
    throw fileError(error, path, `Cannot write the report to ${path}`, advice);
  }
}

function fileError(cause: unknown, path: string, what: string, advice: string): VerityError {
  const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown';
  return new VerityError('IO_ERROR', `${what}: ${reason}. ${advice}`, {
    cause,
    details: { path, reason },
  });
}

type PartialReport = Pick<AuditReport, 'ok' | 'findings'> & Partial<AuditReport>;

/** Damage that ends the audit early is a finding like any other; everything else is an error. */
function brokenReport(error: unknown): PartialReport {
  if (!(error instanceof VerityError) || error.exitCode !== 3) throw error;
  const { code, message } = error;
  const { file, offset } = error instanceof CorruptionError ? error : { file: '', offset: 0 };
  return { ok: false, findings: [{ code, file, offset, message }] };
}

const phaseNames: Readonly<Record<string, { readonly label: string; readonly unit: string }>> = {
  log: { label: 'checking the log', unit: 'segments' },
  replay: { label: 'holding the store to it', unit: 'segments' },
  store: { label: 'reading the store back', unit: 'parts' },
};

/** A bar for each phase on a terminal. */
function auditProgress(invocation: Invocation): {
  readonly onProgress: (progress: Progress) => void;
  readonly end: () => void;
} {
  const { terminal, options } = invocation;
  const isShown = options.json !== true && terminal.stderr.isTTY === true;
  let current: { readonly phase: string; readonly line: ProgressLine } | undefined;
  return {
    onProgress: ({ phase, done, total }) => {
      const name = phaseNames[phase];
      if (!isShown || name === undefined || total < 2) return;
      if (current?.phase !== phase) {
        current?.line.end();
        current = { phase, line: startProgress({ terminal, ...name, total, quiet: false }) };
      }
      current.line.update(done);
    },
    end: () => current?.line.end(),
  };
}

function reportText(report: PartialReport): string {
  const { ok, findings } = report;
  if (!ok) {
    const total = findings.length === 1 ? '1 finding' : `${count(findings.length)} findings`;
    return `${findings.map(findingText).join('')}NOT AS IT WAS WRITTEN: ${total}.\n`;
  }
  return `${figures(report)}${conclusion(report)}\n`;
}

function conclusion({ opened, storeCompared, since }: PartialReport): string {
  if (opened === false)
    return 'audited without a key: checksums, digests, chain, tree and signed checkpoints hold; nothing was opened.';
  if (since !== undefined)
    return 'audited: the log goes on from the checkpoint, and what came after it is as it was written.';
  return storeCompared === undefined
    ? 'audited: every byte is as it was written. There is no store yet that could be held against the log.'
    : 'audited: every byte is as it was written, and the store is what the log yields.';
}

function figures(report: PartialReport): string {
  const { filesRead = 0, bytesRead = 0, frames = 0, events = 0, eventsOpened = 0 } = report;
  const { position = 0n, chainHash = '', threads = 1, segmentsResumed = 0 } = report;
  const { versionsCompared, storeCompared, stateHash, proofs, since } = report;
  return [
    `read ${count(filesRead)} files, ${byteCount(bytesRead)}, with ${threads === 1 ? '1 thread' : `${threads} threads`}: ` +
      `${count(frames)} frames, ${count(events)} events, position ${position}`,
    `chain head ${chainHash}`,
    ...(segmentsResumed > 0
      ? [`gone on with: ${count(segmentsResumed)} segments were opened before`]
      : []),
    ...(eventsOpened > 0 ? [`opened ${count(eventsOpened)} events`] : []),
    ...(versionsCompared === undefined
      ? []
      : [
          `compared ${count(versionsCompared)} versions of the store, up to position ${storeCompared}`,
        ]),
    ...(stateHash === undefined
      ? []
      : [`state hash ${stateHash.hash} at position ${stateHash.position}`]),
    ...(proofs === undefined
      ? []
      : [
          `tree of ${count(proofs.treeSize)} leaves, root ${proofs.root}`,
          `${count(proofs.checkpoints)} signed checkpoints, ${count(proofs.cosignatures)} cosignatures` +
            (proofs.unchecked > 0 ? `, ${count(proofs.unchecked)} of other keys not checked` : ''),
          `${count(proofs.timeStamps)} time stamps` +
            (proofs.timeStampsUnchecked > 0
              ? `, and ${count(proofs.timeStampsUnchecked)} of authorities that are not trusted (--tsa-ca)`
              : ''),
        ]),
    ...(since === undefined ? [] : [`goes on from the checkpoint of ${count(since)} leaves`]),
    '',
  ].join('\n');
}

function findingText({ file, offset, code, message, affected }: AuditFinding): string {
  // Of no file is what is wrong with the checkpoint that was given.
  const place = file === '' ? 'the database' : `${file} at byte ${offset}`;
  const lines = [`${place}: ${code}`, `  ${message}`];
  if (affected !== undefined) {
    const { frames, positions, tenants, tables } = affected;
    if (frames !== undefined) lines.push(`  affected: frames ${rangeText(frames)}`);
    if (positions !== undefined) lines.push(`  affected: positions ${rangeText(positions)}`);
    if (tenants.length > 0) lines.push(`  affected: tenants ${tenants.join(', ')}`);
    for (const { tenant, table, index, versions, rows } of tables) {
      const keys = rows
        .slice(0, rowsShown)
        .map(({ key, position }) => `${key} (position ${position})`);
      const more = versions > keys.length && keys.length > 0 ? ', …' : '';
      const of = index === undefined ? '' : `, index ${index}`;
      const which = keys.length === 0 ? '' : `: ${keys.join(', ')}${more}`;
      lines.push(`  affected: ${tenant}.${table}${of}, ${count(versions)} versions${which}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

const rangeText = ({ first, last }: { readonly first: number; readonly last?: number }): string =>
  last === undefined ? `from ${count(first)} on` : `${count(first)} to ${count(last)}`;
