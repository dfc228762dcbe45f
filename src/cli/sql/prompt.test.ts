import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { VerityError } from '../../base/index.ts';
import { Output, type Terminal } from '../terminal.ts';
import { runPrompt } from './prompt.ts';
import { resultWriter } from './result-output.ts';
import type { SqlSession } from './sql-session.ts';
import type { Statement } from './statement-splitter.ts';

/** Types `input` at a prompt whose database answers every statement with one row, and refuses `bad`. */
async function type(
  input: string,
  env: Record<string, string> = {},
): Promise<{ statements: string[]; text: string; errors: string }> {
  const statements: string[] = [];
  const session = {
    run: async ({ text }: Statement) => {
      if (text.includes('bad'))
        throw new VerityError('SYNTAX_ERROR', 'The text is not SQL.', {
          details: { offset: 0, line: 1, column: 1 },
        });
      statements.push(text);
      const columns = [{ name: 'one', type: 'integer' }];
      return {
        kind: 'select',
        result: { rows: [{ one: 1 }], columns, position: 7n },
        rowsWritten: undefined,
      };
    },
    reader: async () => ({
      tables: async () => [
        {
          name: 'patients',
          columns: [{ name: 'id', type: 'uuid' }],
          primaryKey: ['id'],
          rowCount: 27,
        },
      ],
    }),
  } as unknown as SqlSession;
  const stdin = Object.assign(new PassThrough(), { isTTY: true });
  const stdout = Object.assign(new PassThrough(), { isTTY: true, columns: 100 });
  const stderr = new PassThrough();
  const terminal: Terminal = {
    stdin,
    stdout,
    stderr,
    env: { NO_COLOR: '1', ...env },
    now: () => 0,
    onInterrupt: () => () => undefined,
  };
  const output = new Output(stdout);
  const done = runPrompt({
    terminal,
    output,
    session,
    writer: () => resultWriter('table', terminal, output),
    json: false,
    tenant: 'clinic',
  });
  stdin.end(input);
  await done;
  return { statements, text: String(stdout.read() ?? ''), errors: String(stderr.read() ?? '') };
}

test('statements may span lines and share one, and run at their semicolon', async () => {
  const { statements, text } = await type('SELECT\n1\n; SELECT 2; SELECT 3;\nnever finished\n');
  expect(statements).toEqual(['SELECT\n1\n', 'SELECT 2', 'SELECT 3']);
  expect(text).toContain('clinic-> ');
  expect(text).toContain('1 row at position 7');
});

test('an error is shown and the prompt goes on', async () => {
  const { statements, errors } = await type('bad;\nSELECT 1;\n');
  expect(errors).toBe('error: The text is not SQL. (line 1, column 1) [SYNTAX_ERROR]\n');
  expect(statements).toEqual(['SELECT 1']);
});

test('\\d lists tables, \\d TABLE its columns, \\q ends', async () => {
  const { statements, text } = await type('\\d\n\\d patients\n\\?\n\\q\nSELECT 1;\n');
  expect(text).toMatch(/│ patients │ +27 │ id +│/);
  expect(text).toMatch(/│ id +│ uuid │ primary key │/);
  expect(text).toContain('Ctrl-D');
  expect(statements).toEqual([]);
});

test('lines are written to a file only when VERITY_HISTORY names one, for its owner alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'verity-prompt-'));
  const file = join(folder, 'history');
  await type('SELECT 1;\n\nSELECT 2;\n', { VERITY_HISTORY: file });
  expect(readFileSync(file, 'utf8')).toBe('SELECT 1;\nSELECT 2;\n');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  rmSync(folder, { recursive: true });
});
