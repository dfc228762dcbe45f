import { AssertionError, limits, sqlError, type Value, VerityError } from '../base/index.ts';
import { type ColumnType } from '../base/index.ts';
import { ParameterTypes } from './bind/context.ts';
import { bindQuery } from './bind/query.ts';
import { plainTypes } from './bind/type-rules.ts';
import { bindInsert } from './bind/insert.ts';
import { bindDelete, type BoundReturning, bindUpdate } from './bind/write.ts';
import type {
  Catalog,
  KeyLookup,
  ParsedStatement,
  PreparedStatement,
  PreparedWrite,
  ResultColumn,
} from './contract.ts';
import { prepareDefinition } from './definitions.ts';
import { compileDelete, compileUpdate } from './execute/change.ts';
import { compileInsert } from './execute/insert.ts';
import { compileLookup } from './execute/lookup.ts';
import { prepareExplain } from './explain/explain.ts';
import { Execution, frameOf } from './execute/execution.ts';
import { compileRun } from './execute/select.ts';
import { parseScript, type StatementTree } from './parse/script.ts';
import { fromJs } from './types/index.ts';

/**
 * Binds a statement to the catalog's tables, plans it and compiles it; run the result as often as the
 * catalog stays the same. Throws the SQL errors of binding with their offset in the script.
 */
export function prepare(statement: ParsedStatement, catalog: Catalog): PreparedStatement {
  const tree = statement.tree as StatementTree;
  const node = tree.statement;
  const parameters = new ParameterTypes(statement.parameterCount);
  fixAsOf(statement, parameters);
  if ('SelectStmt' in node) {
    const query = bindQuery(node.SelectStmt, { source: tree.source, catalog, parameters });
    const run = compileRun(query, catalog, parameters);
    const parameterTypes = parameters.list();
    const { hasSubquery, tellsCommands } = parameters;
    const { tenant } = catalog;
    const lookup = (): KeyLookup =>
      compileLookup({ query, tenant, hasSubquery, tellsCommands, statement });
    const { columns } = query;
    const prepared = { kind: 'query', columns, parameterTypes, run, lookup } as const;
    return tellsCommands ? { ...prepared, tellsCommands } : prepared;
  }
  if ('ExplainStmt' in node) return prepareExplain(tree, node.ExplainStmt, catalog, parameters);
  if ('InsertStmt' in node) {
    const insert = bindInsert(tree, node.InsertStmt, catalog, parameters);
    return write(insert.returning, parameters, compileInsert(insert, catalog, parameters));
  }
  if ('UpdateStmt' in node) {
    const update = bindUpdate(tree, node.UpdateStmt, catalog, parameters);
    return write(update.returning, parameters, compileUpdate(update, catalog, parameters));
  }
  if ('DeleteStmt' in node) {
    const bound = bindDelete(tree, node.DeleteStmt, catalog, parameters);
    return write(bound.returning, parameters, compileDelete(bound, catalog, parameters));
  }
  const definition = prepareDefinition(statement, catalog, columnsOf);
  if (definition !== undefined) return definition;
  throw sqlError(
    'UNSUPPORTED_SQL',
    'BEGIN, COMMIT and ROLLBACK cannot be prepared; they belong to a session.',
    statement.offset,
  );
}

const write = (
  returning: BoundReturning,
  parameters: ParameterTypes,
  run: PreparedWrite['run'],
): PreparedWrite => ({
  kind: 'write',
  columns: returning.columns,
  parameterTypes: parameters.list(),
  run: parameters.hasSubquery ? withinExecution(run, parameters) : run,
});

/** Subqueries need the view and room for what they read of the rows around them. */
const withinExecution =
  (run: PreparedWrite['run'], parameters: ParameterTypes): PreparedWrite['run'] =>
  (view, values, context) =>
    run(view, frameOf(values, parameters.slotCount), new Execution(view, context));

function fixAsOf(statement: ParsedStatement, parameters: ParameterTypes): void {
  const { asOf } = statement;
  if (asOf?.kind === 'positionParameter') parameters.fix(asOf.number, plainTypes.bigint);
  if (asOf?.kind === 'timestampParameter') parameters.fix(asOf.number, plainTypes.timestamptz);
}

/** The columns that a query gives. */
function columnsOf(query: string, catalog: Catalog): readonly ResultColumn[] {
  const [statement, ...more] = parseScript(query);
  const prepared = statement && more.length === 0 ? prepare(statement, catalog) : undefined;
  if (prepared?.kind !== 'query')
    throw sqlError('UNSUPPORTED_SQL', 'A view is made of one SELECT.');
  return prepared.columns;
}

/**
 * The values of a statement's parameters in the engine's form. Throws UNDEFINED_PARAMETER when there
 * are not exactly as many as types, and the errors of conversion, which name $n and never its value.
 */
export function bindParameters(
  types: readonly ColumnType[],
  parameters: readonly unknown[],
): Value[] {
  if (types.length !== parameters.length) {
    throw new VerityError(
      'UNDEFINED_PARAMETER',
      `The statement takes ${types.length} parameters, ${parameters.length} were given.`,
      {
        details: {
          expected: types.length,
          given: parameters.length,
          parametersMax: limits.parametersMax,
        },
      },
    );
  }
  const values = new Array<Value>(types.length);
  for (let index = 0; index < types.length; index++) {
    try {
      values[index] = fromJs(types[index] as ColumnType, parameters[index]);
    } catch (error) {
      throw parameterError(error, index + 1);
    }
  }
  return values;
}

function parameterError(error: unknown, number: number): unknown {
  if (error instanceof AssertionError) return error;
  if (!(error instanceof VerityError)) {
    return new VerityError(
      'INVALID_ARGUMENT',
      `Parameter $${number}: its own code threw an error while the value was read.`,
      { cause: error, details: { parameter: number } },
    );
  }
  return new VerityError(error.code, `Parameter $${number}: ${error.message}`, {
    details: { ...error.details, parameter: number },
  });
}
