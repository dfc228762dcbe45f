import type { CosignReport, Verity, WitnessStatus } from '../../database/index.ts';
import type { ExitCode } from '../failure.ts';
import { type Invocation, openDatabase } from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';
import { printable } from '../output/value-text.ts';
import { count } from '../progress.ts';

export type WitnessRequest =
  | { readonly verb: 'add'; readonly url: string; readonly vkey: string }
  | { readonly verb: 'list' }
  | { readonly verb: 'remove'; readonly name: string }
  | { readonly verb: 'cosign' }
  | {
      readonly verb: 'policy';
      readonly required: number | undefined;
      readonly strict: boolean | undefined;
    };

/** `verity witness add|list|remove|policy|cosign DIR`. */
export async function runWitness(
  invocation: Invocation,
  request: WitnessRequest,
): Promise<ExitCode> {
  const { required, strict } = request.verb === 'policy' ? request : {};
  const reads =
    request.verb === 'list' ||
    (request.verb === 'policy' && required === undefined && strict === undefined);
  await using database = await openDatabase(invocation, reads ? 'readOnly' : 'write');
  const { witnesses } = database;
  // Awaited here: the database closes when this function is left.
  if (request.verb === 'cosign') return await runCosign(invocation, database);
  if (request.verb === 'add') await witnesses.add(request.url, request.vkey);
  if (request.verb === 'remove') await witnesses.remove(request.name);
  if (request.verb === 'policy' && !reads) {
    await witnesses.setPolicy({
      ...(required !== undefined && { required }),
      ...(strict !== undefined && { strict }),
    });
  }
  const list = witnesses.list();
  const { policy } = witnesses;
  const lines = [...list.map(lineOf), policyText(policy.required, policy.strict)];
  const document = { witnesses: list, policy };
  await print(invocation, document, lines);
  return 0;
}

async function runCosign(invocation: Invocation, database: Verity): Promise<ExitCode> {
  const report: CosignReport = await database.witnesses.cosign();
  const { size, cosigned, required, witnesses } = report;
  const lines = [
    `checkpoint of ${count(Number(size))} events, cosigned by ${count(cosigned)} of ${count(witnesses.length)} witnesses`,
    ...witnesses.map(lineOf),
  ];
  await print(invocation, report, lines);
  return cosigned >= required ? 0 : 1;
}

function lineOf({ name, url, cosigned, failure }: WitnessStatus): string {
  const state =
    cosigned === undefined
      ? (failure ?? 'has not cosigned the newest checkpoint')
      : `cosigned ${cosigned.toISOString()}`;
  return `${name}  ${url}  ${state}`;
}

function policyText(required: number, strict: boolean): string {
  if (required === 0) return 'none of them must cosign';
  return `${count(required)} must cosign, and answer at open${strict ? ', else the database is not opened for writing' : ', else there is a warning'}`;
}

async function print(
  invocation: Invocation,
  document: object,
  lines: readonly string[],
): Promise<void> {
  const text = lines.map((line) => `${printable(line)}\n`).join('');
  await invocation.output.write(invocation.options.json === true ? jsonDocument(document) : text);
}
