/** The results as a table in Markdown. */
import type { Beside } from './turns.ts';

/** A printed line, read back. */
export interface Printed {
  readonly bench: string;
  readonly skipped?: string;
  readonly perSecond?: number;
  readonly unit?: string;
  readonly beside?: readonly Beside[];
  /** What a bench says in place of a rate. */
  readonly summary?: string;
}

/** The rates in order, and of each peer how many times as fast we are, with spread and aim. */
export function markdownOf(lines: readonly Printed[]): string {
  const besides = new Map<string, string>();
  for (const { beside = [] } of lines) {
    for (const { bench, ratio, spread, aim } of beside) {
      const asked = aim === undefined ? '' : ` | ${aim} ×`;
      besides.set(bench, `${ratio} × (${spread[0]}–${spread[1]})${asked === '' ? ' | ' : asked}`);
    }
  }
  const rows = lines.map(
    (line) => `| \`${line.bench}\` | ${measured(line)} | ${besides.get(line.bench) ?? ' | '} |`,
  );
  return ['', '| bench | rate | VerityDB beside it | aim |', '|---|---|---|---|', ...rows, ''].join(
    '\n',
  );
}

function measured({ skipped, summary, perSecond = 0, unit = '' }: Printed): string {
  if (skipped !== undefined) return `skipped: ${skipped}`;
  return summary ?? `${perSecond.toLocaleString('en-US')} ${unit}/s`;
}
