import { existsSync } from 'node:fs';
import { VerityError } from '../../base/index.ts';
import { formatVkey } from '../../proof/index.ts';
import {
  createWitnessKey,
  logKeyOf,
  readWitnessKey,
  startWitness,
  WitnessStore,
} from '../../witness/index.ts';
import { type ExitCode, usageError } from '../failure.ts';
import { jsonDocument } from '../output/json.ts';
import { printable } from '../output/value-text.ts';
import type { Output, Terminal } from '../terminal.ts';

export interface WitnessServeRequest {
  readonly listen: string;
  readonly state: string;
  readonly keyFile: string;
  readonly name?: string;
  readonly log: readonly string[];
  readonly json?: boolean;
}

/** `verity witness serve`: cosigns checkpoints of the logs that it was given keys of, until it is interrupted. */
export async function runWitnessServe(
  terminal: Terminal,
  output: Output,
  request: WitnessServeRequest,
): Promise<ExitCode> {
  const { keyFile, name, listen, state, json } = request;
  const [, host = '', port = ''] = /^(?:\[([0-9a-f:]+)\]|([^:]+)):(\d{1,5})$/
    .exec(listen)
    ?.filter((part) => part !== undefined) ?? [''];
  if (host === '' || Number(port) > 65_535) {
    throw usageError('--listen takes host:port, such as 127.0.0.1:7381 or [::1]:7381.');
  }
  const logs = request.log.map(logKeyOf);
  if (logs.length === 0) {
    throw usageError('Give the verifier key of each log that is to be cosigned with --log.');
  }
  const isNew = name !== undefined && !existsSync(keyFile);
  const key = isNew ? createWitnessKey(keyFile, name) : readWitnessKey(keyFile);
  if (name !== undefined && name !== key.vkey.name) {
    throw usageError(
      `The key in ${keyFile} is of "${key.vkey.name}". Leave --name out, or use another file.`,
    );
  }
  const store = new WitnessStore(state, [...new Set(logs.map((log) => log.name))], key.vkey);
  try {
    const onError = (error: unknown): void =>
      void terminal.stderr.write(`WARNING: ${printable(String(error))}\n`);
    const server = await startWitness({ key, logs, store, host, port: Number(port), onError });
    const facts = { url: server.url, vkey: formatVkey(key.vkey), logs: logs.map(formatVkey) };
    await output.write(json === true ? jsonDocument(facts) : servingText(facts));
    await new Promise<void>((resolve) => terminal.onInterrupt(resolve));
    await server.close();
  } catch (error) {
    if (error instanceof VerityError || !(error instanceof Error)) throw error;
    throw new VerityError('IO_ERROR', `Cannot listen on ${listen}: ${error.message}.`, {
      cause: error,
    });
  } finally {
    store.close();
  }
  return 0;
}

function servingText(facts: { url: string; vkey: string; logs: readonly string[] }): string {
  return [
    `witness  ${facts.url}`,
    `vkey     ${facts.vkey}`,
    ...facts.logs.map((log) => `log      ${log}`),
    '',
  ].join('\n');
}
