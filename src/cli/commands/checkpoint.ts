import type { Checkpoint } from '../../database/index.ts';
import type { ExitCode } from '../failure.ts';
import { type Invocation, openDatabase } from '../invocation.ts';
import { jsonDocument } from '../output/json.ts';

/** `verity checkpoint DIR`: signs a checkpoint of all that is committed, and prints its note; with `--list` all of them. */
export async function runCheckpoint(
  invocation: Invocation,
  { list }: { readonly list: boolean },
): Promise<ExitCode> {
  await using database = await openDatabase(invocation, list ? 'readOnly' : 'write');
  const checkpoints: Checkpoint[] = list
    ? database.proofs.list()
    : [await database.proofs.checkpoint()];
  const { json } = invocation.options;
  if (json === true)
    await invocation.output.write(jsonDocument(list ? checkpoints : checkpoints[0]));
  else await invocation.output.write(checkpoints.map(({ note }) => note).join('\n'));
  return 0;
}
