/** A witness on loopback, with a state directory of its own. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Vkey } from '../../src/proof/index.ts';
import { formatVkey } from '../../src/proof/index.ts';
import {
  createWitnessKey,
  readWitnessKey,
  startWitness,
  WitnessStore,
} from '../../src/witness/index.ts';

export interface TestWitness {
  readonly url: string;
  readonly vkey: Vkey;
  /** The verifier key as text. */
  readonly text: string;
  /** A second call does nothing. */
  stop(): Promise<void>;
}

/** Starts a witness of the log with the verifier key `log` with its state in `directory`: a new one, or one that was there before. */
export async function startTestWitness(
  directory: string,
  name: string,
  log: Vkey,
  port = 0,
): Promise<TestWitness> {
  const file = `${directory}.key`;
  const key = existsSync(file) ? readWitnessKey(file) : createWitnessKey(file, name);
  const store = new WitnessStore(join(directory, 'state'), [log.name], key.vkey);
  const server = await startWitness({ key, logs: [log], store, host: '127.0.0.1', port });
  let isOpen = true;
  return {
    url: server.url,
    vkey: key.vkey,
    text: formatVkey(key.vkey),
    async stop() {
      if (!isOpen) return;
      isOpen = false;
      await server.close();
      store.close();
    },
  };
}
