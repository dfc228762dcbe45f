import { AssertionError, limits, sqlError, type Value, VerityError } from '../base/index.ts';
import { type ColumnType } from '../base/index.ts';
import { bindCreateTable, tableSchemaOf } from './bind/create-table.ts';
import { ParameterTypes } from './bind/context.ts';
import { bindSelect } from './bind/select.ts';
import { plainTypes } from './bind/type-rules.ts';
import { bindDelete, bindInsert, type BoundReturning, bindUpdate } from './bind/write.ts';
import type {
  Catalog,
  ParsedStatement,
  PreparedDefinition,
  PreparedStatement,
  PreparedWrite,
} from './contract.ts';
import { compileDelete, compileUpdate } from './execute/change.ts';
import { compileInsert } from './execute/insert.ts';
import { compileSelect } from './execute/select.ts';
import type { StatementTree } from './parse/script.ts';
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
    const select = bindSelect(tree, node.SelectStmt, catalog, parameters);
    return {
      kind: 'query',
      columns: select.columns,
      parameterTypes: parameters.list(),
      run: compileSelect(select, catalog),
    };
  }
  if ('InsertStmt' in node) {
    const insert = bindInsert(tree, node.InsertStmt, catalog, parameters);
    return write(insert.returning, parameters, compileInsert(insert, catalog));
  }
  if ('UpdateStmt' in node) {
    const update = bindUpdate(tree, node.UpdateStmt, catalog, parameters);
    return write(update.returning, parameters, compileUpdate(update, catalog));
  }
  if ('DeleteStmt' in node) {
    const bound = bindDelete(tree, node.DeleteStmt, catalog, parameters);
    return write(bound.returning, parameters, compileDelete(bound, catalog));
  }
  if ('CreateStmt' in node) return definition(tree, statement, catalog);
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
  run,
});

function fixAsOf(statement: ParsedStatement, parameters: ParameterTypes): void {
  const { asOf } = statement;
  if (asOf?.kind === 'positionParameter') parameters.fix(asOf.number, plainTypes.bigint);
  if (asOf?.kind === 'timestampParameter') parameters.fix(asOf.number, plainTypes.timestamptz);
}

function definition(
  tree: StatementTree,
  statement: ParsedStatement,
  catalog: Catalog,
): PreparedDefinition {
  const { statement: node } = tree;
  if (!('CreateStmt' in node)) throw new TypeError('not a CREATE TABLE');
  const bound = bindCreateTable(tree, node.CreateStmt);
  const existing = catalog.table(bound.name);
  if (existing === undefined) {
    return {
      kind: 'definition',
      effective: true,
      define: (allocate) => tableSchemaOf(bound, allocate),
    };
  }
  if (node.CreateStmt.if_not_exists === true)
    return { kind: 'definition', effective: false, define: () => existing };
  const location = node.CreateStmt.relation?.location;
  throw sqlError(
    'DUPLICATE_TABLE',
    `Table "${bound.name}" already exists; use another name, or CREATE TABLE IF NOT EXISTS.`,
    location === undefined ? statement.offset : tree.source.indexOfByte(location),
  );
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
