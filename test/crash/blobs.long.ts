/** As blobs.test.ts, at every single call of the disk: npx tsx test/crash/blobs.long.ts [crash|kill|IO_ERROR|DISK_FULL …] */
import process from 'node:process';
import { callsOfRun, runInto, troubles } from './blobs-run.ts';

const asked = process.argv.slice(2);
const calls = await callsOfRun();
for (const trouble of troubles) {
  if (asked.length > 0 && !asked.includes(trouble)) continue;
  for (let call = 1; call <= calls; call++) await runInto(trouble, call);
  process.stdout.write(`${trouble}: all ${calls} calls\n`);
}
