import type { Command } from 'commander';
import { type ProveRequest, runProve } from './commands/prove.ts';
import { usageError } from './failure.ts';
import type { CommonOptions } from './invocation.ts';
import type { KeysProgram } from './keys-program.ts';

/** Adds `verity prove DIR`. */
export function addProve(program: Command, parts: KeysProgram): void {
  const command = parts
    .addVerb(program, {
      name: 'prove',
      summary:
        'Print a receipt that shows what the row of a key is now, or that there is none; `verity check` checks it. ' +
        'Signs a checkpoint unless the newest one is of this state.',
      example:
        '  $ verity prove ./data --tenant clinic --table patients --key 4711 > r.json\n' +
        '  $ verity prove ./data --tenant clinic -c "SELECT name FROM patients WHERE id IN (1, 2)" > r.json',
    })
    .requiredOption('--tenant <NAME>', 'tenant whose rows they are')
    .option('--table <NAME>', 'the table …')
    .option(
      '--key <VALUE>',
      '… and the primary key; given again for each further column of it',
      (value: string, before: readonly string[] | undefined) => [...(before ?? []), value],
    )
    .option('-c, --command <SQL>', 'a query by primary key instead');
  interface Options extends CommonOptions {
    tenant: string;
    table?: string;
    key?: string[];
    command?: string;
  }
  parts.addCommonOptions(command).action(async (directory: string, options: Options) => {
    const request = { tenant: options.tenant, of: askedFor(options) };
    parts.exit(await runProve(parts.invocationOf(directory, options), request));
  });
}

function askedFor({
  table,
  key,
  command,
}: {
  readonly table?: string;
  readonly key?: readonly string[];
  readonly command?: string;
}): ProveRequest['of'] {
  if (command !== undefined && table === undefined && key === undefined) return { sql: command };
  if (command !== undefined || table === undefined || key === undefined)
    throw usageError('Give --table with --key, or -c with a query.');
  return { table, key };
}
