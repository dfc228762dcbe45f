import { type Command, Option } from 'commander';
import { type CheckRequest, runCheck } from './commands/check.ts';
import { runExport } from './commands/export.ts';
import { type ReceiptRequest, runReceipt } from './commands/receipt.ts';
import { type ExitCode, usageError } from './failure.ts';
import type { CommonOptions, Invocation } from './invocation.ts';
import type { KeysProgram } from './keys-program.ts';
import { type ExportFormat, exportFormats } from '../receipt/index.ts';
import type { Output, Terminal } from './terminal.ts';

interface Context {
  readonly terminal: Terminal;
  readonly output: Output;
  readonly exit: (code: ExitCode) => void;
}

/** Adds `verity receipt DIR`. */
export function addReceipt(program: Command, parts: KeysProgram): void {
  const command = parts
    .addVerb(program, {
      name: 'receipt',
      summary:
        'Print a receipt: events of one tenant with the proof that the log holds them, which anyone can check ' +
        'without us and without a key of the database. It shows everything that was recorded there.',
      example:
        '  $ verity receipt ./data --tenant clinic --position 12 > r.json\n' +
        '  $ verity receipt ./data --tenant clinic --table patients --key 4711 > history.json',
    })
    .requiredOption('--tenant <NAME>', 'tenant whose events they are')
    .option('--position <N>', 'everything that was recorded at this position')
    .option('--from <N>', 'everything from this position …')
    .option('--to <N>', '… to this one')
    .option('--table <NAME>', 'the whole history of a row: its table …')
    .option(
      '--key <VALUE>',
      '… and its primary key; given again for each further column of it',
      collect,
    )
    .option(
      '--columns <NAMES>',
      "show only these columns, separated by commas (tables with disclosure = 'field')",
    )
    .option(
      '--with-commands',
      'with --table: show who, when and why also where the first event of the command is of another row, and that event',
    );
  interface Options extends CommonOptions {
    tenant: string;
    position?: string;
    from?: string;
    to?: string;
    table?: string;
    key?: string[];
    columns?: string;
    withCommands?: boolean;
  }
  parts.addCommonOptions(command).action(async (directory: string, options: Options) => {
    const invocation: Invocation = parts.invocationOf(directory, options);
    parts.exit(await runReceipt(invocation, receiptRequest(options)));
  });
}

/** An option that may be given several times. */
function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

function receiptRequest(options: {
  readonly tenant: string;
  readonly position?: string;
  readonly from?: string;
  readonly to?: string;
  readonly table?: string;
  readonly key?: readonly string[];
  readonly columns?: string;
  readonly withCommands?: boolean;
}): ReceiptRequest {
  const { tenant, position, from, to, table, key, columns } = options;
  const common = { tenant, ...(columns !== undefined && { columns: columns.split(',') }) };
  const isRange = from !== undefined || to !== undefined;
  const isRow = table !== undefined || key !== undefined;
  if (Number(position !== undefined) + Number(isRange) + Number(isRow) !== 1)
    throw usageError('Give one of --position, --from with --to, or --table with --key.');
  if (position !== undefined) {
    const at = positionOf(position);
    return { ...common, from: at, to: at, isSingle: true };
  }
  if (isRange) {
    if (from === undefined || to === undefined) throw usageError('--from and --to go together.');
    return { ...common, from: positionOf(from), to: positionOf(to), isSingle: false };
  }
  if (table === undefined || key === undefined) throw usageError('--table and --key go together.');
  return { ...common, table, key, commands: options.withCommands === true };
}

function positionOf(text: string): bigint {
  if (!/^[0-9]{1,16}$/.test(text)) throw usageError('A position is a whole number.');
  return BigInt(text);
}

/** Adds `verity export DIR`. */
export function addExport(program: Command, parts: KeysProgram): void {
  const command = parts
    .addVerb(program, {
      name: 'export',
      summary:
        'Write everything of a tenant to files; with --with-proofs so that anyone can check it without us: ' +
        '`verity check OUT --key VKEY`, or each receipt on the page of `verity check --page`.',
      example: '  $ verity export ./data --tenant clinic --out ./clinic-export --with-proofs',
    })
    .requiredOption('--tenant <NAME>', 'tenant to export')
    .requiredOption('--out <DIR2>', 'a new or empty directory')
    .addOption(
      new Option('--format <FORMAT>', 'form of the rows').choices(exportFormats).default('jsonl'),
    )
    .option('--with-proofs', 'receipts of all events, and of the state of every table');
  interface Options extends CommonOptions {
    tenant: string;
    out: string;
    format: ExportFormat;
    withProofs?: boolean;
  }
  parts.addCommonOptions(command).action(async (directory: string, options: Options) => {
    const invocation: Invocation = parts.invocationOf(directory, options);
    const { tenant, out, format, withProofs = false } = options;
    parts.exit(await runExport(invocation, { tenant, out, format, withProofs }));
  });
}

/** Adds `verity check FILE`, which needs no database. */
export function addCheck(program: Command, { terminal, output, exit }: Context): void {
  program
    .command('check')
    .description(
      'Check a receipt: offline, without any database and without a secret. Exit code 0: it holds; 3: it does not.',
    )
    .argument('[FILE]', 'the receipt, or the directory of an export; - reads standard input')
    .option('--key <VKEY>', "the log's verifier key; give it again for several", collect)
    .option('--witness <VKEY>', 'verifier key of a witness that must have signed, too', collect)
    .option('--quorum <N>', 'how many of the witnesses must have signed (default: all)')
    .option('--origin <NAME>', "the log's name, where keys of several logs are given")
    .option(
      '--tsa-ca <FILE>',
      'certificates (PEM) to trust for time stamps; then all must be right',
    )
    .option('--json', 'print one JSON document')
    .addOption(
      new Option(
        '--tlog-proofs',
        'print a C2SP tlog-proof of each event as JSON instead, for other tools; checks nothing',
      ),
    )
    .option('--page', 'print a web page that checks receipts in a browser: one file, no network')
    .addHelpText(
      'after',
      '\nExample:\n  $ verity check r.json --key "clinic.example+0123abcd+AQ…"\n' +
        '  $ verity check --page > verify.html\n\nExit codes: 0 it holds, 1 failed, 2 wrong usage, 3 it does not hold.',
    )
    .action(async (file: string | undefined, request: CheckRequest) => {
      exit(await runCheck({ terminal, output }, file, request));
    });
}
