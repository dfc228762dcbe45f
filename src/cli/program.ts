import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { lockMemory } from '../database/index.ts';
import { addAudit } from './audit-program.ts';
import { runCheckpoint } from './commands/checkpoint.ts';
import { runHistory } from './commands/history.ts';
import { runImport } from './commands/import.ts';
import { type InitRequest, runInit } from './commands/init.ts';
import { runLogCopy } from './commands/log.ts';
import { type RepairRequest, runRepair } from './commands/repair.ts';
import { runSql } from './commands/sql.ts';
import { runStatus } from './commands/status.ts';
import { runVerify } from './commands/verify.ts';
import type { ExitCode } from './failure.ts';
import { keyUriHelp } from './master-key-uri.ts';
import type { CommonOptions, Invocation } from './invocation.ts';
import { addKeys, type KeysProgram } from './keys-program.ts';
import { addProve } from './prove-program.ts';
import { addCheck, addExport, addReceipt } from './receipt-program.ts';
import { addSim } from './sim/options.ts';
import { type SqlFormat, sqlFormats } from './sql/result-output.ts';
import type { Output, Terminal } from './terminal.ts';
import { addTimeStamp, addWitness } from './witness-program.ts';

export interface ProgramContext {
  readonly terminal: Terminal;
  readonly output: Output;
  /** Receives the exit code of the verb that ran. */
  readonly exit: (code: ExitCode) => void;
}

const keyHelp = `
The master key is the first of these that is given: --master-key, --key-file, --recovery-code-file,
VERITY_MASTER_KEY_URI, VERITY_MASTER_KEY (64 hex digits; also from .env), VERITY_PASSPHRASE,
VERITY_RECOVERY_CODE, the file DIR.key.

--secure-heap[=BYTES] anywhere starts Node with OpenSSL's secure heap (65536).

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 integrity failure.`;

/** The command line: verbs, options and help. Parsing throws CommanderError instead of exiting. */
export function buildProgram(context: ProgramContext): Command {
  const program = new Command('verity')
    .description(
      'A system of record you can prove: an append-only, encrypted, hash-chained SQL database.',
    )
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show this help')
    .helpCommand('help [verb]', 'show the help of a verb')
    .showHelpAfterError('Try `verity --help`.')
    .exitOverride()
    .hook('preAction', (_program, verb) => {
      if (verb.opts()['lockMemory'] === true) lockMemory();
    })
    .configureOutput({
      writeOut: (text) => context.terminal.stdout.write(text),
      getOutHelpWidth: () => context.terminal.stdout.columns ?? 80,
      writeErr: () => undefined, // The caller prints errors, in the form that was asked for.
    });
  addInit(program, context);
  addImport(program, context);
  addSql(program, context);
  addHistory(program, context);
  addVerify(program, context);
  addStatus(program, context);
  addCheckpoint(program, context);
  addRepair(program, context);
  addLog(program, context);
  const parts: KeysProgram = {
    addVerb,
    addCommonOptions,
    invocationOf: (directory, options) => invocationOf(context, directory, options),
    exit: context.exit,
  };
  addKeys(program, parts);
  addAudit(program, parts);
  addProve(program, parts);
  addWitness(program, { ...parts, terminal: context.terminal, output: context.output });
  addTimeStamp(program, parts);
  addReceipt(program, parts);
  addExport(program, parts);
  addCheck(program, context);
  addSim(program, context, context.exit);
  program.addHelpText(
    'after',
    `${keyUriHelp}\n${keyHelp}\n\nStart here:\n  $ verity init ./data\n  $ verity import ./data --tenant clinic patients.csv`,
  );
  return program;
}

function packageVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly example: string;
}

/** A verb with DIR and the options that all verbs share. */
function addVerb(program: Command, verb: Verb): Command {
  return program
    .command(verb.name)
    .description(verb.summary)
    .argument('<DIR>', 'directory of the database')
    .addHelpText('after', `${keyHelp}\n\nExample:\n${verb.example}`);
}

