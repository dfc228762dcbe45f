import { basename } from 'node:path';
import { VerityError } from '../../base/index.ts';
import type { TableInfo, TenantHandle, Verity } from '../../database/index.ts';
import { type ExitCode, usageError } from '../failure.ts';
import { type CheckedFile, checkFile, fileVersion } from '../import/check-file.ts';
import { identifierProblem, readIdentifier, tableNameOf } from '../import/identifier.ts';
import { loadFile } from '../import/load-file.ts';
import { commandOptions, type Invocation, openDatabase } from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';
import { printable } from '../output/value-text.ts';
import { count, startProgress } from '../progress.ts';
import { openTenant } from '../sql/sql-session.ts';

export interface ImportRequest {
  readonly tenant: string;
  readonly files: readonly string[];
  readonly table: string | undefined;
  readonly primaryKey: string | undefined;
}

interface Imported {
  readonly file: CheckedFile;
  readonly position: bigint;
  readonly seconds: number;
}

/** Files larger than this show a progress line for their check as well. */
const slowCheckBytes = 8 << 20;

/** `verity import DIR --tenant T FILE.csv…`: checks every file from end to end, then loads them one after the other. */
export async function runImport(invocation: Invocation, request: ImportRequest): Promise<ExitCode> {
  const targets = targetsOf(request);
  await using database = await openDatabase(invocation, 'write');
  const existing = await tablesOf(database, request.tenant);
  const checked: CheckedFile[] = [];
  for (const { path, table } of targets) {
    checked.push(
      await checkOne(invocation, request, { path, table, existing: existing.get(table) }),
    );
  }
  const tenant = await openTenant(database, request.tenant, commandOptions(invocation.options));
  const imported: Imported[] = [];
  for (const file of checked) imported.push(await loadOne(invocation, tenant, file));
  await report(invocation, request.tenant, imported);
  return 0;
}

interface Target {
  readonly path: string;
  readonly table: string;
}

/** Which file goes into which table. Throws INVALID_ARGUMENT when two would share one. */
function targetsOf(request: ImportRequest): Target[] {
  const { files, table } = request;
  if (table === undefined) {
    const targets = files.map((path) => ({ path, table: tableNameOf(path) }));
    for (const [index, target] of targets.entries()) {
      const other = targets.findIndex((candidate) => candidate.table === target.table);
      if (other < index) {
        throw usageError(
          `${targets[other]?.path} and ${target.path} would both go into ${target.table}. Import one with --table.`,
        );
      }
    }
    return targets;
  }
  if (files.length > 1)
    throw usageError('--table names one table, so it takes one file. Import the files one by one.');
  const name = readIdentifier(table);
  const problem = identifierProblem(name);
  if (problem !== undefined) throw usageError(`--table: ${problem}`);
  return files.map((path) => ({ path, table: name }));
}

async function tablesOf(database: Verity, tenant: string): Promise<Map<string, TableInfo>> {
  try {
    const tables = await database.tenant(tenant).tables();
    return new Map(tables.map((table) => [table.name, table]));
  } catch (error) {
    if (error instanceof VerityError && error.code === 'UNKNOWN_TENANT') return new Map();
    throw error;
  }
}

async function checkOne(
  invocation: Invocation,
  request: ImportRequest,
  target: Target & { readonly existing: TableInfo | undefined },
): Promise<CheckedFile> {
  const { terminal, options } = invocation;
  const bytes = Number((await fileVersion(target.path)).split(' ')[0]);
  const label = `checking ${basename(target.path)}`;
  const quiet = options.json === true || bytes < slowCheckBytes;
  const progress = startProgress({ terminal, label, total: bytes, unit: 'bytes', quiet });
  let done = 0;
  const onBytes = (more: number): void => progress.update((done += more));
  const checked = await checkFile({ ...target, primaryKey: request.primaryKey, onBytes });
  progress.end();
  return checked;
}

async function loadOne(
  invocation: Invocation,
  tenant: TenantHandle,
  file: CheckedFile,
): Promise<Imported> {
  const { terminal, options } = invocation;
  const name = basename(file.path);
  const quiet = options.json === true;
  const progress = startProgress({
    terminal,
    label: name,
    total: file.rowCount,
    unit: 'rows',
    quiet,
  });
  const started = terminal.now();
  let rows = 0;
  try {
    const { position } = await loadFile(file, {
      tenant,
      command: commandOptions(options, `import of ${name}`),
      onRows: (more) => progress.update((rows += more)),
    });
    return { file, position, seconds: (terminal.now() - started) / 1_000 };
  } finally {
    progress.end();
  }
}

async function report(
  invocation: Invocation,
  tenant: string,
  imported: readonly Imported[],
): Promise<void> {
  const { options, output } = invocation;
  if (options.json === true) {
    await output.write(jsonDocument({ tenant, files: imported.map(fileJson) }));
    return;
  }
  for (const { file, position } of imported) {
    const { table, rowCount, columns, primaryKey, existing } = file;
    const key = primaryKey.length === 0 ? 'no primary key' : `primary key ${primaryKey.join(', ')}`;
    const made =
      existing === undefined
        ? `new table, ${columns.length} columns, ${key}`
        : 'added to the table';
    const rows = rowCount === 1 ? '1 row' : `${count(rowCount)} rows`;
    await output.line(printable(`${table}: ${rows} (${made}), position ${position}`));
  }
}

function fileJson({ file, position, seconds }: Imported): unknown {
  const { path, table, existing, columns, primaryKey, rowCount } = file;
  return {
    file: path,
    table,
    created: existing === undefined,
    columns,
    primaryKey,
    rows: rowCount,
    position,
    seconds,
  };
}
