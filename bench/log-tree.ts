/** `log-tree`: `insert-64` with the log's Merkle tree, with checkpoints over it, and without both, in turns. */
import process from 'node:process';
import { type Line, round } from './measure.ts';
import { costOf } from './state-hash.ts';

interface Patched {
  note(firstLeaf: number, leaves: Uint8Array): void;
}

const none = { proofs: { checkpointEvents: 0, checkpointSeconds: 0 } };

/** Bytes of an event's leaf in a frame: section number and commitment. */
const leafBytes = 34;

export async function logTreeCost(): Promise<Line[]> {
  const kinds = [
    { bench: 'log-tree', options: none },
    { bench: 'log-tree-checkpoints' },
    { bench: 'log-tree-without', options: none },
  ];
  const { switchOff, microsPerEvent } = await patch();
  const lines = await costOf({ kinds, switchOff, rest: (db) => db.proofs.inclusion(0) });
  return lines.map((line) =>
    line.bench === 'log-tree'
      ? { ...line, treeProcessorMicrosPerEvent: round(microsPerEvent()) }
      : line,
  );
}

interface Switch {
  readonly switchOff: (isOff: boolean) => void;
  /** Processor time within the tree, per event: tiles are written in it, and flushed elsewhere. */
  readonly microsPerEvent: () => number;
}

/** Makes it possible to keep frames from the tree, and measures what it takes. */
async function patch(): Promise<Switch> {
  const url = new URL('../dist/engine/index.js', import.meta.url).href;
  const { LogTree } = (await import(url)) as { LogTree: { prototype: Patched } };
  const { prototype } = LogTree;
  const note = Reflect.get(prototype, 'note') as Patched['note'];
  let off = false;
  let [micros, events] = [0, 0];
  prototype.note = function (this: Patched, firstLeaf, leaves) {
    if (off) return;
    const start = process.cpuUsage();
    note.call(this, firstLeaf, leaves);
    const { user, system } = process.cpuUsage(start);
    micros += user + system;
    events += leaves.length / leafBytes;
  };
  return {
    switchOff: (isOff) => {
      off = isOff;
    },
    microsPerEvent: () => micros / events,
  };
}
