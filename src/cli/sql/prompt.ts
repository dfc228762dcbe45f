import { appendFileSync, closeSync, fchmodSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { TableInfo } from '../../database/index.ts';
import { failureOf, renderFailure } from '../failure.ts';
import { renderTable, tableStyle } from '../output/table.ts';
import { printable } from '../output/value-text.ts';
import { count } from '../progress.ts';
import type { Output, Terminal } from '../terminal.ts';
import { OutputClosed } from '../terminal.ts';
import type { ResultWriter } from './result-output.ts';
import type { SqlSession } from './sql-session.ts';
import { StatementSplitter } from './statement-splitter.ts';

export interface PromptOptions {
  readonly terminal: Terminal;
  readonly output: Output;
  readonly session: SqlSession;
  /** A new one for each statement, so that each is a document of its own. */
  readonly writer: () => ResultWriter;
  readonly json: boolean;
  readonly tenant: string;
}

const historyLinesMax = 1_000;
const help = `\
  SELECT …;        statements end with a semicolon and may span lines
  \\d               lists the tables
  \\d TABLE         shows the columns of a table
  \\q, Ctrl-D       ends
  Ctrl-C           drops the statement that is being typed
`;

/**
 * The prompt of `verity sql`. Lines are remembered while it runs; they are written to a file only if
 * VERITY_HISTORY names one, since statements hold values that no erasure would reach there.
 */
export async function runPrompt(options: PromptOptions): Promise<void> {
  const { terminal, output, tenant } = options;
  if (!options.json)
    await output.line(
      `Tenant ${printable(tenant)}. End statements with a semicolon; \\? helps, \\q ends.`,
    );
  const historyFile = terminal.env['VERITY_HISTORY'] ?? '';
  const lines = createInterface({
    input: terminal.stdin,
    output: terminal.stdout,
    terminal: true,
    historySize: historyLinesMax,
    history: readHistory(historyFile),
    removeHistoryDuplicates: true,
  });
  const splitter = new StatementSplitter();
  let closed = false;
  lines.once('close', () => {
    closed = true;
  });
  const askNext = (): void => {
    const mark = options.session.inTransaction ? '*' : '';
    lines.setPrompt(`${printable(tenant)}${splitter.unfinished ? '-' : '='}${mark}> `);
    // Lines that came before the input ended are still run after it, when readline prompts no more.
    if (closed) terminal.stdout.write(lines.getPrompt());
    else lines.prompt();
  };
  lines.on('SIGINT', () => {
    splitter.reset();
    terminal.stdout.write('^C\n');
    // Deletes what stands before and after the cursor.
    lines.write(null, { ctrl: true, name: 'u' });
    lines.write(null, { ctrl: true, name: 'k' });
    askNext();
  });
  askNext();
  for await (const line of lines) {
    if (line.trim() !== '') remember(historyFile, line);
    if (!splitter.unfinished && line.trimStart().startsWith('\\')) {
      if (line.trim() === '\\q') break;
      await guarded(options, () => meta(options, line.trim()));
    } else {
      await guarded(options, async () => runLine(options, splitter, line));
    }
    askNext();
  }
  lines.close();
}

async function runLine(
  options: PromptOptions,
  splitter: StatementSplitter,
  line: string,
): Promise<void> {
  for (const statement of splitter.push(`${line}\n`)) {
    const writer = options.writer();
    // Each statement counts its lines from its own start: earlier ones have scrolled away.
    await writer.add(await options.session.run({ ...statement, offset: 0, line: 1, column: 1 }));
    await writer.end();
  }
}

/** Prints an error and goes on, unless nobody reads any more. */
async function guarded(options: PromptOptions, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (error instanceof OutputClosed) throw error;
    options.terminal.stderr.write(renderFailure(failureOf(error), options.json));
  }
}

async function meta(options: PromptOptions, line: string): Promise<void> {
  const [command, name] = line.split(/\s+/);
  if (command === '\\d') await describe(options, name);
  else await options.output.write(help);
}

async function describe(options: PromptOptions, name: string | undefined): Promise<void> {
  const { output, terminal, session } = options;
  const tables = await (await session.reader()).tables();
  const style = tableStyle(terminal);
  const table = tables.find((candidate) => candidate.name === name);
  if (name !== undefined && table === undefined) {
    await output.line('There is no table of this name; \\d lists the tables.');
  } else if (table !== undefined) {
    await output.write(
      renderTable({ head: ['column', 'type', 'key'], cells: columnCells(table), style }),
    );
  } else {
    const cells = tables.map((one) => [
      printable(one.name),
      count(one.rowCount),
      printable(one.primaryKey.join(', ')),
    ]);
    await output.write(
      renderTable({
        head: ['table', 'rows', 'primary key'],
        cells,
        rightAligned: [false, true],
        style,
      }),
    );
  }
}

function columnCells(table: TableInfo): string[][] {
  return table.columns.map((column) => {
    const place = table.primaryKey.indexOf(column.name);
    return [
      printable(column.name),
      column.type,
      place < 0 ? '' : `primary key${table.primaryKey.length > 1 ? ` ${place + 1}` : ''}`,
    ];
  });
}

function readHistory(path: string): string[] {
  if (path === '') return [];
  try {
    // readline wants the newest first.
    return readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .slice(-historyLinesMax)
      .reverse();
  } catch {
    return []; // The first time, there is none.
  }
}

function remember(path: string, line: string): void {
  if (path === '') return;
  const file = openSync(path, 'a', 0o600);
  try {
    fchmodSync(file, 0o600);
    appendFileSync(file, `${line}\n`);
  } finally {
    closeSync(file);
  }
}
