/** Whether two answers to one statement agree. */
import type { Answer, Refused, Rows } from './answer.ts';

/** `agreed`, or `tolerated`: they differ where SQL leaves it open; else what differs. */
export type Verdict =
  | { readonly kind: 'agreed' | 'tolerated' }
  | { readonly kind: 'different'; readonly where: string; readonly what: string };

const agreed: Verdict = { kind: 'agreed' };
const tolerated: Verdict = { kind: 'tolerated' };

const isDataError = ({ sqlState, message }: Refused): boolean =>
  sqlState.startsWith('22') || wholeNumberError.test(message);
/** What PostgreSQL calls a missing feature (0A000), and we a number out of range. */
const wholeNumberError = /^cannot convert (NaN|infinity)/;

/** Where we answer with another SQLSTATE on purpose (docs/sql.md). */
const isDecision = (sql: string, ours: Refused, theirs: Refused): boolean =>
  (ours.sqlState === '22003' && wholeNumberError.test(theirs.message)) ||
  // Of two mistakes, PostgreSQL computes constants before it looks for ON CONFLICT's index.
  (ours.sqlState === '42P10' && isDataError(theirs)) ||
  // We take all operands in one type, PostgreSQL each with the first.
  (ours.sqlState === '42883' && isDataError(theirs) && /\b(IN|BETWEEN|CASE)\b/.test(sql));

const isMistakeInRow = ({ sqlState }: Refused): boolean => /^2[123]/.test(sqlState);
const isWrite = /^(INSERT|UPDATE|DELETE)\b/;

/** Values of one group, or of rows that a LIMIT picks from alike ones, may be written differently. */
const picksValues =
  /\b(DISTINCT|GROUP BY|LIMIT|OFFSET|UNION|EXCEPT|INTERSECT)\b|\b(min|max|sum|avg|greatest|least)\(/;
/** Forms of which PostgreSQL computes constant parts that are never reached; the last is a comparison of rows. */
const mayBeLazy = /\b(CASE|COALESCE|AND|OR|IN|BETWEEN|FROM|WHERE|DO UPDATE)\b|\) (=|<>) \(/;
/** We compute aggregates in branches that are never taken, PostgreSQL only where they are not constant. */
const unusedAggregate = /\b(CASE|COALESCE)\b.*\b(min|max|sum|avg|count|bool_and|bool_or|every)\(/s;
/** Forms whose parts are computed in an order, and for rows, of the planner's choice; views may hold any of them. */
const mayBeReordered = /\b(WHERE|JOIN|LIMIT|HAVING|SELECT.*SELECT)\b|, t\d|\bv\d/s;

/** What is NULL whatever stands beside it PostgreSQL leaves uncomputed, if the time zone may play a part in it. */
const besideNull = /\bNULL::.*\bdate_trunc\(|\bdate_trunc\(.*\bNULL::/s;

export function compare(sql: string, ours: Answer, theirs: Answer, ordered: boolean): Verdict {
  if (ours.kind === 'rows' && theirs.kind === 'rows')
    return compareRows(sql, ours, theirs, ordered);
  const where = `${codeOf(ours)} for ${codeOf(theirs)}`;
  if (ours.kind === 'refused' && theirs.kind === 'refused') {
    if (ours.sqlState === theirs.sqlState || isDecision(sql, ours, theirs)) return agreed;
    if (isDataError(ours) && isDataError(theirs) && mayBeLazy.test(sql)) return tolerated;
    // Of several mistakes in the rows of one statement each meets its own first.
    if (isMistakeInRow(ours) && isMistakeInRow(theirs) && isWrite.test(sql)) return tolerated;
    return { kind: 'different', where, what: `${ours.message} | ${theirs.message}` };
  }
  if (theirs.kind === 'refused') {
    const unreached = ours.kind === 'rows' && ours.rowCount === 0;
    if (isDataError(theirs) && (unreached || mayBeLazy.test(sql))) return tolerated;
    return { kind: 'different', where, what: theirs.message };
  }
  const refused = ours as Refused;
  if (isDataError(refused) && unusedAggregate.test(sql)) return tolerated;
  if (isDataError(refused) && besideNull.test(sql)) return tolerated;
  if (isDataError(refused) && (mayBeReordered.test(sql) || (refused.early && mayBeLazy.test(sql))))
    return tolerated;
  return { kind: 'different', where, what: refused.message };
}

const codeOf = (answer: Answer): string => (answer.kind === 'rows' ? 'rows' : answer.sqlState);

function compareRows(sql: string, ours: Rows, theirs: Rows, ordered: boolean): Verdict {
  const different = (where: string, a: unknown, b: unknown): Verdict => ({
    kind: 'different',
    where,
    what: `${JSON.stringify(a)} for ${JSON.stringify(b)}`,
  });
  if (ours.types.join() !== theirs.types.join())
    return different('types', ours.types, theirs.types);
  if (ours.names.join() !== theirs.names.join())
    return different('names', ours.names, theirs.names);
  if (ours.rowCount !== theirs.rowCount) return different('count', ours.rowCount, theirs.rowCount);
  // Rows that an order leaves open may change places: then the rows are compared as a set, and their order loosely.
  const loosely = picksValues.test(sql);
  return (
    firstDifference(texts(ours, loosely).sort(), texts(theirs, loosely).sort(), different) ??
    (ordered ? firstDifference(texts(ours, true), texts(theirs, true), different) : undefined) ??
    agreed
  );
}

function firstDifference(
  mine: readonly string[],
  right: readonly string[],
  different: (where: string, a: unknown, b: unknown) => Verdict,
): Verdict | undefined {
  const at = mine.findIndex((row, index) => row !== right[index]);
  return at === -1 ? undefined : different('rows', mine[at], right[at]);
}

function texts({ rows, types }: Rows, loosely: boolean): string[] {
  return rows.map((row) =>
    JSON.stringify(
      row.map((text, index) =>
        loosely && text !== null ? plain(types[index] as string, text) : text,
      ),
    ),
  );
}

const digitsCompared = 12;

/** One text for numbers that are equal, or sums of the same numbers in another order. */
function plain(type: string, text: string): string {
  if (type === 'numeric' && text.includes('.')) return text.replace(/\.?0+$/, '');
  if (type !== 'real' && type !== 'double precision') return text;
  const number = Number(text);
  return Number.isFinite(number)
    ? String(Number(number.toPrecision(type === 'real' ? 5 : digitsCompared)) + 0)
    : text;
}
