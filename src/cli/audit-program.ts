import type { Command } from 'commander';
import { runAudit } from './commands/audit.ts';
import type { CommonOptions } from './invocation.ts';
import type { KeysProgram } from './keys-program.ts';

interface AuditCommandOptions extends CommonOptions {
  readonly withoutKey?: true;
  readonly since?: string;
  readonly tsaCa?: string;
  readonly out?: string;
  readonly resume?: string;
  readonly threads?: string;
}

const example =
  '  $ verity audit ./data\n' +
  '  $ verity audit ./data --without-key --json\n' +
  '  $ verity audit ./data --since last-month.note --out report.json --resume ./audit';

/** `verity audit`. */
export function addAudit(
  program: Command,
  { addVerb, addCommonOptions, invocationOf, exit }: KeysProgram,
): void {
  const command = addVerb(program, {
    name: 'audit',
    summary: 'Read and check everything with all cores, and say what any damage affects.',
    example,
  })
    .option(
      '--without-key',
      'check only what needs no key: checksums, digests, chain, tree, signed checkpoints',
    )
    .option(
      '--since <FILE>',
      'prove that the log goes on from this signed checkpoint, and open only what came after',
    )
    .option(
      '--tsa-ca <FILE>',
      'PEM file with the certificate that time stamps must lead to (default: what the log names)',
    )
    .option('--out <FILE>', 'also write the report to a file, as JSON')
    .option(
      '--resume <FILE|DIR>',
      'keep how far the audit is, and go on from there when it was interrupted',
    )
    .option(
      '--threads <N>',
      'how many threads read at the same time, 1 to 8 (default: as many as there are cores)',
    );
  addCommonOptions(command).action(async (directory: string, options: AuditCommandOptions) => {
    const { withoutKey, since, tsaCa, out, resume, threads } = options;
    const request = { withoutKey: withoutKey === true, since, tsaCa, out, resume, threads };
    exit(await runAudit(invocationOf(directory, options), request));
  });
}
