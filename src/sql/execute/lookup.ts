/** Queries that ask for rows by their primary keys and by nothing else, so that what they yield can be proved. */
import { limits, sqlError, type StoreKey, type TenantId } from '../../base/index.ts';
import type { Expression, TableSchema } from '../../codec/index.ts';
import type { BoundQuery, BoundSelect } from '../bind/bound-query.ts';
import { columnsOf } from '../bind/rewrite.ts';
import { firstLocation } from '../bind/unsupported.ts';
import type { KeyLookup, ParsedStatement } from '../contract.ts';
import type { StatementTree } from '../parse/script.ts';
import { conjuncts, type Restriction, restrictionsOf } from '../plan/restrictions.ts';
import { compileFindKey } from './rows.ts';

const advice =
  'Select from one table, WHERE every column of its primary key = a value or IN (values), AND nothing else.';

/** What of the query is needed, and where it came from. */
export interface LookupSource {
  readonly query: BoundQuery;
  readonly tenant: TenantId;
  readonly hasSubquery: boolean;
  readonly tellsCommands: boolean;
  readonly statement: ParsedStatement;
}

/** The keys that the query asks for. Throws UNSUPPORTED_SQL where it asks for anything else, at its place. */
export function compileLookup(source: LookupSource): KeyLookup {
  const { query, tenant, statement } = source;
  const fail = (what: string, clause?: string): never => {
    throw sqlError(
      'UNSUPPORTED_SQL',
      `What the query yields cannot be proved: ${what}. ${advice}`,
      placeOf(statement, clause),
    );
  };
  if (statement.asOf !== undefined)
    fail('it reads an older position, and only the newest state has proofs');
  if (query.kind !== 'select') return fail('it is not a plain SELECT');
  if (source.hasSubquery) fail('it has a subquery');
  if (source.tellsCommands) fail('it tells of the commands that wrote rows');
  checkTail(query, fail);
  const { from, where } = query;
  if (from?.kind !== 'table') return fail('it does not read one table', 'fromClause');
  const { table } = from;
  if (table.primaryKey.length === 0) fail(`table "${table.name}" has no primary key`, 'fromClause');
  const choices = choicesOf(table, where);
  if (choices === undefined)
    return fail(
      'its WHERE is not the primary key and nothing else',
      where === undefined ? 'fromClause' : 'whereClause',
    );
  const product = choices.reduce((count, { length }) => count * length, 1);
  if (product > limits.provedKeysMax)
    fail(`it asks for ${product} keys, and ${limits.provedKeysMax} are the limit`, 'whereClause');
  const finders = combinations(choices).map((values) =>
    compileFindKey({ tenant }, table, { kind: 'get', values }),
  );
  const ordinals = new Set([
    ...table.primaryKey,
    ...query.outputs.flatMap((output) => [...columnsOf(output)]),
    ...query.sort.flatMap(({ expression }) => [...columnsOf(expression)]),
  ]);
  return {
    table,
    columns: table.columns.filter((_, ordinal) => ordinals.has(ordinal)).map(({ name }) => name),
    keys(view, parameters, context) {
      const keys = new Set<StoreKey>();
      for (const find of finders) {
        const key = find?.(view, parameters, context);
        if (key !== undefined) keys.add(key);
      }
      return [...keys];
    },
  };
}

function checkTail(query: BoundSelect, fail: (what: string, clause?: string) => never): void {
  if (query.grouping !== undefined) fail('it has aggregates or GROUP BY');
  if (query.distinct) fail('it has DISTINCT');
  if (query.limit !== undefined) fail('it has LIMIT', 'limitCount');
  if (query.offset !== undefined) fail('it has OFFSET', 'limitOffset');
}

/** The values that WHERE allows for each column of the primary key; undefined if it says less, more or anything else. */
function choicesOf(
  table: TableSchema,
  where: Expression | undefined,
): readonly (readonly Expression[])[] | undefined {
  if (where === undefined) return undefined;
  const found = new Map<number, readonly Expression[]>();
  for (const condition of conjuncts(where)) {
    const [restriction, ...more] = restrictionsOf(table, condition);
    const values = restriction && valuesOf(restriction);
    if (restriction === undefined || values === undefined || more.length > 0) return undefined;
    if (found.has(restriction.ordinal)) return undefined;
    found.set(restriction.ordinal, values);
  }
  const choices = table.primaryKey.map((ordinal) => found.get(ordinal));
  if (found.size !== choices.length || !choices.every((each) => each !== undefined))
    return undefined;
  return choices;
}

function valuesOf({
  comparison,
  value,
  list,
  members,
  partial,
}: Restriction): readonly Expression[] | undefined {
  if (partial === true || members !== undefined) return undefined;
  if (comparison === '=') return [value];
  return comparison === 'in' ? list : undefined;
}

function combinations(choices: readonly (readonly Expression[])[]): Expression[][] {
  let all: Expression[][] = [[]];
  for (const values of choices)
    all = all.flatMap((before) => values.map((each) => [...before, each]));
  return all;
}

/** Where the clause begins in the script, or the statement. */
function placeOf({ tree, offset }: ParsedStatement, clause: string | undefined): number {
  const { statement, source } = tree as StatementTree;
  const select = 'SelectStmt' in statement ? statement.SelectStmt : undefined;
  const node =
    clause === undefined ? undefined : (select as Record<string, unknown> | undefined)?.[clause];
  const location = firstLocation(node);
  return location === undefined ? offset : source.indexOfByte(location);
}