function addCommonOptions(command: Command): Command {
  return command
    .option('--json', 'print one JSON document; errors as JSON on standard error')
    .option(
      '--master-key <URI>',
      'key provider: file:, env:, passphrase:, key-pair:, aws-secret:, aws-kms:, pkcs11:; see `verity --help`',
    )
    .option('--key-file <FILE>', 'file with the master key (default: DIR.key)')
    .option(
      '--recovery-code-file <FILE>',
      'open with the recovery code in this file; - asks for it',
    )
    .option(
      '--lock-memory',
      'keep keys in memory that is never swapped out (needs the package sodium-native)',
    )
    .option(
      '--cache-bytes <N>',
      'memory for pages of the store, in bytes; K, M and G are allowed (default: 256M)',
    )
    .option(
      '--scratch <DIR>',
      'where to put what memory does not hold while reading or verifying (default: TMPDIR or /var/tmp)',
    )
    .option(
      '--accept-rollback',
      'go on with a log that a witness has seen more, or other, of; recorded in the log',
    )
    .option('--actor <NAME>', 'who does this; recorded with every change')
    .option('--reason <TEXT>', 'why; recorded with every change');
}

function invocationOf(
  context: ProgramContext,
  directory: string,
  options: CommonOptions,
): Invocation {
  return { terminal: context.terminal, output: context.output, directory, options };
}

function addInit(program: Command, context: ProgramContext): void {
  const command = addVerb(program, {
    name: 'init',
    summary: 'Create an encrypted database, its master key and a recovery code.',
    example:
      '  $ verity init ./data\n  $ VERITY_PASSPHRASE="correct horse battery staple" verity init ./data',
  });
  command
    .addOption(
      new Option('--algorithm <NAME>', 'cipher (default: aes-256-gcm)')
        .choices(['aes-256-gcm', 'chacha20-poly1305'])
        .conflicts('plain'),
    )
    .addOption(
      new Option(
        '--compression <NAME>',
        'compress before sealing (default: none); sizes then tell about contents',
      ).choices(['none', 'brotli']),
    )
    .option(
      '--origin <NAME>',
      'public name under which it signs checkpoints, e.g. clinic.example/records (default: veritydb.local/LOG-ID)',
    )
    .option('--plain', 'no encryption and no key: for migration and measuring only');
  interface Options extends CommonOptions, InitRequest {}
  addCommonOptions(command).action(async (directory: string, options: Options) => {
    const { algorithm, compression, origin, plain } = options;
    const request = { algorithm, compression, origin, plain };
    context.exit(await runInit(invocationOf(context, directory, options), request));
  });
}

function addImport(program: Command, context: ProgramContext): void {
  const command = addVerb(program, {
    name: 'import',
    summary:
      'Load CSV files into tables, which it creates. The types come from the whole file, and a file with a ' +
      'bad row is refused as a whole. Header names become column names in lower case. An empty field is NULL.',
    example:
      '  $ verity import ./data --tenant clinic --actor "dr. jones" patients.csv encounters.csv\n' +
      '  $ verity import ./data --tenant clinic --table visits --primary-key id encounters.csv',
  })
    .argument('<FILE...>', 'CSV files with a header line, in UTF-8')
    .requiredOption(
      '--tenant <NAME>',
      'tenant that owns the tables; created if there is none of this name',
    )
    .option('--table <NAME>', 'table to load into (default: the name of the file)')
    .option(
      '--primary-key <COLUMN>',
      'primary key of a new table (default: a column named id, if unique and never empty)',
    );
  interface Options extends CommonOptions {
    tenant: string;
    table?: string;
    primaryKey?: string;
  }
  addCommonOptions(command).action(async (directory: string, files: string[], options: Options) => {
    const { tenant, table, primaryKey } = options;
    context.exit(
      await runImport(invocationOf(context, directory, options), {
        tenant,
        files,
        table,
        primaryKey,
      }),
    );
  });
}

function addSql(program: Command, context: ProgramContext): void {
  const command = addVerb(program, {
    name: 'sql',
    summary:
      'Run SQL: from -c, from standard input when it is piped, else from a prompt. Opens read-only until a ' +
      'statement writes, also beside a running owner.',
    example:
      '  $ verity sql ./data --tenant clinic -c "SELECT count(*) FROM patients"\n' +
      '  $ verity sql ./data --tenant clinic --at 2024-05-31T12:00:00Z --format csv -c "SELECT * FROM patients"\n' +
      '  $ verity sql ./data --tenant clinic --actor "dr. jones" --reason "typing error" < fix.sql',
  })
    .requiredOption(
      '--tenant <NAME>',
      'tenant to work on; created by the first statement that writes',
    )
    .option('-c, --command <SQL>', 'statements to run, separated by semicolons')
    .option(
      '--at <POSITION|TIME>',
      'read as of a log position, or a time in ISO 8601 (UTC unless it has a zone)',
    )
    .option(
      '--request-id <ID>',
      'do each statement that writes once, however often the same script is run under this id',
    )
    .addOption(
      new Option('--format <FORMAT>', 'form of the results (default: table)').choices(sqlFormats),
    );
  interface Options extends CommonOptions {
    tenant: string;
    command?: string;
    at?: string;
    requestId?: string;
    format?: SqlFormat;
  }
  addCommonOptions(command).action(async (directory: string, options: Options) => {
    const { tenant, command: text, at, requestId, format } = options;
    context.exit(
      await runSql(invocationOf(context, directory, options), {
        tenant,
        command: text,
        at,
        requestId,
        format,
      }),
    );
  });
}

