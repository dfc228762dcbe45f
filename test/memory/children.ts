import { spawn } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('memory-child.mjs', import.meta.url));
const built = fileURLToPath(new URL('../../dist', import.meta.url));

/** What a process of memory-child.mjs does. */
export type MemoryAction = 'import' | 'scan' | 'follow' | 'verify';

export interface MemoryFigures {
  readonly action: MemoryAction;
  readonly rows: number;
  readonly seconds: number;
  readonly residentMiBMax: number;
  readonly residentMiBEnd: number;
  readonly heapMiBEnd: number;
  readonly arrayMiBEnd: number;
}

export interface MemoryRun {
  readonly directory: string;
  readonly keyFile: string;
  readonly rows: number;
  readonly cacheBytes: number;
}

/** Runs one action in a process of its own. Rejects if it fails. */
export async function memoryOf(action: MemoryAction, run: MemoryRun): Promise<MemoryFigures> {
  const { directory, keyFile, rows, cacheBytes } = run;
  const words = [built, action, directory, keyFile, String(rows), String(cacheBytes)];
  const child = spawn(process.execPath, ['--expose-gc', script, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  if (code !== 0) throw new Error(`${action} of ${rows} rows ended with exit code ${code}`);
  return JSON.parse(text) as MemoryFigures;
}
