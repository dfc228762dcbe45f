#!/usr/bin/env node
import { runCli } from './index.ts';

// Left to end by itself, so that everything written reaches its reader.
process.exitCode = await runCli(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  now: () => performance.now(),
});