function addHistory(program: Command, context: ProgramContext): void {
  const command = addVerb(program, {
    name: 'history',
    summary: 'Show every change of one row: position, time, who, why and what.',
    example:
      '  $ verity history ./data --tenant clinic patients 3edac2e3-d223-6fae-d515-daf96ef6bc76',
  })
    .argument('<TABLE>', 'table of the row')
    .argument('<KEY...>', 'values of its primary key, in key order')
    .requiredOption('--tenant <NAME>', 'tenant that owns the table');
  interface Options extends CommonOptions {
    tenant: string;
  }
  addCommonOptions(command).action(
    async (directory: string, table: string, key: string[], options: Options) => {
      const request = { tenant: options.tenant, table, key };
      context.exit(await runHistory(invocationOf(context, directory, options), request));
    },
  );
}

function addVerify(program: Command, context: ProgramContext): void {
  const command = addVerb(program, {
    name: 'verify',
    summary:
      'Read every byte of the database and check it; exit code 3 if anything is not as it was written.',
    example: '  $ verity verify ./data && echo intact',
  }).option('--without-key', 'check only what needs no key: checksums, digests, layout and chain');
  interface Options extends CommonOptions {
    withoutKey?: boolean;
  }
  addCommonOptions(command).action(async (directory: string, options: Options) => {
    const invocation = invocationOf(context, directory, options);
    context.exit(await runVerify(invocation, options.withoutKey === true));
  });
}

function addStatus(program: Command, context: ProgramContext): void {
  const command = addVerb(program, {
    name: 'status',
    summary: 'Show what the database is and how far its log has got.',
    example: '  $ verity status ./data --json',
  });
  addCommonOptions(command).action(async (directory: string, options: CommonOptions) => {
    context.exit(await runStatus(invocationOf(context, directory, options)));
  });
}

function addCheckpoint(program: Command, context: ProgramContext): void {
  const command = addVerb(program, {
    name: 'checkpoint',
    summary: 'Sign a checkpoint of all that is committed, and print its note.',
    example: '  $ verity checkpoint ./data\n  $ verity checkpoint ./data --list --json',
  }).option('--list', 'print all signed checkpoints, the oldest first, and sign none');
  addCommonOptions(command).action(
    async (directory: string, options: CommonOptions & { readonly list?: true }) => {
      const invocation = invocationOf(context, directory, options);
      context.exit(await runCheckpoint(invocation, { list: options.list === true }));
    },
  );
}

function addRepair(program: Command, context: ProgramContext): void {
  const command = addVerb(program, {
    name: 'repair',
    summary:
      'Make the store again from the log; with --from take what is damaged or missing from another copy of the ' +
      'database; with --cut-tail cut the log at its first bad frame. What was there is kept in DIR/damaged.',
    example:
      '  $ verity repair ./data\n' +
      '  $ verity repair ./data --from /backup/data\n' +
      '  $ verity repair ./data --cut-tail --dry-run',
  })
    .option('--from <COPY>', 'directory of another copy of the same database; only read')
    .option('--extend', "with --from: take frames behind this log's own end, too")
    .option('--cut-tail', 'cut the log at its first bad frame, and record that in the log')
    .option('--dry-run', 'only say what would be done')
    .option('--yes', 'cut without asking');
  addCommonOptions(command).action(
    async (directory: string, options: CommonOptions & RepairRequest) => {
      context.exit(await runRepair(invocationOf(context, directory, options), options));
    },
  );
}

function addLog(program: Command, context: ProgramContext): void {
  const log = program.command('log').description('Work on the log as a whole.');
  const command = addVerb(log, {
    name: 'copy',
    summary:
      'Make a consistent copy of the database, also while it runs. The copy opens with the same key.',
    example: '  $ verity log copy ./data /backup/data',
  }).argument('<OUT>', 'new or empty directory for the copy');
  addCommonOptions(command).action(
    async (directory: string, out: string, options: CommonOptions) => {
      context.exit(await runLogCopy(invocationOf(context, directory, options), out));
    },
  );
}
