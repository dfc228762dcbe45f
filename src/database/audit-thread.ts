/** A thread of an audit: does the pieces that it is given, with a key of its own. */
import { parentPort } from 'node:worker_threads';
import { AuditBench, keysFromRoot } from '../audit/index.ts';
import { type KeyHierarchy, readKeyFiles } from '../engine/index.ts';
import { nodeDisk } from '../host/index.ts';
import {
  type BeginMessage,
  failureOf,
  type ThreadAnswer,
  type ThreadMessage,
} from './audit-messages.ts';

const port = parentPort;
if (port === null) throw new Error('this file is the thread of an audit');
let hierarchy: KeyHierarchy | undefined;
let bench: AuditBench | undefined;

function begin({ directory, rootKey }: BeginMessage): AuditBench {
  const disk = nodeDisk(directory, { readOnly: true });
  hierarchy = rootKey === undefined ? undefined : keysFromRoot(disk, new Uint8Array(rootKey));
  const { logId } = hierarchy?.keyring ?? readKeyFiles(disk).keyring;
  return new AuditBench({ disk, logId, hierarchy });
}

function answer(message: ThreadMessage): ThreadAnswer | undefined {
  try {
    if (message.kind === 'begin') {
      bench = begin(message);
      return undefined;
    }
    if (bench === undefined) throw new Error('a thread gets its key before its work');
    const steps = bench.steps(message.job);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    return { kind: 'done', result: step.value };
  } catch (error) {
    return { kind: 'failed', failure: failureOf(error) };
  }
}

port.on('message', (message: ThreadMessage | 'end') => {
  if (message === 'end') {
    bench?.close();
    hierarchy?.wipe();
    port.close();
    return;
  }
  const answered = answer(message);
  if (answered !== undefined) port.postMessage(answered);
});
