import type { Command } from 'commander';
import { runTimeStamp, type TimeStampRequest } from './commands/timestamp.ts';
import { runWitness, type WitnessRequest } from './commands/witness.ts';
import { runWitnessServe, type WitnessServeRequest } from './commands/witness-serve.ts';
import { type ExitCode, usageError } from './failure.ts';
import type { CommonOptions } from './invocation.ts';
import type { KeysProgram } from './keys-program.ts';
import type { Output, Terminal } from './terminal.ts';

export interface WitnessProgram extends KeysProgram {
  readonly terminal: Terminal;
  readonly output: Output;
  readonly exit: (code: ExitCode) => void;
}

/** Adds `verity witness serve|add|list|remove|policy|cosign`. */
export function addWitness(program: Command, parts: WitnessProgram): void {
  const group = program
    .command('witness')
    .description('Serve as a witness, and name the witnesses of a database.');
  addServe(group, parts);
  const plain = verbAdder(group, parts, (invocation, request: WitnessRequest) =>
    runWitness(invocation, request),
  );
  plain(
    {
      name: 'add',
      summary:
        'Have checkpoints of the database cosigned by the witness at URL. It must know the verifier key that `verity keys export-public` prints.',
      example:
        '  $ verity witness add ./data https://witness.example/ witness.example/w1+0f3c…+BA…',
    },
    ['<URL>', '<VKEY>'],
    ([url = '', vkey = '']) => ({ verb: 'add', url, vkey }),
  );
  plain(
    {
      name: 'list',
      summary: 'Show the witnesses, and which of them have cosigned the newest checkpoint.',
      example: '  $ verity witness list ./data --json',
    },
    [],
    () => ({ verb: 'list' }),
  );
  plain(
    {
      name: 'remove',
      summary: 'Ask a witness no more.',
      example: '  $ verity witness remove ./data witness.example/w1',
    },
    ['<NAME>'],
    ([name = '']) => ({ verb: 'remove', name }),
  );
  plain(
    {
      name: 'cosign',
      summary:
        'Sign a checkpoint now and wait for the witnesses; exit code 1 when fewer cosign it than the policy asks for.',
      example: '  $ verity witness cosign ./data',
    },
    [],
    () => ({ verb: 'cosign' }),
  );
  addPolicy(group, parts);
}

function addServe(group: Command, parts: WitnessProgram): void {
  group
    .command('serve')
    .description(
      'Cosign checkpoints of logs that continue what was cosigned before (C2SP tlog-witness), over HTTP. Put TLS before it.',
    )
    .option('--listen <HOST:PORT>', 'where to listen', '127.0.0.1:7381')
    .requiredOption('--state <DIR>', 'directory with what was cosigned last; made if absent')
    .requiredOption('--key-file <FILE>', "file with the witness's private key")
    .option('--name <NAME>', 'name of the witness, such as witness.example/w1: makes its key')
    .requiredOption(
      '--log <VKEY...>',
      'verifier keys of the logs (`verity keys export-public` prints it); the name is the origin',
    )
    .option('--json', 'print one JSON document; errors as JSON on standard error')
    .addHelpText(
      'after',
      '\nExample:\n  $ verity witness serve --state ./w --key-file ./w.key --name witness.example/w1 \\\n      --log "$(verity keys export-public ./data --json | jq -r .vkey)"',
    )
    .action(async (options: WitnessServeRequest) => {
      parts.exit(await runWitnessServe(parts.terminal, parts.output, options));
    });
}

function addPolicy(group: Command, parts: WitnessProgram): void {
  const command = parts
    .addVerb(group, {
      name: 'policy',
      summary:
        'Say how many witnesses must cosign, and answer when the database is opened for writing. Without options, show it.',
      example: '  $ verity witness policy ./data --required 2 --strict',
    })
    .option('--required <N>', 'how many')
    .option('--strict', 'do not open the database for writing when fewer answer')
    .option('--no-strict', 'warn when fewer answer, and go on');
  interface Options extends CommonOptions {
    required?: string;
    strict?: boolean;
  }
  parts.addCommonOptions(command).action(async (directory: string, options: Options) => {
    const required = wholeNumber(options.required, '--required');
    const request: WitnessRequest = { verb: 'policy', required, strict: options.strict };
    parts.exit(await runWitness(parts.invocationOf(directory, options), request));
  });
}

/** Adds `verity timestamp add|remove|list|stamp`. */
export function addTimeStamp(program: Command, parts: KeysProgram): void {
  const group = program
    .command('timestamp')
    .description('Have checkpoints time-stamped by an authority (RFC 3161).');
  const add = parts
    .addVerb(group, {
      name: 'add',
      summary: 'Name the authority that stamps checkpoints, in the place of one named before.',
      example: '  $ verity timestamp add ./data https://tsa.example/tsr --ca ./tsa-root.pem',
    })
    .argument('<URL>', 'where requests are posted to')
    .requiredOption('--ca <FILE>', "PEM file with the certificate that the authority's leads to")
    .option('--every <SECONDS>', 'stamp at most this often without being asked (default: 3600)');
  interface Options extends CommonOptions {
    ca: string;
    every?: string;
  }
  parts
    .addCommonOptions(add)
    .action(async (directory: string, url: string, { ca, every, ...options }: Options) => {
      const everySeconds = wholeNumber(every, '--every');
      const request: TimeStampRequest = { verb: 'add', url, ca, everySeconds };
      parts.exit(await runTimeStamp(parts.invocationOf(directory, options), request));
    });
  const plain = verbAdder(group, parts, (invocation, request: TimeStampRequest) =>
    runTimeStamp(invocation, request),
  );
  plain(
    {
      name: 'remove',
      summary: 'Ask the authority no more. Time stamps that are there stay.',
      example: '  $ verity timestamp remove ./data',
    },
    [],
    () => ({ verb: 'remove' }),
  );
  plain(
    {
      name: 'list',
      summary:
        'Check the time stamps that are there against the certificates that were named, and show them.',
      example: '  $ verity timestamp list ./data --json',
    },
    [],
    () => ({ verb: 'list' }),
  );
  plain(
    {
      name: 'stamp',
      summary: 'Sign a checkpoint and have it stamped now.',
      example: '  $ verity timestamp stamp ./data',
    },
    [],
    () => ({ verb: 'stamp' }),
  );
}

type Invoked = ReturnType<KeysProgram['invocationOf']>;
interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly example: string;
}

/** Adds verbs that have DIR, further arguments and the common options, and nothing else. */
function verbAdder<R>(
  group: Command,
  parts: KeysProgram,
  run: (invocation: Invoked, request: R) => Promise<ExitCode>,
) {
  return (verb: Verb, names: readonly string[], requestOf: (given: string[]) => R): void => {
    const command = parts.addVerb(group, verb);
    for (const name of names) command.argument(name);
    parts.addCommonOptions(command).action(async (...given: unknown[]) => {
      const [directory, ...rest] = given.slice(0, names.length + 1) as [string, ...string[]];
      const options = given[names.length + 1] as CommonOptions;
      parts.exit(await run(parts.invocationOf(directory, options), requestOf(rest)));
    });
  };
}

function wholeNumber(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw usageError(`${option} takes a whole number.`);
}
