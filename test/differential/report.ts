/** What a run of the differential tests says. */
import type { Difference, Tally } from './run.ts';

/** A difference as text, with the command that shows it again. */
export function described({ seed, statements, where, what }: Difference): string {
  const again = `npm run evidence:differential -- --seed ${seed} --worlds 1`;
  return [`${where}: ${what}`, ...statements.map((sql) => `  ${sql};`), `  (${again})`].join('\n');
}

/** What a run lacked to say anything, by the shares that runs have. */
export function enough(tally: Tally): string[] {
  const { statements, queries, writes, withRows, refused, tolerated, unsupported } = tally;
  const shares: readonly [boolean, string][] = [
    [unsupported.size === 0, `0A000: ${[...unsupported.keys()].join(' | ')}`],
    [withRows > statements * 0.3, `${withRows} of ${statements} statements yielded rows`],
    [refused > statements * 0.02, `${refused} of ${statements} statements were refused`],
    [refused < statements * 0.35, `${refused} of ${statements} statements were refused`],
    [tolerated < statements * 0.02, `${tolerated} of ${statements} differences were tolerated`],
    [queries > writes, `${queries} queries, ${writes} writes`],
  ];
  return shares.flatMap(([holds, what]) => (holds ? [] : [what]));
}
