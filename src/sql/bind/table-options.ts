/** WITH (…) of CREATE TABLE, and SET (…) and RESET (…) of ALTER TABLE. */
import type { DefElem, Node } from 'libpg-query';
import { sqlError } from '../../base/index.ts';
import type { TableSchema } from '../../codec/index.ts';
import type { StatementTree } from '../parse/script.ts';
import { offsetOf } from './context.ts';
import { unsupported } from './unsupported.ts';

type TableOptions = Pick<TableSchema, 'disclosure'>;

/** What PostgreSQL knows of tables and we have no use for; but autovacuum_… and toast.…, which are many. */
const ofPostgres = new Set([
  'fillfactor',
  'parallel_workers',
  'toast_tuple_target',
  'user_catalog_table',
  'log_autovacuum_min_duration',
  'vacuum_index_cleanup',
  'vacuum_truncate',
  'vacuum_max_eager_freeze_failure_rate',
  'oids',
]);

/** The options that a list sets. Throws INVALID_ARGUMENT, or UNSUPPORTED_SQL for those that only PostgreSQL has. */
export function bindTableOptions(
  tree: StatementTree,
  options: readonly Node[] | undefined,
): TableOptions {
  let disclosure: string | undefined;
  for (const { option, offset } of named(tree, options)) {
    disclosure = textOf(option);
    if (disclosure === 'field' || disclosure === 'none') continue;
    throw sqlError(
      'INVALID_ARGUMENT',
      `The storage parameter "disclosure" is 'field' or 'none', not '${disclosure}'.`,
      offset,
    );
  }
  return disclosure === 'field' ? { disclosure } : {};
}

/** The table with options as ALTER TABLE SET or RESET leaves them. */
export function withTableOptions(
  tree: StatementTree,
  table: TableSchema,
  change: { readonly kind: 'set' | 'reset'; readonly options: readonly Node[] | undefined },
): TableSchema {
  const { kind, options } = change;
  const given = named(tree, options);
  for (const { option, offset } of given) {
    if (kind === 'reset' && option.arg !== undefined)
      throw sqlError(
        'SYNTAX_ERROR',
        'RESET names storage parameters without values; leave the value out.',
        offset,
      );
  }
  const { disclosure } = kind === 'set' ? bindTableOptions(tree, options) : {};
  if (given.length === 0 || disclosure === table.disclosure) return table;
  const { disclosure: _, ...rest } = table;
  return disclosure === undefined ? rest : { ...rest, disclosure };
}

function named(
  tree: StatementTree,
  options: readonly Node[] = [],
): { readonly option: DefElem; readonly offset: number | undefined }[] {
  const found = options.map((node) => {
    const option = 'DefElem' in node ? node.DefElem : {};
    const { defname = '', defnamespace, location } = option;
    const offset = offsetOf(tree, location);
    if (defnamespace !== undefined && defnamespace !== 'toast')
      throw sqlError(
        'INVALID_ARGUMENT',
        `There is no namespace "${defnamespace}" of storage parameters; leave it out.`,
        offset,
      );
    const name = defnamespace === undefined ? defname : `${defnamespace}.${defname}`;
    if (name === 'disclosure') return { option, offset };
    if (/^(?:toast\.|autovacuum_)/.test(name) || ofPostgres.has(name))
      throw unsupported(tree, `The storage parameter "${name}"`, location);
    throw sqlError(
      'INVALID_ARGUMENT',
      `There is no storage parameter "${name}"; tables have "disclosure".`,
      offset,
    );
  });
  if (found.length > 1)
    throw sqlError(
      'INVALID_ARGUMENT',
      'The storage parameter "disclosure" is given more than once; give it once.',
      found[1]?.offset,
    );
  return found;
}

/** The value as it was written; without one, PostgreSQL's "true". */
function textOf({ arg }: DefElem): string {
  if (arg === undefined) return 'true';
  if ('String' in arg) return arg.String.sval ?? '';
  if ('Integer' in arg) return String(arg.Integer.ival ?? 0);
  if ('Float' in arg) return arg.Float.fval ?? '';
  if ('TypeName' in arg) {
    const names = arg.TypeName.names ?? [];
    const last = names[names.length - 1];
    return last !== undefined && 'String' in last ? (last.String.sval ?? '') : '';
  }
  return '';
}
