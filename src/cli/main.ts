#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { missingSecureHeap, runCli, runWithSecureHeap } from './index.ts';

const signals = ['SIGINT', 'SIGTERM'] as const;
const terminal = {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  now: () => performance.now(),
  onInterrupt: (listener: () => void) => {
    for (const signal of signals) process.once(signal, listener);
    return () => {
      for (const signal of signals) process.off(signal, listener);
    };
  },
};
const args = process.argv.slice(2);
const heapBytes = missingSecureHeap(args);
// Left to end by itself, so that everything written reaches its reader.
process.exitCode =
  heapBytes === undefined
    ? await runCli(args, terminal)
    : await runWithSecureHeap(fileURLToPath(import.meta.url), args, heapBytes);
