/**
 * `audit-1m`: audits of a closed database of 1,000,000 rows (VERITY_BENCH_AUDIT_ROWS sets another number), with the key and without, with as
 * many threads as there are cores. `audit-1m-log` and `audit-1m-store` are the same audits' first and second half: all that is
 * checked of the log with the key, and the comparison of the store with what the log yields.
 */
import { join } from 'node:path';
import process from 'node:process';
import { type AuditReport, keys, type TenantHandle, Verity } from 'veritydb';
import { insertAll } from './inserts.ts';
import {
  checked,
  type Line,
  lineOf,
  quantile,
  round,
  type Slice,
  type Subject,
} from './measure.ts';
import { makeTenants, Place } from './place.ts';
import { insertRow, makeRows, Numbers } from './rows.ts';

const rowCount = Number(process.env['VERITY_BENCH_AUDIT_ROWS'] ?? 1_000_000);
const rounds = Number(process.env['VERITY_BENCH_AUDIT_ROUNDS'] ?? 5);
const rowsAtOnce = 50_000;
const writers = 64;

/** A stretch of an audit, and the processor time that all its threads took. */
interface Stretch extends Slice {
  readonly processorSeconds: number;
}

interface Run {
  readonly report: AuditReport;
  readonly whole: Stretch;
  /** Up to where the log is read. */
  readonly log: Stretch;
  /** From the tree's end to where the store is compared; 0 seconds without a key. */
  readonly store: Stretch;
}

export async function audits(): Promise<Line[]> {
  const place = new Place();
  try {
    await load(place);
    const masterKey = keys.fromFile(join(place.folder, 'audits.key'));
    const path = join(place.folder, 'audits');
    const withKey: Run[] = [];
    const without: Run[] = [];
    // The first of each finds nothing compiled and the files on the disk.
    for (let index = 0; index <= rounds; index++) {
      const runs = [await run(path, { masterKey }), await run(path, { withoutKey: true })] as const;
      if (index === 0) continue;
      withKey.push(runs[0]);
      without.push(runs[1]);
    }
    return [
      lineFor('audit-1m', 'records', withKey, ({ whole }) => whole),
      lineFor('audit-1m-without-key', 'records', without, ({ whole }) => whole),
      lineFor('audit-1m-log', 'events', withKey, ({ log }) => log),
      lineFor('audit-1m-store', 'rows', withKey, ({ store }) => store),
    ];
  } finally {
    place.remove();
  }
}

async function load(place: Place): Promise<void> {
  const db = await place.open('audits');
  try {
    const [tenant] = (await makeTenants(db, 1)) as [TenantHandle];
    const numbers = new Numbers(6);
    for (let done = 0; done < rowCount; done += rowsAtOnce) {
      const rows = makeRows(numbers, Math.min(rowsAtOnce, rowCount - done));
      await insertAll(rows, writers, (row) => tenant.execute(insertRow, row));
    }
    await db.proofs.checkpoint();
  } finally {
    await db.close();
  }
}

async function run(path: string, access: Parameters<typeof Verity.audit>[1]): Promise<Run> {
  const ends = new Map<string, { readonly seconds: number; readonly processorSeconds: number }>();
  const start = now();
  const at = (phase: string): void => {
    const { seconds, processorSeconds } = now();
    ends.set(phase, {
      seconds: seconds - start.seconds,
      processorSeconds: processorSeconds - start.processorSeconds,
    });
  };
  const report = await Verity.audit(path, {
    ...access,
    onProgress: ({ phase, done, total }) => {
      if (done === total) at(phase);
    },
  });
  at('whole');
  const [finding] = report.findings;
  if (finding !== undefined) throw new Error(`The audit found ${finding.code} in ${finding.file}.`);
  checked(Math.min(report.events, rowCount), rowCount);
  const none = { seconds: 0, processorSeconds: 0 };
  const stretch = (count: number, from: string, to: string): Stretch => {
    const [begin, end] = [ends.get(from) ?? none, ends.get(to) ?? none];
    return {
      count,
      seconds: end.seconds - begin.seconds,
      processorSeconds: end.processorSeconds - begin.processorSeconds,
    };
  };
  return {
    report,
    whole: stretch(rowCount, '', 'whole'),
    log: stretch(report.events, '', 'log'),
    store: stretch(rowCount, 'tree', 'store'),
  };
}

function now(): { readonly seconds: number; readonly processorSeconds: number } {
  const { user, system } = process.cpuUsage();
  return {
    seconds: Number(process.hrtime.bigint()) / 1e9,
    processorSeconds: (user + system) / 1e6,
  };
}

/** The median of the speeds, the quickest, and the processor time that one takes, which other processes change little. */
function lineFor(
  bench: string,
  unit: string,
  runs: readonly Run[],
  stretchOf: (run: Run) => Stretch,
): Line {
  const stretches = runs.map(stretchOf);
  const subject: Pick<Subject, 'bench' | 'unit'> = { bench, unit };
  const micros = stretches.map(({ processorSeconds, count }) => (processorSeconds * 1e6) / count);
  const [{ report }] = runs as readonly [Run, ...Run[]];
  return {
    ...lineOf(subject, stretches),
    best: Math.round(Math.max(...stretches.map(({ count, seconds }) => count / seconds))),
    cpuMicrosPerRecord: round(quantile(micros, 0.5)),
    threads: report.threads,
    events: report.events,
    bytes: report.bytesRead,
    ...(report.versionsCompared !== undefined && { versions: report.versionsCompared }),
  };
}
