import { type ErrorCode, errorTable } from '../src/base/index.ts';

const head = `# Errors

Made from the table in \`src/base/errors.ts\` by \`npm run docs:errors\`; do not edit.

Every failed operation throws a \`VerityError\` with one of these codes as \`code\`. Codes are stable: a
program may compare them. \`sqlState\`, \`retryable\` and \`exitCode\` come from the same table; \`details\`
holds facts for programs (SQL errors: \`offset\`, the index into the statement's text; damage: \`file\` and
\`offset\` in bytes). Messages are for people and may change.

The command \`verity\` exits with 0 when done, 1 when it failed, 2 when it was called wrongly, 3 when the
data is damaged. gRPC and HTTP columns are what a server answers for the code.

| Code | Meaning | SQLSTATE | Exit | Retry | gRPC | HTTP |
|---|---|---|---|---|---|---|
`;

/** The text of docs/errors.md. */
export function errorsPage(): string {
  const rows = (Object.keys(errorTable) as ErrorCode[]).map((code) => {
    const { meaning, sqlState, exit, retryable, grpc, http } = errorTable[code];
    const retry = retryable ? 'yes' : '';
    return `| \`${code}\` | ${meaning} | ${sqlState} | ${exit} | ${retry} | ${grpc} | ${http} |\n`;
  });
  return head + rows.join('');
}
