import type { Command } from 'commander';
import { runKeysExportPublic, runKeysList, runKeysRekey, runKeysRotate } from './commands/keys.ts';
import { runGeneratePair } from './commands/generate-pair.ts';
import { type ExitCode, usageError } from './failure.ts';
import type { CommonOptions, Invocation } from './invocation.ts';

interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly example: string;
}

export interface KeysProgram {
  /** A verb with DIR. */
  readonly addVerb: (parent: Command, verb: Verb) => Command;
  readonly addCommonOptions: (command: Command) => Command;
  readonly invocationOf: (directory: string, options: CommonOptions) => Invocation;
  readonly exit: (code: ExitCode) => void;
}

/** Adds `verity keys list|rotate|export-public|rekey|generate-pair`. */
export function addKeys(program: Command, parts: KeysProgram): void {
  const group = program
    .command('keys')
    .description('List, rotate and export keys, and rekey data.');
  addPlain(group, parts, {
    name: 'list',
    summary: 'Show what opens the database and which secrets each tenant has. Shows no key.',
    example: '  $ verity keys list ./data --json',
    run: runKeysList,
  });
  addRotate(group, parts);
  addPlain(group, parts, {
    name: 'export-public',
    summary:
      'Print the public half of the signing key: PEM, name, base64, and the verifier key (vkey) that checks receipts and checkpoints.',
    example: '  $ verity keys export-public ./data > verity.pub',
    run: runKeysExportPublic,
  });
  addRekey(group, parts);
  addGeneratePair(group, parts);
}

function addPlain(
  group: Command,
  parts: KeysProgram,
  verb: Verb & { readonly run: (invocation: Invocation) => Promise<ExitCode> },
): void {
  const command = parts.addCommonOptions(parts.addVerb(group, verb));
  command.action(async (directory: string, options: CommonOptions) => {
    parts.exit(await verb.run(parts.invocationOf(directory, options)));
  });
}

function addRotate(group: Command, parts: KeysProgram): void {
  const command = parts
    .addVerb(group, {
      name: 'rotate',
      summary:
        'Rotate the master key: the key that opens the database renews itself, or another takes its place. ' +
        'What is written from then on cannot be opened with the old key; recovery codes stay as they are. ' +
        'With --tenant, rotate the keys of that tenant, with --signing the key that signs checkpoints, which says of the ' +
        'new one that it takes its place. No data is rewritten: see `verity keys rekey`.',
      example:
        '  $ verity keys rotate ./data\n' +
        '  $ verity keys rotate ./data --new-key-file ./new.key\n' +
        '  $ VERITY_NEW_PASSPHRASE="…" verity keys rotate ./data --new-master-key passphrase:\n' +
        '  $ verity keys rotate ./data --recovery-code-file - --new-key-file ./new.key   (the key is lost)\n' +
        '  $ verity keys rotate ./data --tenant clinic\n  $ verity keys rotate ./data --signing',
    })
    .option('--new-key-file <FILE>', 'file with the new master key; created if there is none')
    .option('--new-master-key <URI>', 'provider of the new master key; forms as for --master-key')
    .option('--tenant <NAME>', 'rotate the keys of this tenant instead')
    .option('--signing', 'rotate the key that signs checkpoints instead')
    .option('--remove-recovery-codes', 'let recovery codes open the database no longer');
  interface Options extends CommonOptions {
    newKeyFile?: string;
    newMasterKey?: string;
    tenant?: string;
    removeRecoveryCodes?: boolean;
    signing?: boolean;
  }
  parts.addCommonOptions(command).action(async (directory: string, options: Options) => {
    const { newKeyFile, newMasterKey, tenant, removeRecoveryCodes = false } = options;
    const { signing = false } = options;
    const request = { newKeyFile, newMasterKey, tenant, removeRecoveryCodes, signing };
    parts.exit(await runKeysRotate(parts.invocationOf(directory, options), request));
  });
}

function addRekey(group: Command, parts: KeysProgram): void {
  const command = parts
    .addVerb(group, {
      name: 'rekey',
      summary:
        'Seal what older keys sealed anew under the newest, and forget the older ones. Positions, proofs and ' +
        'chain hashes stay as they are. Can be interrupted; the next run goes on.',
      example:
        '  $ verity keys rekey ./data\n  $ verity keys rekey ./data --bytes-per-second 20000000',
    })
    .option('--bytes-per-second <NUMBER>', 'seal no more than this many bytes a second');
  interface Options extends CommonOptions {
    bytesPerSecond?: string;
  }
  parts.addCommonOptions(command).action(async (directory: string, options: Options) => {
    const bytesPerSecond = positiveNumber(options.bytesPerSecond, '--bytes-per-second');
    parts.exit(await runKeysRekey(parts.invocationOf(directory, options), { bytesPerSecond }));
  });
}

function addGeneratePair(group: Command, parts: KeysProgram): void {
  group
    .command('generate-pair')
    .description(
      'Make a master key pair for --master-key key-pair:FILE, under the passphrase in VERITY_PASSPHRASE or one that is ' +
        'typed. Prints the public key, which locks databases for the pair (public-key:) and opens none.',
    )
    .argument('<FILE>', 'file for the pair; must not exist')
    .option('--json', 'print one JSON document; errors as JSON on standard error')
    .addHelpText(
      'after',
      '\nExample:\n  $ verity keys generate-pair ./master.pair > ./master.pub.pem',
    )
    .action(async (file: string, options: Pick<CommonOptions, 'json'>) => {
      parts.exit(await runGeneratePair(parts.invocationOf(file, options), file));
    });
}

function positiveNumber(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw usageError(`${option} takes a whole number over 0.`);
}
