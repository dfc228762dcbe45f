import { type LogCopyReport, Verity } from '../../database/index.ts';
import type { ExitCode } from '../failure.ts';
import { accessTo, assertDatabaseDirectory, type Invocation } from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';
import { byteCount, count, type ProgressLine, startProgress } from '../progress.ts';

/** `verity log copy DIR OUT`: a consistent copy of the database, also while it runs. */
export async function runLogCopy(invocation: Invocation, out: string): Promise<ExitCode> {
  const { directory, options, output, terminal } = invocation;
  assertDatabaseDirectory(directory);
  const access = await accessTo(invocation);
  let line: ProgressLine | undefined;
  const report = await Verity.copyLog(directory, out, {
    ...access,
    onProgress: ({ done, total }) => {
      line ??= startProgress({
        terminal,
        label: 'copying',
        total,
        unit: 'bytes',
        quiet: options.json === true,
      });
      line.update(done);
    },
  }).finally(() => line?.end());
  await output.write(options.json === true ? jsonDocument(report) : reportText(report));
  return 0;
}

function reportText(report: LogCopyReport): string {
  const { path, bytes, segments, frames, events, position, chainHash } = report;
  return (
    `copied ${byteCount(bytes)} in ${count(segments)} ${segments === 1 ? 'segment' : 'segments'} to ${path}: ` +
    `${count(frames)} frames, ${count(events)} events, position ${position}\nchain head ${chainHash}\n` +
    'The copy opens with the same key.\n'
  );
}
