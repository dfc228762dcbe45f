/** The files of this folder, compressed. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

const folder = new URL('files/', import.meta.url);
const ending = '.test.br';

/** Their names, without the ending. */
export function fileNames(): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(ending))
    .map((name) => basename(name, ending))
    .sort();
}

export function readScript(name: string): string {
  return brotliDecompressSync(readFileSync(new URL(name + ending, folder))).toString('utf8');
}
