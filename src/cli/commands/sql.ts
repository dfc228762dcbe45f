import { type ExitCode, usageError } from '../failure.ts';
import type { Invocation } from '../invocation.ts';
import { runPrompt } from '../sql/prompt.ts';
import { readPoint } from '../sql/read-point.ts';
import { resultWriter, type SqlFormat } from '../sql/result-output.ts';
import { SqlSession } from '../sql/sql-session.ts';
import { StatementSplitter } from '../sql/statement-splitter.ts';

export interface SqlRequest {
  readonly tenant: string;
  /** The text of -c; without it statements come from standard input. */
  readonly command: string | undefined;
  readonly at: string | undefined;
  readonly requestId: string | undefined;
  readonly format: SqlFormat | undefined;
}

/** `verity sql DIR --tenant T`: runs statements from -c, from a pipe, or from a prompt. Stops at the first error. */
export async function runSql(invocation: Invocation, request: SqlRequest): Promise<ExitCode> {
  const { terminal, output, options } = invocation;
  const json = options.json === true;
  if (json && request.format !== undefined && request.format !== 'json') {
    throw usageError('--json and --format exclude each other, unless the format is json.');
  }
  const format = request.format ?? (json ? 'json' : 'table');
  const at = request.at === undefined ? undefined : readPoint(request.at);
  const { tenant, requestId } = request;
  const session = new SqlSession(invocation, { tenant, at, requestId });
  const writer = (): ReturnType<typeof resultWriter> => resultWriter(format, terminal, output);
  try {
    const isConversation = terminal.stdin.isTTY === true && terminal.stdout.isTTY === true;
    if (request.command === undefined && isConversation) {
      // A wrong key or path shows before the first statement is typed.
      await session.open();
      await runPrompt({ terminal, output, session, writer, json, tenant: request.tenant });
    } else {
      await runScript(
        session,
        writer(),
        request.command === undefined ? pieces(terminal.stdin) : [request.command],
      );
    }
  } finally {
    await session.close();
  }
  return 0;
}

async function runScript(
  session: SqlSession,
  writer: ReturnType<typeof resultWriter>,
  input: Iterable<string> | AsyncIterable<string>,
): Promise<void> {
  const splitter = new StatementSplitter();
  try {
    for await (const text of input) {
      for (const statement of splitter.push(text)) await writer.add(await session.run(statement));
    }
    for (const statement of splitter.end()) await writer.add(await session.run(statement));
    session.checkEnded();
  } finally {
    await writer.end();
  }
}

async function* pieces(
  stdin: Invocation['terminal']['stdin'],
): AsyncGenerator<string, void, undefined> {
  stdin.setEncoding('utf8');
  for await (const chunk of stdin) yield chunk as string;
}
